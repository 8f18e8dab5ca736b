"""`point-infra`: questions about the infrastructure that need no engine."""

import ipaddress
import json
import sys
from typing import Annotated

import typer

from point_infra import offline
from point_infra.config.reader import ConfigError
from point_infra.cost import capacity as sizing
from point_infra.cost import estimate, prices, usage
from point_infra.cost.pricelist import PriceListError, refresh
from point_infra.doctor.account import Account
from point_infra.doctor.examine import Examination
from point_infra.doctor.finding import Mark
from point_infra.doctor.needs import needs

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def point_infra() -> None:
    """Questions about the infrastructure that need no engine."""


@app.command()
def cost(
    stacks: Annotated[list[str] | None, typer.Argument(help="Stacks of this checkout [all].")] = None,
    new: Annotated[
        bool,
        typer.Option("--refresh", help="Read AWS's price list first (pricing:GetProducts)."),
    ] = False,
) -> None:
    """Print what each stack costs a month, line by line, and all beside the budget."""
    priced: dict[str, list[estimate.Line]] = {}
    for stack in stacks or offline.stacks():
        settings = offline.settings(stack)
        if new:
            kept = refresh(settings.region)
            typer.echo(f"read {settings.region}; as they were: {', '.join(kept) or 'none'}")
        known, expected = prices.load(settings.region), usage.of(settings.profile)
        priced[stack] = estimate.lines(offline.declared(stack), known, expected)
        typer.echo(f"\n{stack}\n{estimate.table(priced[stack], known, expected)}")
    typer.echo(f"\n{estimate.compare(priced)}")


@app.command()
def capacity(
    stack: Annotated[str, typer.Argument(help="The stack that grows, of this checkout.")] = "prod",
    members: Annotated[int | None, typer.Option(min=1, help="Members, instead of the usual table.")] = None,
    uses: Annotated[float | None, typer.Option(min=0.1, help="Uses a second at the busiest.")] = None,
    years: Annotated[float, typer.Option(min=0.1, help="Years of history.")] = 5,
) -> None:
    """Print what members, uses a second and years of history need, and cost a month, from measured costs of a use."""
    if (members is None) != (uses is None):
        raise typer.BadParameter("give --members and --uses together")
    asked = sizing.DEMANDS if members is None or uses is None else ((members, uses, years),)
    measured = sizing.read()
    region = offline.settings(stack).region
    known = sizing.priced(prices.load(region))
    costs: list[tuple[sizing.Sizing, list[estimate.Line]]] = []
    for one in asked:
        needed = sizing.size(sizing.Demand(*one), measured)
        declared = offline.declared(stack, **needed.changes) if needed.database else []
        costs.append((needed, estimate.lines(declared, known, needed.usage)))
    typer.echo(sizing.table(costs, measured, region))


@app.command()
def doctor(
    stack: Annotated[str, typer.Argument(help="A stack of this checkout.")] = "prod",
    address: Annotated[
        str, typer.Option("--from", help="Public address that `pulumi up` comes from; else this machine's.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Ask the account whether it would take a stack: quotas, versions, names, rights, reach. Changes nothing.

    Status 1 when something would stop `pulumi up` (✗). ! is a warning, ? what could not be asked.
    """
    try:
        seen_as = str(ipaddress.ip_address(address)) if address else None
    except ValueError:
        raise typer.BadParameter(f"{address} is no IP address", param_hint="--from") from None
    settings = offline.settings(stack)
    typer.echo(f"reading what {stack} declares in {settings.region}, then asking AWS", err=True)
    wanted = needs(settings, offline.declared(stack))
    account = Account(settings.region, settings.zone_role_arn)
    marks: list[Mark] = []
    for finding in Examination(settings, wanted, account, seen_as).findings():
        typer.echo(json.dumps(finding.document()) if as_json else finding.line())
        marks.append(finding.mark)
    counts = ", ".join(f"{marks.count(m)} {m}" for m in Mark if m in marks)
    typer.echo(f"{counts}, of what stage {settings.stage} makes", err=True)
    if Mark.FAILED in marks:
        sys.exit(1)


def main() -> None:
    """Run the command line; what is refused is one line and status 1."""
    try:
        app()
    except (ConfigError, PriceListError) as refused:
        sys.exit(f"error: {refused}")
    except FileNotFoundError as missing:
        sys.exit(f"error: no such stack: {missing.filename}")
