"""What Celery gives to the tests of its projects."""
