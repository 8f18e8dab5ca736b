"""Manifests of the local stack, as templates, and how they reach the cluster."""

import hashlib
from collections.abc import Sequence

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from point_local.programs import paths
from point_local.programs.command import kubectl

Manifest = dict[str, object]

_templates = Environment(
    loader=FileSystemLoader(paths.MANIFESTS),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701  (YAML, and every value is this program's own)
)


def apply(name: str, **values: object) -> None:
    """Render manifests/`name`.yaml and apply it. `checksum` in it is the template's own digest."""
    source = (paths.MANIFESTS / f"{name}.yaml").read_text()
    checksum = hashlib.sha256((source + repr(sorted(values.items()))).encode()).hexdigest()[:16]
    apply_text(render(name, checksum=checksum, **values))


def render(name: str, **values: object) -> str:
    """manifests/`name`.yaml with its values filled in."""
    return _templates.get_template(f"{name}.yaml").render(**values)


def apply_text(text: str) -> None:
    """Apply manifests given as YAML text, as the field manager `point-local`."""
    kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=point-local", "-f", "-", stdin=text
    )


def apply_all(manifests: Sequence[Manifest]) -> None:
    """Apply manifests given as data."""
    apply_text(yaml.safe_dump_all(manifests))
