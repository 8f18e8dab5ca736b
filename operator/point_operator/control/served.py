"""Which images have served with the database as it is: they run without waiting for a migration. Pure."""

from collections.abc import Mapping
from typing import Any

from point_operator.model.api import PointService
from point_operator.observe.look import Seen
from point_operator.observe.workload import Rollout
from point_operator.resources.pods import migration

KEPT = 10
"""Images that are remembered: as far as anyone sets an image back."""


def images(point_service: PointService, seen: Seen, status: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the images that have served with this database and this login to it, the newest first."""
    known = status.get("served") or {}
    now = migration.target(point_service, seen.surroundings.login)
    return tuple(known.get("images") or ()) if known.get("database") == now else ()


def after(
    point_service: PointService, seen: Seen, running: Rollout, status: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return what status says of it after a look, None while nothing has been migrated."""
    if seen.migration.state != "Succeeded":
        return status.get("served")
    known = images(point_service, seen, status)
    if running.complete and running.image:
        known = (running.image, *(image for image in known if image != running.image))
    now = migration.target(point_service, seen.surroundings.login)
    return {"database": now, "images": list(known[:KEPT])}
