"""``umbel migrate``: what moving a Celery project over means."""
