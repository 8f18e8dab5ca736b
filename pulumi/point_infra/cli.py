"""`point-infra`: questions about the infrastructure that need no engine."""

import sys
from typing import Annotated

import typer

from point_infra import offline
from point_infra.config.reader import ConfigError
from point_infra.cost import estimate, prices, usage
from point_infra.cost.pricelist import PriceListError, refresh

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


def main() -> None:
    """Run the command line; what is refused is one line and status 1."""
    try:
        app()
    except (ConfigError, PriceListError) as refused:
        sys.exit(f"error: {refused}")
    except FileNotFoundError as missing:
        sys.exit(f"error: no such stack: {missing.filename}")
