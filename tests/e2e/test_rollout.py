"""A new version takes over without a failed request, or does not take over at all and says why."""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Generator as Yields
from typing import Any

import pytest
from harness.sizes import size
from joserfc import jwt
from joserfc.jwk import RSAKey
from point_local.commands.demo import Client
from point_local.drill import variants
from point_local.drill.load import Generator, Load
from point_local.drill.observe import Object, gateway_address, gateway_pods, get, service_pods
from point_local.programs.command import kubectl, wait
from point_local.stack import application, credentials, edge, issuer
from point_local.stack.istio import GATEWAY_NAMESPACE
from point_local.stack.manifests import apply_all

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

RATE = size("ROLLOUT_RATE", 10, 30)
"""Requests a second. A new pod's start takes a core of this machine; what else it must do is no rollout's fault."""
DEADLINE = 20
"""Seconds within which a rollout must gain a ready pod."""
CANARY = f"{application.NAME}-canary"

Patch = Callable[..., None]


@pytest.fixture
def spec() -> Iterator[Patch]:
    """Change top-level fields of the PointService's spec; taken back when the test ends."""

    def patch(**changes: object) -> None:
        text = json.dumps({"spec": changes})
        kubectl("patch", "pts", application.NAME, "-n", application.NAMESPACE, "--type=merge", "-p", text)

    yield patch
    patch(logLevel=None, rollout=None)
    application.apply_pointservice()
    application.wait_ready()
    wait("everything is as before", lambda: condition("Progressing")["reason"] == "Complete", seconds=120)


@pytest.fixture
def load() -> Iterator[Load]:
    """Members and the shop at work all the while."""
    load, stopped = Load(RATE), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(Generator(load).run(stopped.is_set)))
    thread.start()
    try:
        wait("the load is under way", lambda: len(load.write_times) > RATE, seconds=60)
        yield load
    finally:
        stopped.set()
        thread.join()


@contextlib.contextmanager
def variant(name: str, program: str) -> Yields[str]:
    """An image on every worker for as long as the block runs."""
    image = variants.install(name, program)
    try:
        yield image
    finally:
        variants.remove(name)


def test_a_new_image_and_a_new_setting_take_over_without_a_failed_request(load: Load, spec: Patch) -> None:
    with variant("next", variants.ITSELF) as image:
        spec(image=image)
        wait("the new image serves", lambda: status().get("image") == image, seconds=120)
        wait("all of it", lambda: condition("Progressing")["reason"] == "Complete", seconds=60)
        before = {pod["metadata"]["uid"] for pod in service_pods()}
        spec(logLevel="WARNING")
        wait("other pods serve", lambda: _all_are_new(before), seconds=120)
        wait("all of them", lambda: condition("Progressing")["reason"] == "Complete", seconds=60)
        assert load.failure_reasons == {}
        answered = len(load.latencies)
        spec(image=example_image())
        wait("the image of before serves", lambda: status().get("image") == example_image(), seconds=120)
    assert len(load.latencies) > answered
    assert load.failure_reasons == {}


@pytest.mark.parametrize(
    ("program", "reason", "words"),
    [
        # Between two ends it runs for a moment.
        (
            variants.CRASHES,
            "RolloutStuck",
            "app CrashLoopBackOff|app was started again",
        ),
        (variants.NEVER_READY, "RolloutStuck", "No new pod became ready in time"),
        (variants.MIGRATION_FAILS, "MigrationFailed", "no such column: left"),
    ],
    ids=["crashes", "never ready", "migration fails"],
)
def test_a_bad_image_never_takes_the_running_one_down(
    load: Load, spec: Patch, program: str, reason: str, words: str
) -> None:
    pods = {pod["metadata"]["uid"] for pod in service_pods()}
    with variant("bad", program) as image:
        spec(image=image, rollout={"progressDeadlineSeconds": DEADLINE})
        # Three tries of a migration take the longest: they pause for 10 and 20 s.
        wait(f"Degraded {reason}", lambda: condition("Degraded")["reason"] == reason, seconds=90)
        told = condition("Degraded")["message"]
        assert re.search(words, told)
        assert "The running version keeps serving" in told or "the running version keeps serving" in told
        assert condition("Ready")["status"] == "True"
        assert status()["image"] == example_image()
        assert pods <= {pod["metadata"]["uid"] for pod in service_pods()}
        assert load.failure_reasons == {}
        spec(image=example_image())
        wait("all is well", lambda: condition("Degraded")["status"] == "False", seconds=60)
    assert load.failure_reasons == {}


def test_a_good_image_passes_as_a_canary_and_takes_over_without_a_failed_request(
    load: Load, spec: Patch
) -> None:
    terms = {"strategy": "Canary", "canary": {"weight": 20, "bakeSeconds": 20}}
    with variant("next", variants.ITSELF) as image:
        spec(image=image, rollout=terms)
        wait("the canary gets requests", lambda: canary().get("state") == "Running", seconds=90)
        assert status()["image"] == example_image()
        wait("the new image serves", lambda: status().get("image") == image, seconds=150)
        wait("nothing of the canary is left", lambda: get("deployment", CANARY) is None, seconds=60)
        record = canary()
        assert record["state"] == "Succeeded"
        assert record["requests"] > 20, "a fifth of ten a second, for twenty seconds"
        assert record.get("errors", 0) == 0
        assert load.failure_reasons == {}
        spec(image=example_image(), rollout=None)
        wait("the image of before serves", lambda: status().get("image") == example_image(), seconds=120)
    assert load.failure_reasons == {}


def test_an_image_that_answers_503_is_taken_back_by_itself(load: Load, spec: Patch) -> None:
    pods = {pod["metadata"]["uid"] for pod in service_pods()}
    terms = {"strategy": "Canary", "canary": {"weight": 10, "bakeSeconds": 60, "maxErrorPercent": 5}}
    with variant("bad", variants.ANSWERS_503) as image:
        spec(image=image, rollout=terms)
        wait("it is taken back", lambda: condition("Degraded")["reason"] == "CanaryFailed", seconds=120)
        told = condition("Degraded")["message"]
        assert "requests failed" in told
        assert image in told
        assert condition("Ready")["status"] == "True"
        wait("nothing of the canary is left", lambda: get("deployment", CANARY) is None, seconds=60)
        failed, answered = load.failures, len(load.latencies)
        assert failed < answered / 5
        wait("a hundred more answers", lambda: len(load.latencies) > answered + 100, seconds=60)
        assert load.failures == failed, "nothing fails any more"
        assert get("deployment", CANARY) is None, "it is not tried again"
        assert status()["image"] == example_image()
        assert pods <= {pod["metadata"]["uid"] for pod in service_pods()}
        spec(image=example_image(), rollout=None)
        wait("all is well", lambda: condition("Degraded")["status"] == "False", seconds=60)


def test_changed_keys_and_a_changed_certificate_take_effect_without_a_restart(
    load: Load, spec: Patch
) -> None:
    pods = {pod["metadata"]["uid"] for pod in service_pods()} | set(gateway_pods())
    another = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    claims = issuer.payload("m-rotated")
    token = jwt.encode({"alg": "RS256", "kid": another.kid}, claims, another)

    def answer() -> int:
        with Client("m-rotated") as client:
            return client.call("GET", "/v1/points", token=token).status_code

    assert answer() == 401
    known = json.loads(issuer.jwks())["keys"]
    both = json.dumps({"keys": [*known, another.as_dict(private=False)]})
    example: Any = application.example()
    gateway = example["spec"]["gateway"]
    spec(gateway=gateway | {"jwt": gateway["jwt"] | {"jwks": both}})
    wait("the new key is believed", lambda: answer() == 200, seconds=30)
    application.apply_pointservice()
    wait("and not any more", lambda: answer() == 401, seconds=30)

    before = certificate()
    name = f"{GATEWAY_NAMESPACE}/{gateway['tls']['credentialName']}"
    apply_all([credentials.certificates(GATEWAY_NAMESPACE, application.hosts())[name]])
    wait("the new certificate is shown", lambda: certificate() != before, seconds=60)
    assert pods == {pod["metadata"]["uid"] for pod in service_pods()} | set(gateway_pods())
    assert load.failure_reasons == {}


def test_one_that_is_applied_is_ready_soon() -> None:
    name = (application.NAME, "-n", application.NAMESPACE)
    kubectl("delete", "pts", *name, "--timeout=60s")
    for kind in ("deployment", "virtualservice"):
        wait("its children are gone", lambda k=kind: get(k, application.NAME) is None, seconds=60)
    started = time.monotonic()
    application.apply_pointservice()
    wait(
        "the route, which is applied last",
        lambda: get("virtualservice", application.NAME),
        seconds=60,
        every=0.05,
    )
    applied = time.monotonic() - started
    kubectl("wait", "--for=condition=Ready", "pts", *name, "--timeout=120s")
    ready = time.monotonic() - started
    print(f"\nfrom apply to every child {applied:.1f} s, to Ready {ready:.1f} s")  # docs/benchmarks.md
    wait("members are served", lambda: edge.healthy(application.hosts()[0]), seconds=60)


def certificate() -> bytes:
    """What the gateway shows to who connects."""
    context = ssl.create_default_context(cafile=str(edge.ca()))
    host = application.hosts()[0]
    with (
        socket.create_connection(gateway_address(), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def status() -> Object:
    """The PointService's status."""
    found = get("pts", application.NAME)
    return found["status"] if found else {}


def condition(kind: str) -> Any:
    """One of its conditions."""
    return next(one for one in status()["conditions"] if one["type"] == kind)


def canary() -> Object:
    """What it says of the newest canary."""
    return status().get("canary", {})


def example_image() -> str:
    """The image that runs before and after each test."""
    example: Any = application.example()
    return str(example["spec"]["image"])


def _all_are_new(before: set[str]) -> bool:
    now = {pod["metadata"]["uid"] for pod in service_pods()}
    return len(now) >= 2 and not now & before
