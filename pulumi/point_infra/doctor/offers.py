"""Whether the region has what the stack names: types in their zones, classes, versions, add-ons."""

import difflib
from collections.abc import Sequence

from point_infra.doctor.finding import Finding, failed, ok, warning
from point_infra.doctor.needs import Cache, Database, Nodes

_IMAGES = {
    "AL2023_x86_64_STANDARD": "amazon-eks-node-al2023-x86_64-standard",
    "AL2023_ARM_64_STANDARD": "amazon-eks-node-al2023-arm64-standard",
}


def zones(wanted: Sequence[str], there: Sequence[str]) -> Finding:
    """Judge the zones themselves."""
    missing = [z for z in wanted if z not in there]
    if missing:
        return failed(
            "zones",
            f"{', '.join(missing)} not there for this account",
            f"set availabilityZones to three of {', '.join(there)}",
        )
    return ok("zones", ", ".join(wanted))


def instance_types(group: Nodes, zones: Sequence[str], offered: dict[str, set[str]]) -> Finding:
    """Judge a node group: one of its types in every zone is enough."""
    what = f"nodes {'/'.join(group.types)}"
    anywhere = set[str]().union(*(offered[t] for t in group.types))
    missing = [z for z in zones if z not in anywhere]
    if not anywhere:
        return failed(what, "no zone of the region offers it", "another nodeInstanceType")
    if missing:
        return failed(
            what,
            f"not offered in {', '.join(missing)}",
            f"another nodeInstanceType, or availabilityZones out of {', '.join(sorted(anywhere))}",
        )
    return ok(what, f"offered in {', '.join(zones)}")


def database(d: Database, orderable: dict[str, set[str]], versions: Sequence[str]) -> list[Finding]:
    """Judge version, and each class in its zone."""
    what = f"{d.engine} {d.version}"
    if d.version not in versions:
        then = f"set databaseEngineVersion to one there is, such as {', '.join(near(d.version, versions))}"
        return [failed(what, "no such version here", then)]
    found = [ok(what, "there")]
    for class_, zone in dict.fromkeys(d.instances):
        at = orderable[class_]
        if not at:
            found.append(
                failed(f"{class_} for {what}", "can't be ordered here", "another databaseInstanceClass")
            )
        elif zone and zone not in at:
            found.append(
                failed(
                    f"{class_} for {what}",
                    f"can't be ordered in {zone}",
                    f"another databaseInstanceClass, or a zone of {', '.join(sorted(at))}",
                )
            )
        else:
            found.append(ok(f"{class_} for {what}", f"can be ordered in {zone or ', '.join(sorted(at))}"))
    return found


def cache_version(c: Cache, versions: Sequence[str]) -> Finding:
    """Judge the engine's version; AWS writes some with a patch number, which is its own to choose."""
    what = f"cache {c.engine} {c.version}"
    if any(v == c.version or v.startswith(c.version + ".") for v in versions):
        return ok(what, "there")
    then = f"set cacheEngineVersion to one there is, such as {', '.join(near(c.version, versions))}"
    return failed(what, "no such version here", then)


def cache_type(c: Cache, *, offered: bool) -> Finding:
    """Judge the node type by what reservations are sold for: no reservation is no proof."""
    what = f"cache {c.node_type}"
    if offered:
        return ok(what, "sold in the region")
    return warning(
        what, "no reservation is sold for it in the region", "see that ElastiCache's console offers it"
    )


def kubernetes(version: str, status: str | None) -> Finding:
    """Judge EKS' version: the cluster is asked for with standard support alone."""
    what = f"Kubernetes {version}"
    if status is None:
        return failed(what, "EKS has no such version", "set kubernetesVersion to one that EKS has")
    if status.upper().replace("-", "_") != "STANDARD_SUPPORT":
        return failed(what, status.lower().replace("_", " "), "set kubernetesVersion to a newer one")
    return ok(what, "standard support")


def addon(name: str, version: str, kubernetes: str, versions: Sequence[str]) -> Finding:
    """Judge a pinned add-on; `versions` fit that Kubernetes, the newest first."""
    what = f"add-on {name} {version}"
    if version in versions:
        return ok(what, f"fits Kubernetes {kubernetes}")
    there = f"the newest is {versions[0]}" if versions else "none fits"
    return failed(
        what,
        f"EKS does not offer it for {kubernetes}; {there}",
        "pin one in pulumi/point_infra/config/versions.py",
    )


def image_name(group: Nodes) -> str | None:
    """Name of the machine image behind a release such as 1.36.4-20260930; None for other kinds of node."""
    kind = _IMAGES.get(group.ami_type)
    if not kind or "-" not in group.release:
        return None
    version, date = group.release.split("-", 1)
    return f"{kind}-{version.rsplit('.', 1)[0]}-v{date}"


def node_image(group: Nodes, image: str, *, there: bool) -> Finding:
    """Judge the pinned release of the nodes' image."""
    what = f"node image {group.release}"
    if there:
        return ok(what, "published here")
    return warning(
        what,
        f"no image {image} here",
        "compare with docs/deploy.md, Patch the nodes, before the first update",
    )


def near(wanted: str, there: Sequence[str]) -> list[str]:
    """The three that look most like it, or else the last three."""
    return difflib.get_close_matches(wanted, there, n=3, cutoff=0.5) or list(there[-3:]) or ["none"]
