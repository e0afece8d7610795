"""Things beside the main road, under the names that Celery gives them."""
