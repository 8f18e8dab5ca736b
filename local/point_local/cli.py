"""The command line of the local stack."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from point_local.alone import serve as serve_alone
from point_local.build import packages, tools
from point_local.build import sbom as bill
from point_local.commands import demo as demo_steps
from point_local.commands import status as stack_status
from point_local.commands import up as stack
from point_local.drill import blows
from point_local.drill import zones as zone_drill
from point_local.failover import controller as data_failover
from point_local.programs import paths
from point_local.programs.command import LocalError
from point_local.programs.progress import Steps, error_console
from point_local.stack import application, edge, issuer

app = typer.Typer(
    help="The point platform on one machine: a three-zone Kubernetes with everything on it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def up() -> None:
    """Bring everything up: programs, cluster, Istio, data tier, operator, one PointService, edge."""
    stack.up()


@app.command()
def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the cache of programs and images too.")
    ] = False,
) -> None:
    """Take everything away again: no process, namespace, interface, route, mount or cgroup is left."""
    stack.down(keep_cache=not purge)


@app.command()
def status() -> None:
    """Say what runs in which zone, how it is, and how to reach it."""
    stack_status.show()


@app.command()
def demo() -> None:
    """Earn, use, look, and be refused, through the real gateway; prints each request and answer."""
    _require_up()
    demo_steps.run()


@app.command()
def look(
    minutes: Annotated[int, typer.Option(min=1, max=360, help="How far back.")] = 30,
    folder: Annotated[Path | None, typer.Option(help="Where the pictures go.")] = None,
) -> None:
    """Draw each dashboard to a PNG, from what the cluster's Prometheus has."""
    _require_up()
    # Imported here: matplotlib takes half a second to load, and nothing else needs it.
    from point_local.look import dashboards as pictures

    pictures.run(minutes, folder or pictures.FOLDER)


@app.command("console")
def live(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 8090,
) -> None:
    """Serve a page on loopback that shows the architecture as it lives, until Ctrl-C."""
    _require_up()
    # Imported here: Litestar takes a second to load, and nothing else needs it.
    from point_local.console import server

    server.run(port)


@app.command()
def token(
    member: Annotated[str, typer.Argument(help="The member's id: the token's `sub`.")],
    role: Annotated[str, typer.Option(help="The role: service or admin; a plain member without it.")] = "",
    seconds: Annotated[int, typer.Option(min=1, max=86400, help="How long it is valid.")] = 3600,
) -> None:
    """Print a JWT of the local issuer."""
    if role not in ("", "member", "service", "admin"):
        raise LocalError(f"--role is {role!r}: allowed are member, service and admin")
    if not member or len(member) > 255:
        raise LocalError("MEMBER must have 1 to 255 characters")
    typer.echo(issuer.token(member, role or None, seconds=seconds))


@app.command()
def url() -> None:
    """Print the edge's base URL."""
    typer.echo(edge.url(application.hosts()[0]))


@app.command()
def ca() -> None:
    """Print the path of the certificate that the edge's clients trust."""
    typer.echo(edge.ca())


@app.command()
def kubeconfig() -> None:
    """Print the path of the cluster's kubeconfig."""
    typer.echo(paths.KUBECONFIG)


@app.command()
def build() -> None:
    """Build programs and images only, into the cache."""
    stack.build(Steps("build"))


@app.command()
def sbom() -> None:
    """Print the path of each image's bill of materials (CycloneDX), building the images that are missing."""
    _, archives = stack.build(Steps("sbom"))
    for image in stack.OWN:
        typer.echo(bill.path(archives[image]))


@app.command("tools")
def build_tools() -> None:
    """Build the programs only (kube-apiserver, etcd, istiod, ...), into the cache."""
    steps = Steps("tools")
    with steps.step("Programs from Go modules") as step:
        if not tools.ready():
            tools.require_go()
        tools.ensure(step)
    steps.finish()


@app.command()
def preview(
    stacks: Annotated[list[str] | None, typer.Argument(help="Such as prod; all when none is given.")] = None,
    against: Annotated[str, typer.Option(help="A git revision: show what changed since it.")] = "",
    region: Annotated[str, typer.Option(help="Where to, in place of what the stacks say.")] = "",
) -> None:
    """Show what `pulumi up` would make: the real engine on stand-in providers, no account, no network."""
    # Imported here: Pulumi's packages take seconds to load, and nothing else needs them.
    from point_local.preview import plan as infrastructure

    unknown = set(stacks or ()) - set(infrastructure.STACKS)
    if unknown:
        raise LocalError(
            f"no stack {', '.join(sorted(unknown))}: allowed are {', '.join(infrastructure.STACKS)}"
        )
    infrastructure.show(stacks or infrastructure.STACKS, against or None, region or None)


@app.command("pulumi-kubernetes")
def build_pulumi_kubernetes() -> None:
    """Build Pulumi's provider for Kubernetes into the cache, unless there is one (11 minutes on 2 cores)."""
    from point_local.preview import pulumi_cli

    steps = Steps("pulumi-kubernetes")
    with steps.step("Pulumi's provider for Kubernetes") as step:
        pulumi_cli.ensure_kubernetes(step)
    steps.finish()


@app.command("pulumi-cli")
def build_pulumi_cli() -> None:
    """Build the Pulumi CLI into the cache, unless there is one."""
    from point_local.preview import pulumi_cli

    steps = Steps("pulumi-cli")
    with steps.step("Pulumi CLI") as step:
        pulumi_cli.ensure(step)
    steps.finish()


@app.command("vitess")
def build_vitess() -> None:
    """Build the programs of Vitess into the cache, unless they are there (some ten minutes on 2 cores)."""
    from point_local.build import vitess

    steps = Steps("vitess")
    with steps.step("Programs of Vitess") as step:
        vitess.ensure(step)
    steps.finish()


@app.command("packages")
def install_packages() -> None:
    """Install the Debian packages that the tests' own servers need, if they are missing."""
    packages.ensure(packages.TESTS)


@app.command()
def drill(
    zone: Annotated[
        str, typer.Option(help="The zone that goes dark: a, b or c; all of them without it.")
    ] = "abc",
    mode: Annotated[
        str, typer.Option(help="stop (every process ends) or cut (the network is down); both without it.")
    ] = "",
    smaller: Annotated[
        bool,
        typer.Option("--smaller", help="Strike the smaller blows instead: pods, disk, certificates, ..."),
    ] = False,
    only: Annotated[str, typer.Option(help="With --smaller: only blows whose name has this in it.")] = "",
) -> None:
    """Let a zone go dark, or something smaller happen, under load; then compare the books."""
    _require_up()
    if zone not in ("a", "b", "c", "abc"):
        raise LocalError(f"--zone is {zone!r}: allowed are a, b and c")
    if mode not in ("", *zone_drill.MODES):
        raise LocalError(f"--mode is {mode!r}: allowed are stop and cut")
    zones = blows.zones(zone, (mode,) if mode else zone_drill.MODES)
    chosen = [b for b in blows.smaller() if only in b.name] if smaller else zones
    if not chosen:
        names = ", ".join(b.name for b in blows.smaller())
        raise LocalError(f"--only is {only!r}: it must be part of one of: {names}")
    if not zone_drill.run_all(chosen):
        raise LocalError("a drill did not pass: see the table")


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=1, max=1440, help="For how long.")] = 60,
    seed: Annotated[int, typer.Option(help="Another seed, another order of the blows.")] = 1,
    picture: Annotated[
        Path | None, typer.Option(help="Where the PNG goes; the state folder without it.")
    ] = None,
) -> None:
    """Load for an hour while blows fall at random; then the books, and a picture of latency and memory."""
    # Imported here: drawing takes a second to load, and nothing else needs it.
    from point_local.drill import soak as long_run

    _require_up()
    if not long_run.soak(minutes, picture or long_run.default_picture(), seed):
        raise LocalError("the soak did not pass: see above")


@app.command(hidden=True)
def failover() -> None:
    """Watch the data tier and keep one writer (what `up` starts in the background)."""
    data_failover.run()


@app.command()
def serve(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8080) -> None:
    """Run the service alone, on a local database and Redis, until Ctrl-C."""
    serve_alone.run(port)


def _require_up() -> None:
    if not paths.KUBECONFIG.exists():
        raise LocalError("the local cluster does not run: `make up` starts it")


def main() -> None:
    """Run the command line; an error a person can act on is shown as it is, without a traceback."""
    try:
        app(standalone_mode=True)
    except LocalError as error:
        error_console.print(f"[red]error:[/] {error}", highlight=False, markup=True)
        sys.exit(1)
