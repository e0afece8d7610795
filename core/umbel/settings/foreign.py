"""Names that Celery's users know and that belong to plugins: of stores and brokers that may not be installed.

They are accepted and kept, with a warning when no installed plugin answers to them, so that a configuration written for
Celery can be used as it is. A misspelt one is an error like any other unknown name.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FOREIGN", "FOREIGN_OLD", "Foreign"]


class Foreign:
    """A setting of a plugin: *plugin* is the name of its section."""

    __slots__ = ("name", "old", "plugin")

    def __init__(self, plugin: str, name: str, old: str) -> None:
        self.plugin = plugin
        self.name = name
        self.old = old


#: Plugin -> (how Celery spelt its old names, its keys).
_KEYS: Final[dict[str, tuple[str, str]]] = {
    "arangodb": ("CELERY_ARANGODB_{}", "backend_settings"),
    "azureblockblob": (
        "AZUREBLOCKBLOB_{}",
        (
            "container_name retry_initial_backoff_sec retry_increment_base retry_max_attempts base_path connection_timeout"
            " read_timeout"
        ),
    ),
    "cache": ("CELERY_CACHE_{}", "backend backend_options"),
    "cassandra": (
        "CASSANDRA_{}",
        (
            "entry_ttl keyspace port read_consistency servers bundle_path secure_bundle_path table write_consistency"
            " auth_provider auth_kwargs options"
        ),
    ),
    "cosmosdbsql": (
        "COSMOSDBSQL_{}",
        "database_name collection_name consistency_level max_retry_attempts max_retry_wait_time",
    ),
    "couchbase": ("CELERY_COUCHBASE_{}", "backend_settings"),
    "database": (
        "DATABASE_{}",
        "url engine_options engine_callback short_lived_sessions table_schemas table_names create_tables_at_setup",
    ),
    "elasticsearch": ("CELERY_ELASTICSEARCH_{}", "retry_on_timeout max_retries timeout save_meta_as_text"),
    "gcs": ("GCS_{}", "bucket project base_path ttl threadpool_maxsize"),
    "mongodb": ("CELERY_MONGODB_{}", "backend_settings"),
    "redis": (
        "CELERY_REDIS_{}",
        (
            "backend_use_ssl db host max_connections username password port socket_timeout socket_connect_timeout"
            " retry_on_timeout socket_keepalive backend_credential_provider backend_health_check_interval client_name"
        ),
    ),
    "s3": ("S3_{}", "access_key_id secret_access_key bucket base_path endpoint_url region"),
}

#: Every such name.
FOREIGN: Final[dict[str, Foreign]] = {
    f"{plugin}_{key}": Foreign(plugin, f"{plugin}_{key}", spelling.format(key.upper()))
    for plugin, (spelling, keys) in _KEYS.items()
    for key in keys.split()
}

#: Old upper-case name -> name.
FOREIGN_OLD: Final[dict[str, str]] = {
    **{foreign.old: name for name, foreign in FOREIGN.items()},
    "CELERY_RESULT_DBURI": "database_url",
    "CELERY_RESULT_ENGINE_OPTIONS": "database_engine_options",
    "CELERY_RESULT_DB_SHORT_LIVED_SESSIONS": "database_short_lived_sessions",
    "CELERY_RESULT_DB_TABLENAMES": "database_table_names",
}
