"""The edge: an Envoy on the host that stands in for the load balancer, on loopback ports 443 and 80."""

import re
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from point_local.build import tools
from point_local.machine.cluster import WORKERS
from point_local.machine.pki import write_secret
from point_local.programs import paths
from point_local.programs.command import LocalError, wait
from point_local.programs.daemon import Daemon
from point_local.stack import credentials
from point_local.stack.manifests import render

_STATE = paths.STATE / "edge"
_DAEMON = Daemon(_STATE / "pid")
_HOSTS = Path("/etc/hosts")
_MARK = "# point-platform"
HTTPS_PORT = 443
HTTP_PORT = 80


def ca() -> Path:
    """The certificate that clients of the edge trust."""
    return credentials.edge_authority().cert


def url(host: str) -> str:
    """The edge's base URL for a host of the PointService."""
    return f"https://{host}"


def start(host: str) -> None:
    """Start the edge for `host`; returns when it has a healthy gateway behind it. Does nothing when it runs."""
    _name(host)
    text = render(
        "edge",
        state=_STATE,
        ca=ca(),
        host=host,
        targets=[n.address for n in WORKERS],
        https_port=HTTPS_PORT,
        http_port=HTTP_PORT,
    )
    config = _STATE / "envoy.yaml"
    if _DAEMON.process() is not None and config.read_text() != text:
        _DAEMON.stop()
    if _DAEMON.process() is None:
        _STATE.mkdir(parents=True, exist_ok=True)
        cert, key = credentials.edge_authority().issue(host, [host, "localhost", "127.0.0.1"])
        (_STATE / "tls.crt").write_text(cert)
        write_secret(_STATE / "tls.key", key)
        config.write_text(text)
        log = _STATE / "envoy.log"
        log.unlink(missing_ok=True)
        flags = ["--log-level", "warn", "--concurrency", "1", "--disable-hot-restart"]
        _DAEMON.start([tools.envoy(), "-c", config, *flags], log)

    def serves() -> bool:
        if _DAEMON.process() is None:
            tail = "\n".join((_STATE / "envoy.log").read_text().splitlines()[-5:])
            raise LocalError(f"the edge stopped (log: {_STATE / 'envoy.log'}):\n{tail}")
        return healthy(host)

    wait(f"{url(host)}/healthz answers", serves, seconds=60)


def stop() -> None:
    """Stop the edge and forget its name."""
    _DAEMON.stop()
    _unname()


def healthy(host: str) -> bool:
    """Whether the edge reaches the service through the gateway."""
    return status(host) == 200


def status(host: str) -> int | None:
    """The status of GET /healthz through the edge, None when nothing answers."""
    context = ssl.create_default_context(cafile=str(ca()))
    try:
        with urllib.request.urlopen(f"{url(host)}/healthz", context=context, timeout=3) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def ports_taken() -> list[int]:
    """Those of the edge's ports on which something else listens."""
    if _DAEMON.process() is not None:
        return []

    def taken(port: int) -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
        return False

    return [p for p in (HTTPS_PORT, HTTP_PORT) if taken(p)]


def _name(host: str) -> None:
    """Make `host` resolve to loopback for programs that don't know what .localhost means."""
    if not re.fullmatch(r"[a-z0-9.-]+", host):
        raise LocalError(f"{host!r} is not a host name")
    lines = _HOSTS.read_text().splitlines()
    line = f"127.0.0.1 {host} {_MARK}"
    if line not in lines:
        _unname()
        text = _HOSTS.read_text()
        apart = "" if text.endswith("\n") or not text else "\n"
        with _HOSTS.open("a") as hosts:
            hosts.write(f"{apart}{line}\n")


def _unname() -> None:
    if _HOSTS.exists():
        text = _HOSTS.read_text()
        kept = "".join(line for line in text.splitlines(keepends=True) if not line.rstrip().endswith(_MARK))
        if kept != text:
            # Written in place: where /etc/hosts is itself a mount it can't be replaced.
            _HOSTS.write_text(kept)
