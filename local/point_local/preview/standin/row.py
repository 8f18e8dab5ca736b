"""How one type of resource is made for real in moto: a row of API calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Build = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """One type. `id` is a path into the create answer, or, after `=`, a format over the arguments.

    Keys: `X[]` takes the id in a list, `A|B` takes it apart at `|`.
    """

    service: str
    create: str
    id: str
    delete: str
    delete_key: str
    read: str = ""
    read_key: str = ""
    root: str = ""
    """Path to the object in the read answer."""
    alias: dict[str, str] = field(default_factory=dict[str, str])
    """Pulumi's name -> the API's."""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    out: dict[str, str] = field(default_factory=dict[str, str])
    """Output -> the API's name, where it is another than the input's."""
    extra_delete: dict[str, Any] = field(default_factory=dict[str, Any])
    tag_type: str = ""
    """EC2's resource type in TagSpecifications."""
    update: str = ""
    then: tuple[str, ...] = ()
    """Calls after the create, and on every update."""
    drift: tuple[str, ...] = ()
    """Inputs that a refresh compares."""
    build: Build | None = None
