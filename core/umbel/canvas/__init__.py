"""Workflows: signatures and what is composed of them."""
