"""A real etcd and kube-apiserver on loopback for a test run: no kubelet, no controllers, gone afterwards.

RBAC is on, so a test can act as a ServiceAccount that holds only its own rights.
"""

import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from point_local.alone.ports import free_port
from point_local.build import tools
from point_local.machine.pki import Authority, write_secret
from point_local.programs import paths
from point_local.programs.command import wait_established

DEADLINE = 60.0
"""Seconds that the servers may take until /readyz answers 200."""

_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "nonResourceURLs": ["/*"]},
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        # Of service accounts the reads as well: a test compares what they may do with what they did.
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
    ],
}


class ApiServer(msgspec.Struct, frozen=True, kw_only=True):
    """A running API server. The URL is on loopback; the kubeconfig's user may do everything."""

    url: str
    kubeconfig: Path
    directory: Path
    authority: Authority
    port: int
    processes: "dict[str, subprocess.Popen[bytes]]"
    """By program: etcd and kube-apiserver."""

    def restart(self, deadline: float = DEADLINE) -> None:
        """End the API server and start it again on the same port with the same data."""
        old = self.processes["kube-apiserver"]
        _stop(old)
        with (self.directory / "kube-apiserver.log").open("ab") as log:
            self.processes["kube-apiserver"] = subprocess.Popen(
                [str(word) for word in cast("list[str]", old.args)], stdout=log, stderr=subprocess.STDOUT
            )
        _wait_ready(self, deadline)

    def user_kubeconfig(self, name: str, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig whose client certificate says `user`; RBAC then applies. At most one group."""
        cert, key = self.authority.issue(user, [], organization=groups[0] if groups else None)
        return _kubeconfig(self.directory / f"{name}.kubeconfig", self.url, self.authority.cert, cert, key)

    def token_kubeconfig(self, name: str, token: str) -> Path:
        """Write a kubeconfig that authenticates with a bearer token, such as a ServiceAccount's."""
        path = self.directory / f"{name}.kubeconfig"
        write_secret(path, _config(self.url, self.authority.cert, {"token": token}))
        return path

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as the administrator; return what it printed, raise RuntimeError when it fails."""
        command = [str(paths.BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig), *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def audit(self, user: str) -> list[dict[str, Any]]:
        """Return the audit records of one user's finished requests, oldest first; watches when they end.

        Reads are on record for service accounts only.
        """
        records: list[dict[str, Any]] = []
        with (self.directory / "audit.log").open() as lines:
            for line in lines:
                if not line.endswith("\n"):
                    break  # still being written
                record = json.loads(line)
                if record["user"]["username"] == user:
                    records.append(record)
        return records


def istio_crds() -> Path:
    """Return the file with Istio's CRDs, from the pinned Istio module. Needs Go and its module cache."""
    return tools.module_dir("istio.io/istio") / "manifests/charts/base/files/crd-all.gen.yaml"


def missing_programs() -> list[str]:
    """Return the programs that `start` needs and that are not built."""
    return [name for name in ("etcd", "kube-apiserver", "kubectl") if not (paths.BIN / name).exists()]


@contextmanager
def start(crds: Iterable[Path] = (), deadline: float = DEADLINE) -> Generator[ApiServer]:
    """Run etcd and kube-apiserver until the block ends, with `crds` applied and established.

    Raises RuntimeError when a server ends early or is not ready after `deadline` seconds.
    """
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="point-apiserver-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        client, peer, secure = free_port(), free_port(), free_port()
        etcd = _start_etcd(stack, directory, client, peer)
        server = _start_apiserver(stack, directory, client, secure, etcd)
        _wait_ready(server, deadline)
        files = [str(path) for path in crds]
        if files:
            flags = [word for path in files for word in ("-f", path)]
            server.kubectl("apply", "--server-side", *flags)
            wait_established(server.kubectl, *flags)
        yield server


def _start_etcd(stack: ExitStack, directory: Path, client: int, peer: int) -> "subprocess.Popen[bytes]":
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return _spawn(
        stack,
        directory / "etcd.log",
        [
            str(paths.BIN / "etcd"),
            f"--data-dir={directory / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",  # the data is thrown away
            "--log-level=warn",
        ],
    )


def _start_apiserver(
    stack: ExitStack, directory: Path, etcd_port: int, port: int, etcd: "subprocess.Popen[bytes]"
) -> ApiServer:
    authority = Authority("point-apiserver", directory / "ca.crt", directory / "ca.key")
    serving, serving_key = authority.issue(
        "kube-apiserver", ["127.0.0.1", "localhost", "kubernetes.default.svc"]
    )
    (directory / "serving.crt").write_text(serving)
    write_secret(directory / "serving.key", serving_key)
    token_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = token_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_secret(directory / "tokens.key", pem.decode())
    (directory / "audit.yaml").write_text(json.dumps(_AUDIT))
    process = _spawn(
        stack,
        directory / "kube-apiserver.log",
        [
            str(paths.BIN / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={directory / 'serving.crt'}",
            f"--tls-private-key-file={directory / 'serving.key'}",
            f"--client-ca-file={directory / 'ca.crt'}",
            "--service-cluster-ip-range=127.77.0.0/16",  # a webhook is called on this machine or nowhere
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={directory / 'tokens.key'}",
            f"--service-account-signing-key-file={directory / 'tokens.key'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",  # no controller makes the default accounts
            "--endpoint-reconciler-type=none",
            "--enable-priority-and-fairness=false",
            f"--audit-policy-file={directory / 'audit.yaml'}",
            f"--audit-log-path={directory / 'audit.log'}",
            "--audit-log-mode=blocking",
            "--shutdown-delay-duration=0s",
        ],
    )
    url = f"https://127.0.0.1:{port}"
    cert, key = authority.issue("admin", [], organization="system:masters")
    kubeconfig = _kubeconfig(directory / "admin.kubeconfig", url, authority.cert, cert, key)
    server = ApiServer(
        url=url,
        kubeconfig=kubeconfig,
        directory=directory,
        authority=authority,
        port=port,
        processes={"etcd": etcd, "kube-apiserver": process},
    )
    stack.callback(lambda: _stop(server.processes["kube-apiserver"]))  # another one after a restart
    return server


def _spawn(stack: ExitStack, log: Path, command: list[str]) -> "subprocess.Popen[bytes]":
    output = stack.enter_context(log.open("wb"))
    environment = {**os.environ, "GOMAXPROCS": os.environ.get("GOMAXPROCS", "2")}
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    stack.callback(_stop, process)
    return process


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(3)  # an API server drains open watches for up to a minute: nobody waits for that
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_ready(server: ApiServer, seconds: float) -> None:
    context = ssl.create_default_context(cafile=str(server.directory / "ca.crt"))
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/readyz", context=context, timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        dead = [name for name, process in server.processes.items() if process.poll() is not None]
        if dead or time.monotonic() > deadline:
            tail = (server.directory / "kube-apiserver.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(
                f"kube-apiserver is not ready ({', '.join(dead) + ' ended' if dead else 'too slow'}):\n{tail}"
            )
        time.sleep(0.1)


def _kubeconfig(path: Path, url: str, authority: Path, cert: str, key: str) -> Path:
    cert_file, key_file = path.with_suffix(".crt"), path.with_suffix(".key")
    cert_file.write_text(cert)
    write_secret(key_file, key)
    write_secret(
        path, _config(url, authority, {"client-certificate": str(cert_file), "client-key": str(key_file)})
    )
    return path


def _config(url: str, authority: Path, user: dict[str, str]) -> str:
    cluster = {"server": url, "certificate-authority": str(authority)}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
    )
