"""The data tier of the local cluster: MySQL over three zones and Valkey over two, with roles set once."""

import os
from concurrent.futures import ThreadPoolExecutor

from point_local import versions
from point_local.cluster import WORKERS
from point_local.command import kubectl, wait
from point_local.manifests import apply

_UID = 10002
ZONES = [{"letter": n.name[-1], "name": n.zone, "index": n.index} for n in WORKERS]
_HOST = "mysql-{}.data.svc.cluster.local"
WRITER, STORAGE, READER = "a", "b", "c"


def install(server: str) -> None:
    """Start the data tier. `server` is `mysql` or `mariadb`; returns without waiting for it."""
    for node in WORKERS:
        for part in ("mysql", "valkey"):
            folder = node.folder / "data" / part
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, _UID, _UID)
            folder.chmod(0o700)
    role = WORKERS[0].folder / "data" / "mysql" / "role"
    if not (WORKERS[0].folder / "data" / "mysql" / "data").exists():
        role.write_text("writer\n")
        role.chmod(0o644)
    admin = "mysqladmin" if server == "mysql" else "mariadb-admin"
    apply(
        "mysql",
        zones=ZONES,
        image=versions.local_image("database"),
        uid=_UID,
        server=server,
        admin=admin,
    )
    apply("valkey", zones=ZONES, image=versions.local_image("valkey"), uid=_UID)


def join(server: str) -> None:
    """Wait for the servers, make the copies follow the writer and the cache one cluster; safe to repeat."""
    for name in (*(f"mysql-{z}" for z in "abc"), "valkey-a", "valkey-c"):
        kubectl("rollout", "status", f"statefulset/{name}", "-n", "data", "--timeout=180s")
    with ThreadPoolExecutor() as pool:
        for following in [pool.submit(_follow, server, zone) for zone in (STORAGE, READER)]:
            following.result()
    _form_cache()


def sql(zone: str, statement: str, server: str = "mysql") -> str:
    """Run SQL as root on one zone's server; each column comes back as a line `name: value`."""
    client = "mysql" if server == "mysql" else "mariadb"
    command = [client, "--defaults-file=/run/mysqld/client.cnf", "--vertical", "-e", statement]
    return kubectl("exec", "-n", "data", f"mysql-{zone}-0", "--", *command)


def valkey(zone: str, *command: str) -> str:
    """Run a Valkey command on one zone's server."""
    return kubectl("exec", "-n", "data", f"valkey-{zone}-0", "--", "sh", "/config/cli.sh", *command)


def _follow(server: str, zone: str) -> None:
    status = sql(zone, "SHOW REPLICA STATUS", server)
    if "Running: Yes" in status:
        return
    # The password is read inside the pod, so that it is in no argument of ours.
    source = _HOST.format(WRITER)
    if server == "mysql":
        change = (
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{source}', SOURCE_USER='replication', "
            "SOURCE_PASSWORD='$P', SOURCE_AUTO_POSITION=1, SOURCE_SSL=1, SOURCE_SSL_CA='/tls/ca.crt', "
            "SOURCE_SSL_VERIFY_SERVER_CERT=1, SOURCE_CONNECT_RETRY=2, SOURCE_RETRY_COUNT=1000000; "
            "START REPLICA;"
        )
        client = "mysql"
    else:
        change = (
            f"CHANGE MASTER TO MASTER_HOST='{source}', MASTER_USER='replication', MASTER_PASSWORD='$P', "
            "MASTER_USE_GTID=slave_pos, MASTER_SSL=1, MASTER_SSL_CA='/tls/ca.crt', "
            "MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_CONNECT_RETRY=2; START SLAVE;"
        )
        client = "mariadb"
    script = (
        "P=$(cat /secrets/replication/password); "
        f"{client} --defaults-file=/run/mysqld/client.cnf <<SQL\n{change}\nSQL"
    )
    kubectl("exec", "-n", "data", f"mysql-{zone}-0", "--", "sh", "-c", script)
    wait(
        f"the database in zone {zone} follows the writer",
        lambda: sql(zone, "SHOW REPLICA STATUS", server).count("Running: Yes") == 2,
        seconds=60,
    )


def _form_cache() -> None:
    if valkey("c", "role").startswith("slave"):
        return
    if "cluster_slots_assigned:0" in valkey("a", "cluster", "info"):
        valkey("a", "cluster", "addslotsrange", "0", "16383")
    address = kubectl("get", "pod", "valkey-c-0", "-n", "data", "-o", "jsonpath={.status.podIP}")
    valkey("a", "cluster", "meet", address, "6379")
    primary = valkey("a", "cluster", "myid").strip()
    wait("the caches know each other", lambda: primary in valkey("c", "cluster", "nodes"), seconds=30)
    wait(
        "the cache in zone c accepts its primary",
        lambda: "OK" in valkey("c", "cluster", "replicate", primary),
        seconds=30,
    )
    wait("the cache in zone c follows", lambda: "connected" in valkey("c", "role"), seconds=60)
    wait("the cache serves", lambda: "cluster_state:ok" in valkey("c", "cluster", "info"), seconds=30)
