"""What becomes the PointService's gateway is refused in the config, not by its CRD after half an hour of `up`.

One table for both: the CRD's own trials, which tests/operator/model/test_crd.py puts to an API server.
"""

from collections.abc import Callable
from typing import Any

import pytest
from harness.gateway_trials import TRIALS
from point_infra.config.reader import ConfigError
from point_infra.config.settings import Settings

FIELDS = {
    "gateway.hosts": "domainName",
    "gateway.jwt.issuer": "jwtIssuer",
    "gateway.jwt.audiences": "jwtAudiences",
    "gateway.jwt:uri.jwksUri": "jwksUri",
    "gateway.cors": "corsOrigins",
}
"""Path of a field of the PointService -> the key of the config that becomes it."""
STRICTER: dict[str, object] = {
    "one letter is no top-level domain": {"domainName": "a.b"},
    "the issuer is a web site": {"jwtIssuer": "urn:issuer"},
    "any token would do": {"jwtAudiences": []},
    "a page on AWS has TLS": {"corsOrigins": ["http://localhost:3000"]},
}
"""What the config refuses although the CRD takes it, and why."""


def _config(key: str, value: Any) -> list[dict[str, Any]]:
    """What a trial's value is in the config; nothing where it is about something that the config hasn't."""
    if key == "domainName":
        return [{key: value[0], "zoneName": value[0]}] if len(value) == 1 else []
    if key == "corsOrigins":
        return (
            [{key: value["allowOrigins"]}] if set(value) == {"allowOrigins"} and value["allowOrigins"] else []
        )
    return [{key: value}]


def _alone(key: str, value: Any) -> list[Any]:
    """A list that is taken, as a list of one for each that is in it: the config takes them one by one, or doesn't."""
    match key:
        case "domainName":
            return [[host] for host in value]
        case "corsOrigins":
            return [{"allowOrigins": [origin]} for origin in value["allowOrigins"]]
        case _:
            return [value]


REFUSED = [
    (FIELDS[path], changes)
    for path, _, refused in TRIALS
    if path in FIELDS
    for value, _ in refused
    for changes in _config(FIELDS[path], value)
]
TAKEN = [
    changes
    for path, taken, _ in TRIALS
    if path in FIELDS
    for value in taken
    for one in _alone(FIELDS[path], value)
    for changes in _config(FIELDS[path], one)
]


@pytest.mark.parametrize(("key", "changes"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_the_crd_refuses_the_config_refuses(
    load_stack: Callable[..., Settings], key: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_stack("prod", **changes)
    assert refused.value.key == key


@pytest.mark.parametrize("changes", TAKEN, ids=lambda value: str(value)[:60])
def test_what_the_crd_takes_the_config_takes_but_for_what_is_said(
    load_stack: Callable[..., Settings], changes: dict[str, Any]
) -> None:
    if {k: v for k, v in changes.items() if k != "zoneName"} in STRICTER.values():
        with pytest.raises(ConfigError):
            load_stack("prod", **changes)
    else:
        load_stack("prod", **changes)


def test_every_key_has_values_of_both_kinds() -> None:
    assert {key for key, _ in REFUSED} == set(FIELDS.values())
    assert {next(iter(changes)) for changes in TAKEN} == set(FIELDS.values())
    assert all(
        any(stricter == {k: v for k, v in c.items() if k != "zoneName"} for c in TAKEN)
        for stricter in STRICTER.values()
    )
