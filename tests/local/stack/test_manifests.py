"""Manifests of the local stack say what they must, whichever database the day gives."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_local.programs import paths, versions
from point_local.stack import application, credentials, data, issuer, manifests

MYSQL: dict[str, Any] = {
    "port": 30000,
    "zones": data.ZONES,
    "image": versions.local_image("database"),
    "uid": 10002,
    "writer": "a",
    "reader": "c",
    "checksum": "0",
}


def documents(name: str, **values: object) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(manifests.render(name, **values)) if d]


@pytest.mark.parametrize("server", ["mysql", "mariadb"])
def test_a_commit_waits_for_another_zone_however_long_it_takes(server: str) -> None:
    config = documents("mysql", server=server, **MYSQL)[0]["data"]["my.cnf"]
    assert "AFTER_SYNC" in config
    assert "timeout = 1000000000" in config
    assert "require_secure_transport = ON" in config


@pytest.mark.parametrize("server", ["mysql", "mariadb"])
def test_each_copy_of_the_database_is_bound_to_its_zone(server: str) -> None:
    sets = [d for d in documents("mysql", server=server, **MYSQL) if d["kind"] == "StatefulSet"]
    zones = [s["spec"]["template"]["spec"]["nodeSelector"]["topology.kubernetes.io/zone"] for s in sets]
    assert zones == [f"ap-northeast-2{z}" for z in "abc"]


def test_the_writer_is_in_zone_a_and_the_reader_in_zone_c() -> None:
    services = {
        d["metadata"]["name"]: d["spec"]["selector"]["instance"]
        for d in documents("mysql", server="mysql", **MYSQL)
        if d["kind"] == "Service"
    }
    assert services["mysql-writer"] == "mysql-a"
    assert services["mysql-reader"] == "mysql-c"


@pytest.mark.parametrize("name", ["mysql", "valkey"])
def test_data_pods_are_restricted(name: str) -> None:
    for document in documents(name, server="mysql", **MYSQL):
        if document["kind"] != "StatefulSet":
            continue
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not any("PASSWORD" in e["name"].upper() for e in container["env"])


@pytest.mark.parametrize("name", ["mysql", "valkey"])
def test_the_host_reaches_each_server_by_its_own_zones_machine_alone(name: str) -> None:
    """Through another zone's machine a server would be silent with a zone that isn't its own."""
    found = [d["spec"] for d in documents(name, server="mysql", **MYSQL) if d["kind"] == "Service"]
    ports = {
        spec["selector"]["instance"]: (spec["externalTrafficPolicy"], spec["ports"][0]["nodePort"])
        for spec in found
        if spec.get("type") == "NodePort"
    }
    expected = {
        f"{name}-{zone['letter']}": ("Local", 30000 + zone["index"])
        for zone in data.ZONES
        if name == "mysql" or zone["letter"] in data.CACHE_ZONES
    }
    assert ports == expected


def test_the_cache_speaks_tls_only() -> None:
    config = documents("valkey", **MYSQL)[0]["data"]["valkey.conf"].splitlines()
    assert {"port 0", "tls-port 6379", "tls-cluster yes", "tls-replication yes"} <= set(config)


def test_the_example_gets_the_local_issuers_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(issuer, "_KEY", tmp_path / "key.json")
    resource: Any = application.example()
    assert '"kty": "RSA"' in resource["spec"]["gateway"]["jwt"]["jwks"]
    assert '"d":' not in resource["spec"]["gateway"]["jwt"]["jwks"]


def test_every_secret_that_the_service_names_is_made_once_and_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(issuer, "_KEY", tmp_path / "key.json")
    monkeypatch.setattr(paths, "PKI", tmp_path)

    def made(there: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        found: Any = credentials.passwords(there, application.NAMESPACE)
        return {
            f"{one['metadata']['namespace']}/{one['metadata']['name']}": {
                name: base64.b64decode(value).decode() for name, value in one["data"].items()
            }
            for one in found
        }

    spec: Any = application.example()["spec"]
    named = {spec["database"][name] for name in ("credentialsSecret", "migrationSecret")}
    named |= {spec["cache"]["authSecret"], spec["logKeySecret"]}
    named |= {spec[part]["tls"]["caSecret"] for part in ("database", "cache")}
    first = made({})
    assert {f"{application.NAMESPACE}/{name}" for name in named} <= set(first)
    assert len(first[f"{application.NAMESPACE}/points-log"]["key"]) >= 16
    assert made(first) == first
    assert made({}) != first
