"""Make, read, change and delete resources through boto3 against the moto server of AWS_ENDPOINT_URL."""

import functools
import os
import re
from typing import Any

import boto3
import jmespath
from botocore.exceptions import ClientError

from point_local.preview.standin import managed_group, records
from point_local.preview.standin.live_types import ROWS
from point_local.preview.standin.row import Row

_GONE = ("NotFound", "NoSuch", "does not exist", "not found", "ResourceNotFound")


def on(token: str) -> bool:
    """Whether resources of this type are made for real."""
    return bool(os.environ.get("AWS_ENDPOINT_URL")) and (token in ROWS or token == records.TYPE)


@functools.cache
def client(service: str, region: str | None = None) -> Any:
    """A boto3 client; region by argument or AWS_DEFAULT_REGION."""
    return boto3.client(service, region_name=region)  # pyright: ignore


def norm(name: str) -> str:
    """A name without case and separators, by which Pulumi's and AWS's are compared."""
    return re.sub("[^a-z0-9]", "", name.lower())


def create(token: str, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Make one; returns its id and its outputs by normalised name. AWS's own models check the arguments."""
    if token == records.TYPE:
        return records.upsert(client("route53"), props), {}
    row = ROWS[token]
    kwargs = row.build(props) if row.build else {**row.extra, **_arguments(row, row.create, props)}
    if row.tag_type and props.get("tags"):
        tags = [{"Key": k, "Value": v} for k, v in props["tags"].items()]
        kwargs["TagSpecifications"] = [{"ResourceType": row.tag_type, "Tags": tags}]
    answer = getattr(client(row.service, props.get("region")), row.create)(**kwargs)
    id_ = (
        row.id[1:].format(**kwargs) if row.id.startswith("=") else jmespath.search(row.id.lstrip("."), answer)
    )
    region = props.get("region")
    id_ = f"{region}~{id_}" if region else id_
    _then(row, id_, props)
    real = read(token, id_) or {}
    if token == managed_group.TYPE:
        real["clustersecuritygroupid"] = managed_group.make(
            client("ec2"), id_, props["vpcConfig"]["subnetIds"]
        )
    return id_, real


def read(token: str, id_: str) -> dict[str, Any] | None:
    """Outputs by normalised name; None when it is gone, nothing when the type can't be read."""
    if token == records.TYPE:
        return {} if records.exists(client("route53"), id_) else None
    row = ROWS[token]
    if not row.read:
        return {}
    region, bare = _region(id_)
    try:
        answer = getattr(client(row.service, region), row.read)(**_key(row.read_key, bare))
    except ClientError as error:
        if any(word in str(error) for word in _GONE):
            return None
        raise
    raw = jmespath.search(row.root, answer)
    if not raw:
        return None
    names = {norm(api): norm(mine) for mine, api in {**row.alias, **row.out}.items()}
    return {names.get(norm(k), norm(k)): v for k, v in raw.items() if _simple(v)}


def log_groups(prefix: str) -> list[str]:
    """Names of the log groups that are there and begin so."""
    if not on("aws:cloudwatch/logGroup:LogGroup"):
        return []
    found = client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return [group["logGroupName"] for group in found]


def update(token: str, id_: str, props: dict[str, Any]) -> None:
    """Change one to `props`."""
    if token == records.TYPE:
        records.upsert(client("route53"), props)
        return
    row = ROWS[token]
    region, _ = _region(id_)
    if row.update:
        getattr(client(row.service, region), row.update)(**_arguments(row, row.update, props))
    _then(row, id_, props)


def delete(token: str, id_: str) -> None:
    """Delete one; one that is gone already is no error."""
    if token == records.TYPE:
        records.remove(client("route53"), id_)
        return
    row = ROWS[token]
    if not row.delete:
        return
    region, bare = _region(id_)
    try:
        getattr(client(row.service, region), row.delete)(**_key(row.delete_key, bare), **row.extra_delete)
    except ClientError as error:
        if not any(word in str(error) for word in _GONE):
            raise
    if token == managed_group.TYPE:
        managed_group.remove(client("ec2"), bare)


def changed(token: str, side: dict[str, Any], real: dict[str, Any]) -> dict[str, Any]:
    """What of `side` differs from the real one, among the inputs that a refresh compares."""
    drift = ROWS[token].drift if token in ROWS else ()
    return {k: real[norm(k)] for k in drift if k in side and norm(k) in real and real[norm(k)] != side[k]}


def _simple(value: Any) -> bool:
    """Objects in lists look otherwise in Pulumi, so they are left to `shapes`."""
    return isinstance(value, str | bool | int | float) or (
        isinstance(value, list) and all(isinstance(v, str) for v in value)  # pyright: ignore
    )


def _then(row: Row, id_: str, props: dict[str, Any]) -> None:
    region, bare = _region(id_)
    for method in row.then:
        kwargs = _arguments(row, method, props)
        key = row.delete_key
        getattr(client(row.service, region), method)(**{**_key(key, bare), **kwargs})


def _region(id_: str) -> tuple[str | None, str]:
    region, mark, bare = id_.partition("~")
    return (region, bare) if mark else (None, id_)


def _key(spec: str, id_: str) -> dict[str, Any]:
    if "|" in spec:
        return dict(zip(spec.split("|"), id_.split("|"), strict=True))
    return {spec[:-2]: [id_]} if spec.endswith("[]") else {spec: id_}


def _arguments(row: Row, method: str, props: dict[str, Any]) -> dict[str, Any]:
    c = client(row.service)
    shape = c.meta.service_model.operation_model(c.meta.method_to_api_mapping[method]).input_shape
    return _to_api(shape, {row.alias.get(k, k): v for k, v in props.items()})


def _to_api(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            value = value[0] if isinstance(value, list) else value
            value = {next(iter(shape.members)): value} if isinstance(value, str) else value
            given = {norm(k): v for k, v in value.items() if v is not None}
            # Pulumi's redirect is RedirectConfig.
            names = {
                m: n for m in shape.members for n in (norm(m).removesuffix("config"), norm(m)) if n in given
            }
            return {m: _to_api(shape.members[m], given[n]) for m, n in names.items()}
        case "list" if isinstance(value, dict):
            members = shape.member.members
            if {norm(k) for k in value} <= {norm(m) for m in members}:  # pyright: ignore
                return [_to_api(shape.member, value)]  # at most one, so Pulumi has no list of it
            # Tags, dimensions: pairs of the list's own two members.
            return [dict(zip(members, kv, strict=True)) for kv in value.items()]  # pyright: ignore
        case "list":
            return [_to_api(shape.member, v) for v in (value if isinstance(value, list) else [value])]  # pyright: ignore
        case "map":
            return {k: str(v) for k, v in value.items()}
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value in (True, "true")
        case _:
            return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
