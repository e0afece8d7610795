"""Result backends in Celery's shape: the base classes that projects subclass, and the ways between them and Umbel's."""
