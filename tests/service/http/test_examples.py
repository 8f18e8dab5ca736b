"""The examples of the API's description, told to the service as one story."""

import uuid
from datetime import datetime

import httpx
import pytest
from point_local.alone import serve
from point_service.http import openapi

# Each operation once in the role it needs, and what makes the next ones possible.
STORY = (
    ("earn", "service"),
    ("cancelEarn", "service"),
    ("earn", "service"),
    ("adminEarn", "admin"),
    ("use", "member"),
    ("cancelUse", "service"),
    ("balance", "member"),
    ("grants", "member"),
    ("history", "member"),
    ("order", "member"),
    ("adminBalance", "admin"),
    ("adminGrants", "admin"),
    ("adminHistory", "admin"),
    ("adminOrder", "admin"),
)
# The same, told by a system of the shop, which names the member in the path.
SHOPS = tuple((name, role) if role == "admin" else (f"{name}ForMember", "service") for name, role in STORY)
DOCUMENT = openapi.document()
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


class Story:
    """Tells this run's values as those of the examples: ids by the order in which they were made."""

    def __init__(self, member):
        self._member = member
        self._grants = []
        self._entries = []

    def grant(self, told):
        """Return this run's id of the grant that the examples call `told`."""
        return self._grants[told - 1]

    def made(self, grant_id):
        """Remember a new grant."""
        self._grants.append(grant_id)

    def tell(self, value, name=""):
        """Return an answer as the examples tell it, without its moments."""
        if isinstance(value, dict):
            cursor = "grant_id" if "grants" in value else "entry_id"
            return {
                name: self.tell(item, cursor if name == "next_cursor" else name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.tell(item) for item in value]
        if value is None:
            return None
        if name.endswith("grant_id"):
            return type(value)(self._grants.index(int(value)) + 1)
        if name == "entry_id":
            # The story has 7 entries, of which the newest comes first; between their ids there may be others.
            if int(value) not in self._entries:
                self._entries.append(int(value))
            return type(value)(7 - self._entries.index(int(value)))
        if name == "member_id":
            return "m-1" if value == self._member else value
        return "a moment" if is_moment(value) else value


def without_moments(value):
    """Return an example without its moments."""
    if isinstance(value, dict):
        return {name: without_moments(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_moments(item) for item in value]
    return "a moment" if is_moment(value) else value


def is_moment(value):
    """Tell a date or a moment."""
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def test_every_operation_is_in_the_story():
    assert {name for name, _ in (*STORY, *SHOPS)} == OPERATIONS.keys()


@pytest.mark.integration
@pytest.mark.parametrize("told", [STORY, SHOPS], ids=["a member's token", "the member in the path"])
def test_the_examples_are_what_the_service_answers(database_server, redis, master, service, told):
    del master
    member = f"m-{uuid.uuid4()}"
    story = Story(member)
    told_before = set()
    with (
        service(serve.environment(database_server, redis)) as served,
        httpx.Client(base_url=served.url, timeout=10) as client,
    ):
        for name, role in told:
            method, path, operation = OPERATIONS[name]
            values = {"member_id": member, "order_id": "o-1"}
            if "{grant_id}" in path:
                values["grant_id"] = story.grant(DOCUMENT["components"]["parameters"]["grant_id"]["example"])
            sent = operation.get("requestBody")
            answer = client.request(
                method,
                path.format(**values),
                json=sent["content"]["application/json"]["example"] if sent else None,
                params={"limit": 2} if "istory" in name or "rants" in name else None,
                headers={
                    "X-Member-Id": f"shop-{member}" if "{member_id}" in path else member,
                    "X-Member-Role": role,
                    "Idempotency-Key": str(uuid.uuid4()),
                },
            )
            status = "201" if method == "post" else "200"
            assert answer.status_code == int(status), (name, answer.text)
            if name in ("earn", "earnForMember", "adminEarn"):
                story.made(answer.json()["grant_id"])
            if name in told_before:
                continue
            told_before.add(name)
            example = operation["responses"][status]["content"]["application/json"]["example"]
            assert story.tell(answer.json()) == without_moments(example), name
