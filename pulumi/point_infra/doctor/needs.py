"""What a stack asks of its account, read off what it declares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from point_infra.config.settings import Settings
from point_infra.cost.inventory import Declared


@dataclass(frozen=True)
class Nodes:
    """A node group: any of its types will do; it runs from `start` to `most` nodes."""

    name: str
    types: tuple[str, ...]
    spot: bool
    start: int
    most: int
    ami_type: str
    release: str


@dataclass(frozen=True)
class Database:
    """Aurora: its version, and which class stands in which zone."""

    engine: str
    version: str
    instances: tuple[tuple[str, str], ...]
    """Class and zone of each."""


@dataclass(frozen=True)
class Cache:
    """ElastiCache's engine, version and node type."""

    engine: str
    version: str
    node_type: str


@dataclass(frozen=True)
class Needs:
    """All of it; what a stack does not declare is empty or None."""

    nodes: tuple[Nodes, ...]
    addresses: int
    vpcs: int
    database: Database | None
    cache: Cache | None
    addons: dict[str, str]
    policies: tuple[str, ...]
    images: dict[str, str]
    """Digest by repository."""
    log_groups: tuple[str, ...]
    types: frozenset[str]
    """Every type of resource that it makes."""


def needs(s: Settings, declared: Sequence[Declared]) -> Needs:
    """Read them off; values that only an update knows are left out."""
    of = _Of(declared)
    return Needs(
        nodes=tuple(_nodes(d) for d in of("aws:eks/nodeGroup:NodeGroup")),
        addresses=len(of("aws:ec2/eip:Eip")),
        vpcs=len(of("aws:ec2/vpc:Vpc")),
        database=_database(of),
        cache=_cache(of),
        addons={
            _text(d.inputs["addon_name"]): _text(d.inputs["addon_version"])
            for d in of("aws:eks/addon:Addon")
            if _text(d.inputs["addon_version"])
        },
        policies=tuple(
            sorted(
                {
                    arn
                    for d in of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
                    if (arn := _text(d.inputs["policy_arn"]))
                }
                | ({s.permissions_boundary} if s.permissions_boundary else set[str]())
            )
        ),
        images={
            repository: digest
            for d in of("aws:ecr/repository:Repository")
            for image, digest in (
                ("service", s.service_image_digest),
                ("operator", s.operator_image_digest),
            )
            if (repository := _text(d.inputs["name"])).endswith(image)
        },
        log_groups=tuple(
            name for d in of("aws:cloudwatch/logGroup:LogGroup") if (name := _text(d.inputs["name"]))
        ),
        types=frozenset(d.type for d in declared),
    )


class _Of:
    def __init__(self, declared: Sequence[Declared]) -> None:
        self._declared = declared

    def __call__(self, type_: str) -> list[Declared]:
        return [d for d in self._declared if d.type == type_]


def _nodes(d: Declared) -> Nodes:
    scaling = d.inputs["scaling_config"]
    return Nodes(
        name=d.name,
        types=tuple(_text(t) for t in d.inputs["instance_types"]),
        spot=_text(d.inputs.get("capacity_type")) == "SPOT",
        start=int(_part(scaling, "min_size")),
        most=int(_part(scaling, "max_size")),
        ami_type=_text(d.inputs.get("ami_type")),
        release=_text(d.inputs.get("release_version")),
    )


def _database(of: _Of) -> Database | None:
    for cluster in of("aws:rds/cluster:Cluster"):
        return Database(
            engine=_text(cluster.inputs["engine"]),
            version=_text(cluster.inputs["engine_version"]),
            instances=tuple(
                (_text(d.inputs["instance_class"]), _text(d.inputs["availability_zone"]))
                for d in of("aws:rds/clusterInstance:ClusterInstance")
            ),
        )
    return None


def _cache(of: _Of) -> Cache | None:
    for group in of("aws:elasticache/replicationGroup:ReplicationGroup"):
        return Cache(*(_text(group.inputs[k]) for k in ("engine", "engine_version", "node_type")))
    return None


def _part(value: Any, key: str) -> Any:
    """A member of what the SDK takes as a dictionary or as an object of its own."""
    return value[key] if isinstance(value, dict) else getattr(value, key)


def _text(value: object) -> str:
    """A value that is known, as text; else nothing."""
    plain = getattr(value, "value", value)
    return plain if isinstance(plain, str) else ""
