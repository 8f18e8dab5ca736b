"""Whose processor time it was: processes told by name, command line, parent and cgroup, and counted between looks."""

import os
import subprocess
import sys

import psutil
import pytest
from point_local.look import cpu
from point_local.look.cpu import KERNEL, OTHER, SHELLS, SHORT, Look, Process, Used, name_of, node_of, spent

ENVOY = ["envoy", "/usr/local/bin/envoy", "-c", "etc/istio/proxy/envoy-rev.json"]
AGENT = ["pilot-agent", "/usr/local/bin/pilot-agent", "proxy"]
EDGE = ["envoy", "/venv/envoy", "-c", "/state/edge/envoy.yaml"]
MYSQL = ["mysqld", "mysqld", "--server-id=3", "--report-host=mysql-b.data.svc.cluster.local"]


@pytest.mark.parametrize(
    ("words", "parent", "node", "name"),
    [
        (ENVOY, [*AGENT, "router"], "az-b", "Envoy, gateway"),
        (ENVOY, [*AGENT, "sidecar"], "az-b", "Envoy, sidecar"),
        (EDGE, ["init"], None, "Envoy, edge"),
        (["envoy", "envoy", "-c", "/etc/envoy.yaml"], [], None, OTHER),
        (MYSQL, ["sh", "sh", "/config/start.sh"], "az-b", "MySQL b"),
        (["mysqld", "mysqld"], [], None, OTHER),
        (["mysqladmin", "mysqladmin", "ping"], ["containerd-shim"], "az-b", SHORT),
        (["pause", "/pause"], [], "cp", SHORT),
        (["runc", "runc", "exec"], ["containerd-shim"], None, SHORT),
        (["kube-controller", "kube-controller-manager"], [], "cp", "kube-controller-manager"),  # 15 letters
        (
            ["containerd-shim-runc-v2", "/usr/bin/containerd-shim-runc-v2"],
            ["tini"],
            None,
            "containerd's shims",
        ),
        (["containerd-shim", "/usr/bin/containerd-shim-runc-v2"], ["tini"], None, "containerd's shims"),
        (["containerd", "containerd", "-c", "/state/nodes/cp/containerd.toml"], [], None, "containerd"),
        (["kubelet", "kubelet"], [], None, "kubelet"),
        (["bash", "bash", "/state/nodes/cp/boot.sh"], [], None, SHELLS),
        (["point-service", "python", "point-service", "serve"], [], "az-a", "service"),
        (["point-service", "python", "point-service", "serve"], [], None, OTHER),  # somebody else's
        (["point-local", "python", "point-local", "failover"], [], None, "failover controller"),
        (["point-local", "python", "point-local", "look"], [], None, OTHER),
        (["etcd", "etcd"], [], None, OTHER),
        (["pytest", "pytest"], [], None, OTHER),
    ],
)
def test_a_process_is_called_by_its_program_and_place(
    words: list[str], parent: list[str], node: str | None, name: str
) -> None:
    assert name_of(words, parent, node) == name


@pytest.mark.parametrize(
    ("cgroups", "node"),
    [
        ("4:memory:/az-a/kubepods/burstable/pod12/34\n1:cpu:/az-a/kubepods/burstable/pod12/34\n", "az-a"),
        ("0::/cp/kubepods/pod12/34\n", "cp"),
        ("4:memory:/user/az-a/session\n0::/\n", None),
        ("0::/az-a\n", None),  # the machine's own, no pod's
        ("0::/az-ab/kubepods/pod1\n", None),
    ],
)
def test_a_pod_s_machine_is_told_by_its_cgroup(cgroups: str, node: str | None) -> None:
    assert node_of(cgroups) == node


def test_only_what_was_used_between_the_looks_counts() -> None:
    shim = "containerd's shims"
    before = Look({(1, 0.0): Process("etcd", 5, 1), (2, 0.0): Process(shim, 1, 1, 9, 9)}, 100, 50)
    after = Look(
        {
            (1, 0.0): Process("etcd", 7, 2),
            (2, 0.0): Process(shim, 1, 1, 11, 10),
            (3, 7.0): Process("etcd", 0.5, 0),  # there since
            (4, 7.0): Process(OTHER, 40, 40),  # is in the machine's count
            (5, 7.0): Process(KERNEL, 0, 0.25),
        },
        110,
        55,
    )
    assert spent(before, after) == {
        "etcd": Used(2.5, 1),
        shim: Used(0, 0),
        SHORT: Used(2, 1),
        KERNEL: Used(0, 0.25),
        OTHER: Used(10 - 4.5, 5 - 2.25),
    }


def test_a_number_that_was_given_again_is_another_process() -> None:
    before = Look({(1, 0.0): Process("etcd", 90, 0)}, 100, 0)
    after = Look({(1, 9.0): Process("etcd", 2, 0)}, 102, 0)
    assert spent(before, after)["etcd"] == Used(2, 0)


def test_the_machine_s_count_may_lag_but_nothing_is_less_than_none() -> None:
    empty, after = Look({}, 100, 50), Look({(1, 9.0): Process("etcd", 2, 1)}, 101.9, 50.9)
    assert spent(empty, after)[OTHER] == Used(0, 0)


def test_what_a_named_process_starts_is_called_as_it_is() -> None:
    work = "sum(i * i for i in range(2_000_000)); print(flush=True); input()"
    before = cpu.look({os.getpid(): "me"})
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        after = cpu.look({os.getpid(): "me"})
        assert after.processes[child.pid, psutil.Process(child.pid).create_time()].name == "me"
        child.communicate("\n")
    assert spent(before, after)["me"].user >= 0.03
