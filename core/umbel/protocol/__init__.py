"""Messages and results as bytes, both ways: pure functions over the kernel's data, on Celery's wire.

* :mod:`~umbel.protocol.codec`: values to bytes and back, by the name of a serializer or a content type;
* :mod:`~umbel.protocol.tasks`: task messages, protocols 1 and 2;
* :mod:`~umbel.protocol.results`: the documents that result backends keep;
* :mod:`~umbel.protocol.exceptions`: exceptions as documents;
* :mod:`~umbel.protocol.reprs`: short texts of any value.

Nothing here does I/O or knows an application; every function may be called from any thread.
"""
