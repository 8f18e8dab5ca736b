"""A client of Redis or Valkey as the settings say, alone or in cluster mode."""

from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.maint_notifications import MaintNotificationsConfig

from point_service.settings import CacheSettings, Credentials

CONNECT_TIMEOUT = 1.0  # seconds
MAX_CONNECTIONS = 64  # for each node; all but one are for contenders that wait


class _FileCredentials(CredentialProvider):
    """Reads user name and password for each connection, so that a rotated password needs no restart."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        username = self._credentials.username()
        password = self._credentials.password()
        return (username, password) if username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def connect(settings: CacheSettings) -> Redis | RedisCluster:
    """Return a client; it connects when it is first asked."""
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "credential_provider": _FileCredentials(settings.credentials) if settings.credentials else None,
        "decode_responses": True,
        # Each call has its own limit; this one only ends a connection that nobody waits for any more.
        "socket_timeout": 10.0,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "max_connections": MAX_CONNECTIONS,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if settings.tls:
        # In cluster mode the nodes announce their host names; each connection verifies the one it goes to.
        options |= {
            "ssl": True,
            "ssl_ca_certs": str(settings.ca_file) if settings.ca_file else None,
            "ssl_check_hostname": True,
        }
    # No retry: before it a pipeline would sleep as long as a call may take. Redirections are followed all the same.
    options["retry"] = Retry(NoBackoff(), 0)
    return RedisCluster(**options) if settings.cluster_mode else Redis(**options)
