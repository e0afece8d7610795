"""``python -m celery``: the command line of Celery, run by Umbel."""

from __future__ import annotations

from umbel_extension_celery.commands import main

if __name__ == "__main__":
    main()
