"""`make status`: what runs where, how it is, and how to reach it."""

import json
from typing import cast

from rich.table import Table

from point_local.drill import observe
from point_local.failover import controller
from point_local.machine import cluster
from point_local.programs import paths
from point_local.programs.command import LocalError, kubectl
from point_local.programs.progress import Steps, console
from point_local.stack import application, edge

_SHOWN = ("points", "point-system", "istio-ingress", "istio-system", "data", "monitoring")


def show(took: Steps | None = None) -> None:
    """Print the stack's tables. Raises LocalError when it does not run."""
    if not cluster.running():
        raise LocalError("the local cluster does not run: `make up` starts it")
    console.print(_workloads())
    _handles()
    if took is not None and took.took:
        slowest = sorted(took.took.items(), key=lambda kv: -kv[1])[:5]
        total = sum(took.took.values())
        console.print(
            f"up in {total:.0f} s; slowest: " + ", ".join(f"{k} {v:.0f} s" for k, v in slowest),
            highlight=False,
        )


def _workloads() -> Table:
    pods = cast("list[observe.Object]", json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"])
    table = Table(title="What runs", title_justify="left")
    zones = [n.name for n in cluster.WORKERS]
    for column in ("namespace", "workload", *zones):
        table.add_column(column)
    rows: dict[tuple[str, str], dict[str, list[str]]] = {}
    for pod in pods:
        where = pod["metadata"]["namespace"]
        if where not in _SHOWN or pod["status"].get("phase") in ("Succeeded", "Failed"):
            continue
        row = rows.setdefault((where, observe.workload(pod)), {})
        row.setdefault(pod["spec"].get("nodeName", "pending"), []).append(_state(pod))
    for (where, name), nodes in sorted(rows.items(), key=lambda r: (_SHOWN.index(r[0][0]), r[0][1])):
        table.add_row(where, name, *(" ".join(nodes.get(zone, [])) for zone in zones))
    return table


def _state(pod: observe.Object) -> str:
    return "[green]●[/]" if observe.ready(pod) else f"[red]{pod['status'].get('phase', '?')}[/]"


def _handles() -> None:
    """Lines, not a table: a path that is cut short can't be copied."""
    host = application.hosts()[0]
    answer = edge.status(host)
    state = "[green]answers[/]" if answer == 200 else f"[red]{answer or 'no answer'}[/]"
    console.print("How to reach it")
    for what, how in (
        ("URL (make url)", f"{edge.url(host)}  {state}"),
        ("failover controller", _controller()),
        ("certificate (make ca)", str(edge.ca())),
        ("kubeconfig (make kubeconfig)", str(paths.KUBECONFIG)),
        ("a member's token", "make -s token MEMBER=m-1"),
        ("the shop's token", "make -s token MEMBER=m-1 ROLE=service"),
        ("see it work", "make demo"),
        ("take it away", "make down"),
    ):
        console.print(f"  {what:<30}{how}", highlight=False, soft_wrap=True)


def _controller() -> str:
    if controller.DAEMON.process() is not None:
        return "watches"
    return "none: MariaDB has no failover here" if controller.watches() else "[red]does not run: make up[/]"
