"""`make up` and `make down`: the whole stack, from a bare machine to a point earned, and away again."""

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from point_local.build import images, packages, rootfs, tools
from point_local.commands import demo, preflight, status
from point_local.failover import controller
from point_local.machine import cluster, image_store
from point_local.programs import paths, versions
from point_local.programs.command import LocalError
from point_local.programs.progress import Steps, console
from point_local.stack import application, credentials, data, edge, istio, namespaces, prometheus, sessions

_DEPLOYED = paths.STATE / "deployed"
OWN = {versions.SERVICE_IMAGE: "service", versions.OPERATOR_IMAGE: "operator"}


def up() -> None:
    """Bring the stack up, or to what this checkout says; a stack that already is so is left alone."""
    with _only_one():
        preflight.require()
        steps = Steps("up")
        host = application.hosts()[0]
        if _is_deployed() and cluster.running() and edge.healthy(host) and controller.watches():
            console.print("[green]✓[/] already up, nothing to do", highlight=False)
        else:
            _DEPLOYED.unlink(missing_ok=True)
            _bring_up(steps, host)
            _DEPLOYED.write_text(_inputs())
        demo.earn_and_use()
        status.show(took=steps)
        steps.finish()


def down(*, keep_cache: bool = True) -> None:
    """Take the stack away; the cache stays unless told otherwise."""
    with _only_one():
        edge.stop()
        controller.DAEMON.stop()
        image_store.stop()
        cluster.remove()
        sessions.forget()
        images.unmount()
        _DEPLOYED.unlink(missing_ok=True)
        if not keep_cache:
            shutil.rmtree(paths.CACHE, ignore_errors=True)
    console.print("[green]✓[/] down: no process, namespace, interface, route, mount or cgroup of it is left")


def build(steps: Steps) -> tuple[str, dict[str, Path]]:
    """Packages, programs and images, from the cache where it has them; the database's kind, the archives."""
    with steps.step("Debian packages"):
        packages.ensure(packages.CLUSTER)
    with steps.step("Programs from Go modules") as step:
        tools.ensure(step)
    with steps.step("Root file systems") as step:
        server = rootfs.database()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(rootfs.ensure, ("net", "valkey", "prometheus", "python", "python-build")))
    archives: dict[str, Path] = {}
    with steps.step("Images") as step:
        infrastructure = images.infrastructure(tools.module_dir("istio.io/istio"), tools.envoy(), server)
        total = len(infrastructure) + len(OWN)
        for done, image in enumerate(infrastructure):
            step.tell(image.name, done / total)
            archives[image.name] = images.build(image)
        for name, program in OWN.items():
            step.tell(name, len(archives) / total)
            archives[name] = images.build_ours(name, program)
    return server, archives


def _bring_up(steps: Steps, host: str) -> None:
    server, archives = build(steps)
    with steps.step("Image store"):
        image_store.fill(list(archives.values()))
    with steps.step("Machines in three zones"):
        cluster.discard_half_made()
        cluster.start_nodes()
        changed = cluster.update_images(archives)
    with steps.step("Kubernetes"):
        cluster.bootstrap()
    with steps.step("Data tier started"):
        namespaces.restrict()
        credentials.ensure(application.NAMESPACE, istio.GATEWAY_NAMESPACE, application.hosts())
        data.install(server)
        if server == "mysql":
            controller.DAEMON.stop()  # it may be another checkout's
            controller.start()
        application.install_metrics()
        prometheus.install()
    with steps.step("Istio"):
        istio.install()
    with steps.step("Data tier joined"):
        data.join(server)
    with steps.step("Operator and PointService"):
        application.install_operator()
        application.restart(changed)
        application.apply_pointservice()
        application.wait_ready()
        prometheus.install_rules()
        prometheus.wait_ready()
    with steps.step("Edge"):
        edge.start(host)


def _inputs() -> str:
    """A digest of everything in this checkout that decides what runs."""
    digest = hashlib.sha256(tools.envoy().read_bytes()[:4096])
    digest.update((paths.ROOT / "Containerfile").read_bytes())
    folders = [
        "crds",
        "examples",
        "local",
        "operator",
        "pulumi/point_infra/incluster/istio",
        "requirements",
        "service",
    ]
    for folder in folders:
        for path in sorted((paths.ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(paths.ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def _is_deployed() -> bool:
    return _DEPLOYED.exists() and _DEPLOYED.read_text() == _inputs()


@contextlib.contextmanager
def _only_one() -> Generator[None, None, None]:
    """Keep two of these commands from working on the same machine at once."""
    paths.STATE.mkdir(parents=True, exist_ok=True)
    paths.STATE.chmod(0o700)  # keys and certificates of the cluster are below it
    with (paths.STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError("another `make up` or `make down` is at work: wait for it") from error
        yield
