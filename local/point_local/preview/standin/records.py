"""DNS records in moto: one API call for all, so they have no row of their own."""

import json
from typing import Any

TYPE = "aws:route53/record:Record"


def upsert(client: Any, props: dict[str, Any]) -> str:
    """Make or change a record; returns an id that holds what it takes to delete it."""
    record: dict[str, Any] = {"Name": props["name"], "Type": props["type"]}
    if "aliases" in props:
        alias = props["aliases"][0]
        record["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    else:
        record |= {"TTL": int(props["ttl"]), "ResourceRecords": [{"Value": v} for v in props["records"]]}
    if "setIdentifier" in props:
        record |= {
            "SetIdentifier": props["setIdentifier"],
            "Failover": props["failoverRoutingPolicies"][0]["type"],
        }
    if "healthCheckId" in props:
        record["HealthCheckId"] = props["healthCheckId"]
    _change(client, props["zoneId"], "UPSERT", record)
    return json.dumps([props["zoneId"], record])


def exists(client: Any, id_: str) -> bool:
    """Whether the zone still has the record."""
    zone, record = json.loads(id_)
    found = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    wanted = (record["Name"].rstrip("."), record["Type"])
    return any((f["Name"].rstrip("."), f["Type"]) == wanted for f in found)


def remove(client: Any, id_: str) -> None:
    """Delete the record."""
    zone, record = json.loads(id_)
    _change(client, zone, "DELETE", record)


def _change(client: Any, zone: str, action: str, record: dict[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
