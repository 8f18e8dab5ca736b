"""The network between an operator and the API server goes, wholly or in part, and comes back.

The whole one lasts 20 s in the gate, ten minutes in `make test-long`.
"""

import base64
import contextlib
import datetime
import itertools
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.sizes import size
from point_operator.model import kinds

pytestmark = pytest.mark.integration

USER = "system:serviceaccount:point-system:point-operator"
PARTITION_SECONDS = size("PARTITION_SECONDS", 20, 600)
TAKEOVER_SECONDS = 15.0


class Link:
    """A way to the API server that can be cut: nothing passes, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self._stalled: set[int] = set()
        self._living: dict[int, tuple[socket.socket, socket.socket]] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Let nothing pass any more, neither on old connections nor on new ones."""
        self._open.clear()

    def stall(self) -> None:
        """Let nothing pass on the connections that there are; new ones work."""
        self._stalled.update(self._living)

    def heal(self) -> None:
        """Let new connections through; what was under way is lost."""
        for pair in list(self._living.values()):
            _close(*pair)
        self._open.set()

    def close(self) -> None:
        """End it."""
        self._ended.set()
        _close(self._listener, *itertools.chain(*self._living.values()))

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._target)
            except OSError:
                return
            self._living[number] = (here, there)
            threading.Thread(target=self._carry, args=(number, here, there), daemon=True).start()

    def _carry(self, number: int, here: socket.socket, there: socket.socket) -> None:
        other = {here: there, there: here}
        with contextlib.suppress(OSError, ValueError):  # closed by `heal` or `close`
            while not self._ended.is_set():
                readable, _, _ = select.select([here, there], [], [], 0.1)
                if not self._open.is_set() or number in self._stalled:
                    time.sleep(0.1)
                    continue
                for one in readable:
                    data = one.recv(1 << 16)
                    if not data:
                        return _close(here, there)
                    other[one].sendall(data)
        self._living.pop(number, None)
        return None


@pytest.fixture
def link(server: Any) -> Iterator[Link]:
    """A way to the API server that can be cut."""
    made = Link(server.port)
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.timeout(180 + PARTITION_SECONDS)
def test_a_partition_has_one_successor_and_no_write_of_the_cut_off_one(
    tenant: Any, operator: Any, server: Any, process: Any, link: Link
) -> None:
    tenant.ready()
    operator.stop()  # it works without a Lease
    cut_off, credential = _replica(server, process, "cut-off", link.port)
    other, other_credential = _replica(server, process, "other", server.port)
    drifting = Drift(tenant)
    try:
        cut_off.start()
        tenant.kube.wait("it to lead", lambda: cut_off.metric("point_operator_leader") == 1)
        other.start()
        drifting.start()
        tenant.kube.wait("its repairs", lambda: cut_off.metric("point_operator_drift_repaired_total") > 3)
        cut = time.monotonic()
        link.cut()
        tenant.kube.wait(
            "the other one to lead", lambda: other.metric("point_operator_leader") == 1, TAKEOVER_SECONDS
        )
        assert cut_off.process.wait(1) == 70, "it ended by itself before its Lease lapsed"
        cut_off.start()  # as the kubelet would
        tenant.kube.wait("repairs", lambda: other.metric("point_operator_drift_repaired_total") > 3)
        time.sleep(max(0.0, cut + PARTITION_SECONDS - time.monotonic()))  # how long is the point of it
        link.heal()
        healed = datetime.datetime.now(datetime.UTC).isoformat()
        tenant.kube.wait(
            "it to be back as a standby",
            lambda: any(one["requestReceivedTimestamp"] > healed for one in _requests(server, credential)),
            seconds=20,
        )
        repaired = other.metric("point_operator_drift_repaired_total")
        tenant.kube.wait(
            "repairs to go on", lambda: other.metric("point_operator_drift_repaired_total") > repaired + 3
        )
        assert cut_off.metric("point_operator_leader") == 0
    finally:
        drifting.stop()
        for one in (cut_off, other):
            if one.process is not None and one.process.poll() is None:
                one.stop()
        operator.start()
    last, first = max(_writes(server, credential)), min(_writes(server, other_credential))
    assert last < first, "the cut-off one wrote after its successor had begun"


def test_a_stalled_watch_costs_no_more_than_a_resync(
    make_tenant: Any, operator: Any, server: Any, process: Any, link: Link
) -> None:
    tenant, late = make_tenant(), make_tenant()
    tenant.ready()
    operator.stop()
    account = _account(server, "stalled", link.port)[0]
    stalled = process(server, account, "--no-lease", name="stalled", POINT_OPERATOR_RESYNC_SECONDS="5")
    stalled.start()
    try:
        tenant.kube.delete(kinds.SERVICE, tenant.namespace, "points")
        tenant.kube.wait("the Service to return", lambda: tenant.get(kinds.SERVICE))
        link.stall()
        late.create()
        tenant.kube.delete(kinds.SERVICE, tenant.namespace, "points")
        tenant.kube.wait("the Service to return", lambda: tenant.get(kinds.SERVICE), 40)
        late.kube.wait("the new one's route", lambda: late.get(kinds.VIRTUAL_SERVICE), 40)
    finally:
        stalled.stop()
        operator.start()


class Drift:
    """Someone who changes a child again and again."""

    def __init__(self, tenant: Any) -> None:
        self._tenant = tenant
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, if it has begun."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(15)

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            self._tenant.edit(kinds.AUTOSCALER, {"spec": {"maxReplicas": 99}})


def _replica(server: Any, process: Any, name: str, port: int) -> tuple[Any, str]:
    """A replica with a token of its own and that token's identity, which the audit log tells."""
    account, credential = _account(server, name, port)
    return process(server, account, name=name), credential


def _account(server: Any, name: str, port: int) -> tuple[Path, str]:
    token = server.kubectl("create", "token", "point-operator", "-n", "point-system", "--duration=1h").strip()
    path: Path = server.token_kubeconfig(name, token)
    path.write_text(path.read_text().replace(f":{server.port}", f":{port}"))
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return path, f"JTI={claims['jti']}"


def _requests(server: Any, credential: str) -> list[dict[str, Any]]:
    """Every request of the holder of a token."""
    extra = "authentication.kubernetes.io/credential-id"
    return [one for one in server.audit(USER) if credential in one["user"].get("extra", {}).get(extra, [])]


def _writes(server: Any, credential: str) -> list[str]:
    """When the holder of a token wrote something other than the Lease."""
    return [
        one["requestReceivedTimestamp"]
        for one in _requests(server, credential)
        if one["verb"] not in ("get", "list", "watch") and one["objectRef"]["resource"] != "leases"
    ]


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
