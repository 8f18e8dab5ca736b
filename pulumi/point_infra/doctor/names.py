"""What has a name: the hosted zone and who delegates to it, images, log groups that are left over."""

from collections.abc import Iterable, Sequence

from point_infra.doctor.finding import Finding, failed, ok, warning


def zone(name: str, zone_id: str, *, create: bool, ids: Sequence[str]) -> Finding:
    """Judge whether there is one public zone of the name to take, or none in the way of a new one."""
    what = f"zone {name}"
    if create and ids:
        return warning(
            what, f"{', '.join(ids)} already there, and another one is to be made", "set zone to existing"
        )
    if create:
        return ok(what, "made in stage foundation")
    if not ids:
        return failed(what, "no public hosted zone of the name", "set zone to create, or make it")
    if zone_id and zone_id not in ids:
        return failed(what, f"{zone_id} is not a zone of that name", f"set zoneId to {' or '.join(ids)}")
    if not zone_id and len(ids) > 1:
        return failed(
            what, f"two of the name: {', '.join(ids)}", "set zoneId to the one that is delegated to"
        )
    return ok(what, zone_id or ids[0])


def delegation(name: str, wanted: Iterable[str], public: Iterable[str]) -> Finding:
    """Judge whether the world finds the zone: a certificate waits up to 75 minutes for that."""
    what, servers, seen = f"delegation of {name}", _names(wanted), _names(public)
    then = f"NS records of {name} in its parent zone (or at the registrar): {', '.join(sorted(servers))}"
    if not seen:
        return failed(what, "the name has no name servers in DNS", then)
    if not seen & servers:
        return failed(what, f"to others: {', '.join(sorted(seen))}", then)
    if seen != servers:
        return warning(what, f"to {', '.join(sorted(seen))}", then)
    return ok(what, f"to the zone's own {len(servers)} name servers")


def example(digest: str) -> bool:
    """Whether a digest stands in for an image that is not pushed yet."""
    return set(digest.removeprefix("sha256:")) == {"0"}


def image(repository: str, digest: str, architectures: set[str], there: set[str] | None) -> Finding:
    """Judge an image by what the nodes need; `there` is what it has, empty where it does not say."""
    what = f"image {repository}"
    if example(digest):
        return warning(what, "its digest is an example, all zeros", "push it after stage foundation")
    if there is None:
        return failed(what, f"no {digest[:19]}... in the repository", "push it, and set its digest")
    missing = architectures - there if there else set[str]()
    if missing:
        return failed(what, f"not for {', '.join(sorted(missing))}", "build it with --platform for the nodes")
    return ok(what, f"{digest[:19]}..., {', '.join(sorted(there)) or 'one platform'}")


def log_groups(left: Sequence[str], *, taken_over: str, cluster: bool) -> Finding:
    """Judge whether log groups are in the way: what an earlier stack wrote late outlives it.

    That of the control plane is no obstacle: an update takes it over.
    """
    what = "log groups"
    others = [name for name in left if name != taken_over]
    if cluster or not others:
        there = f"none in the way; {taken_over} is there and is taken over" if left else "none in the way"
        return ok(what, "the running stack's own" if cluster else there)
    then = " && ".join(f"aws logs delete-log-group --log-group-name {name}" for name in others)
    return failed(what, f"left by an earlier stack: {', '.join(others)}", then)


def _names(servers: Iterable[str]) -> set[str]:
    return {s.rstrip(".").lower() for s in servers}
