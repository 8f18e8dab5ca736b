"""The data tier of the local cluster: MySQL over three zones and Valkey over two, with roles set once."""

import contextlib
from collections.abc import Sequence
from typing import Any

from point_local.machine.cluster import WORKERS
from point_local.machine.node import DATA
from point_local.programs import versions
from point_local.programs.command import LocalError, kubectl, run, wait
from point_local.stack import sessions
from point_local.stack.manifests import apply

_UID = 10002
ZONES = [{"letter": n.name[-1], "name": n.zone, "index": n.index} for n in WORKERS]
_HOST = "mysql-{}.data.svc.cluster.local"
WRITER = "a"
"""Zone of the first writer."""
CACHE_ZONES = ("a", "c")


def install(server: str) -> None:
    """Start the data tier. `server` is `mysql` or `mariadb`; returns without waiting for it.

    Raises LocalError, with nothing changed, when the tier that is there is the other's.
    """
    there = kubectl(
        *("get", "configmap", "mysql", "-n", "data", "--ignore-not-found"),
        *("-o", "jsonpath={.metadata.labels.server}"),
    )
    if there and there != server:
        raise LocalError(
            f"the data that is there is {there}'s, and {server} can't read it: `make down` first"
        )
    for node in WORKERS:
        for part in ("mysql", "valkey"):
            # The mode that a volume's fsGroup asks for: then the kubelet leaves what is in it as it is.
            node.exec("install", "-d", "-m", "2770", "-o", str(_UID), "-g", str(_UID), f"{DATA}/{part}")
    record = kubectl(
        "get", "configmap", "mysql-roles", "-n", "data", "-o", "jsonpath={.data.writer}", "--ignore-not-found"
    )
    writer = record or WRITER
    apply(
        "mysql",
        writer=writer,
        reader="c" if writer == "a" else "a",
        port=sessions.MYSQL_PORT,
        zones=ZONES,
        image=versions.local_image("database"),
        uid=_UID,
        server=server,
    )
    apply("valkey", port=sessions.VALKEY_PORT, zones=ZONES, image=versions.local_image("valkey"), uid=_UID)


def join(server: str) -> None:
    """Wait until every server answers and the copies follow their writer, and make the cache one cluster.

    On MySQL the failover controller gives the roles; on MariaDB they are given here, once and for all.
    """
    for name in (*(f"mysql-{z}" for z in "abc"), *(f"valkey-{z}" for z in CACHE_ZONES)):
        kubectl("rollout", "status", f"statefulset/{name}", "-n", "data", "--timeout=180s")
    if server == "mariadb":
        _join_mariadb()
    else:
        wait("a writer accepts writes and the copies follow it", _writer_serves, seconds=90, every=0.5)
    _form_cache()


def execute(zone: str, statement: str, *, client: str = "mysql", timeout: float = 20) -> str:
    """Run SQL as root on one zone's server; rows come back as they are, columns tab-separated."""
    options = ["--defaults-file=/run/mysqld/client.cnf", "--batch", "--raw", "--skip-column-names"]
    return _in_pod(f"mysql-{zone}-0", [client, *options, "-e", statement], timeout)


def valkey(zone: str, *command: str) -> Any:
    """Run a command on one zone's cache and return its answer. Raises LocalError."""
    return sessions.valkey(zone).call(*command)


def follow(zone: str, source: str) -> None:
    """Make one zone's MySQL copy from another's, checking its certificate."""
    login = sessions.secret("mysql-replication")
    session = sessions.mysql(zone)
    session.run(
        "STOP REPLICA",
        "SET GLOBAL super_read_only = ON",
        "SET GLOBAL rpl_semi_sync_source_enabled = OFF",
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST=%s, SOURCE_USER=%s, SOURCE_PASSWORD=%s, SOURCE_AUTO_POSITION=1,"
        " SOURCE_SSL=1, SOURCE_SSL_CA='/tls/ca.crt', SOURCE_SSL_VERIFY_SERVER_CERT=1, SOURCE_CONNECT_RETRY=1,"
        " SOURCE_RETRY_COUNT=1000000",
        parameters=(_HOST.format(source), login["username"], login["password"]),
        timeout=20,
    )
    session.run("START REPLICA", timeout=20)


def clone(zone: str, source: str) -> None:
    """Replace one zone's data by a copy of another's; the server ends after that and starts with it."""
    login, host = sessions.secret("mysql-replication"), _HOST.format(source)
    session = sessions.mysql(zone)
    # A clone needs its user to be able to write; read_only, which stays, keeps everybody else out.
    session.run("STOP REPLICA", "SET GLOBAL super_read_only = OFF", timeout=20)
    session.run("SET GLOBAL clone_valid_donor_list = %s", parameters=(f"{host}:3306",), timeout=20)
    try:
        session.run(
            "CLONE INSTANCE FROM %s@%s:3306 IDENTIFIED BY %s REQUIRE SSL",
            parameters=(login["username"], host, login["password"]),
            timeout=300,
        )
    except LocalError as error:
        if "3707" not in str(error):  # it can't restart itself: Kubernetes does that
            raise


def whole() -> bool:
    """Whether the database has a writer with both copies behind it and the cache a primary with its replica."""
    return _writer_serves() and _cache_whole()


def _writer_serves() -> bool:
    writer = kubectl(
        "get", "configmap", "mysql-roles", "-n", "data", "-o", "jsonpath={.data.writer}", check=False
    )
    if not writer:
        return False
    with contextlib.suppress(LocalError):
        session = sessions.mysql(writer)
        writable = session.value("SELECT @@GLOBAL.read_only") == 0
        ((_, clients),) = session.run("SHOW STATUS LIKE 'Rpl_semi_sync_source_clients'")
        return writable and clients == "2"
    return False


def _join_mariadb() -> None:
    execute(
        WRITER, "SET GLOBAL rpl_semi_sync_master_enabled = ON; SET GLOBAL read_only = OFF", client="mariadb"
    )
    for zone in "bc":
        if "Slave_IO_Running: Yes" not in execute(zone, "SHOW SLAVE STATUS\\G", client="mariadb"):
            _mariadb_script(
                zone,
                f"CHANGE MASTER TO MASTER_HOST='{_HOST.format(WRITER)}', MASTER_USER='replication', "
                "MASTER_PASSWORD='$P', MASTER_USE_GTID=slave_pos, MASTER_SSL=1, MASTER_SSL_CA='/tls/ca.crt', "
                "MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_CONNECT_RETRY=2; START SLAVE;",
            )


def _mariadb_script(zone: str, statements: str) -> None:
    """Run SQL in which $P is the replication user's password, read in the pod."""
    script = (
        "P=$(cat /secrets/replication/password); "
        f"mariadb --defaults-file=/run/mysqld/client.cnf <<SQL\n{statements}\nSQL"
    )
    kubectl("exec", "-n", "data", f"mysql-{zone}-0", "--", "sh", "-c", script, timeout=20)


def _in_pod(pod: str, command: Sequence[str], timeout: float) -> str:
    return run(["kubectl", "exec", "-n", "data", pod, "--", *command], timeout=timeout, quiet=True)


def meet(zone: str, other: str) -> None:
    """Introduce one zone's cache to the other's, at the address that it has now."""
    address = kubectl("get", "pod", f"valkey-{other}-0", "-n", "data", "-o", "jsonpath={.status.podIP}")
    valkey(zone, "cluster", "meet", address, "6379")


def _form_cache() -> None:
    """Make two new servers one cluster; two that were one find each other with the controller's help."""
    first, second = CACHE_ZONES
    if all("cluster_slots_assigned:0" in valkey(z, "cluster", "info") for z in CACHE_ZONES):
        valkey(first, "cluster", "addslotsrange", "0", "16383")
        meet(first, second)
        primary = valkey(first, "cluster", "myid")
        wait("the caches know each other", lambda: primary in valkey(second, "cluster", "nodes"), seconds=30)
        wait(
            "the replica of the cache accepts its primary",
            lambda: valkey(second, "cluster", "replicate", primary) == "OK",
            seconds=30,
        )
    wait("the cache has a primary and its replica", _cache_whole, seconds=90)


def _cache_whole() -> bool:
    with contextlib.suppress(LocalError):
        roles = {zone: valkey(zone, "role") for zone in CACHE_ZONES}
        healthy = all("cluster_state:ok" in valkey(z, "cluster", "info") for z in CACHE_ZONES)
        linked = any("connected" in role for role in roles.values())
        return sorted(role[0] for role in roles.values()) == ["master", "slave"] and healthy and linked
    return False
