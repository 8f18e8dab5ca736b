"""`point-infra`: questions about the infrastructure that need no engine."""

import sys
from typing import Annotated

import typer

from point_infra.config.reader import ConfigError
from point_infra.cost.pricelist import FILE, PriceListError, refresh

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def point_infra() -> None:
    """Questions about the infrastructure that need no engine."""


@app.command()
def cost(
    stacks: Annotated[list[str] | None, typer.Argument(help="Stacks of this checkout [prod dev].")] = None,
    new: Annotated[
        bool, typer.Option("--refresh", help="Read AWS's price list first (pricing:GetProducts).")
    ] = False,
) -> None:
    """Print what each stack costs a month, line by line, and all beside the budget."""
    if new:
        kept = refresh(FILE)
        typer.echo(f"wrote {FILE}; as they were: {', '.join(kept) or 'none'}")
    # Later than the refresh: the price file is read when these are imported.
    from point_infra.cost import estimate as table
    from point_infra.offline import declared

    priced = {stack: table.lines(declared(stack)) for stack in stacks or ("prod", "dev")}
    for stack, lines in priced.items():
        typer.echo(f"\n{stack}\n{table.table(lines)}")
    typer.echo(f"\n{table.compare(priced)}")


def main() -> None:
    """Run the command line; what is refused is one line and status 1."""
    try:
        app()
    except (ConfigError, PriceListError) as refused:
        sys.exit(f"error: {refused}")
    except FileNotFoundError as missing:
        sys.exit(f"error: no such stack: {missing.filename}")
