"""What ``umbel plugins new`` copies, a folder a kind.

The files are whole and correct as they stand, for a plugin named ``demo``, so that the linter and the type checkers see
what an author gets. ``demo`` and ``Demo`` become his names.
"""
