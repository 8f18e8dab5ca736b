"""The program under Pulumi's mocks: every resource that it registers is recorded, in both modes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi_aws  # noqa: F401 - registers the resource classes
import pytest
from point_infra import offline
from point_infra.config.settings import Settings
from point_infra.stack import PointPlatform
from point_local.preview.standin.shapes import computed, derived, synthesize
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime import rpc

import pulumi

ACCOUNT = "123456789012"

Answer = Callable[[str, str, dict[str, Any]], tuple[str, dict[str, Any]]]
"""Type, name and inputs -> id and outputs, where AWS's form of them matters."""


@dataclass
class Recorded:
    """One registration: type, name, inputs by their Pulumi names (unknown ones are absent)."""

    type: str
    name: str
    inputs: dict[str, Any]
    taken_over: str | None = None
    """Id under which it is there already."""


@dataclass
class Run:
    """What one run of the program registered and put out."""

    resources: list[Recorded]
    asked: set[str] = field(default_factory=set[str])
    """Tokens of the data sources that it read, such as aws:ec2/getVpc:getVpc."""
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    def of(self, type_: str) -> dict[str, dict[str, Any]]:
        """Inputs of the resources whose type ends so, by name."""
        return {r.name: r.inputs for r in self.resources if r.type.endswith(type_)}

    def one(self, type_: str) -> dict[str, Any]:
        """Inputs of the only resource of a type."""
        found = self.of(type_)
        assert len(found) == 1, f"{type_}: {sorted(found)}"
        return next(iter(found.values()))


class _Mocks(pulumi.runtime.Mocks):
    def __init__(self, groups: dict[str, int], left: list[str], answer: Answer | None) -> None:
        self.resources: list[Recorded] = []
        self.asked: set[str] = set()
        self.groups = groups
        self.left = left
        self.answer = answer
        self.monitor = pulumi_mocks.MockMonitor(self)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(Recorded(args.typ, args.name, dict(args.inputs), args.resource_id or None))
        id_, outputs = self._made_up(args)
        if self.answer:
            id_, known = self.answer(args.typ, args.name, dict(args.inputs))
            outputs |= known
        return id_, outputs

    def _made_up(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ == "eks:index:Cluster":
            return args.name, {**outputs, **self._eks(args)}
        outputs |= derived(args.typ, args.inputs)
        for name, kind in computed(args.typ).items():
            if name not in outputs:
                outputs[name] = synthesize(args.typ, args.name, name, kind)
        return args.name, outputs

    def _eks(self, args: pulumi.runtime.MockResourceArgs) -> dict[str, Any]:
        """pulumi-eks is one remote component: its outputs are made up here, its children don't exist."""
        urn = f"urn:pulumi:test::point-platform::aws:eks/cluster:Cluster::{args.name}"
        state = {
            "name": args.inputs["name"],
            "endpoint": "https://eks.invalid",
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16"},
        }
        self.monitor.resources[urn] = pulumi_mocks.MockMonitor.ResourceRegistration(urn, args.name, state)
        reference = {rpc._special_sig_key: rpc._special_resource_sig, "urn": urn, "id": args.inputs["name"]}
        return {
            "eksCluster": reference,
            "clusterSecurityGroupId": "sg-cluster",
            "kubeconfigJson": '{"kind": "Config"}',
        }

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        self.asked.add(args.token)
        if args.token.endswith("getCallerIdentity"):
            return {"accountId": ACCOUNT}
        if args.token.endswith("getLogGroups"):
            return {"arns": [], "logGroupNames": self.left}
        if args.token.endswith("getAmiIds"):
            return {"names": list(self.groups), "arns": []}
        if args.token.endswith("autoscaling/getGroup:getGroup"):
            return {"desiredCapacity": self.groups[args.args["name"]]}
        if args.token.endswith("ec2/getSubnet:getSubnet"):
            return {"cidrBlock": f"10.77.{args.args['id'][8]}.0/24"}
        if args.token.endswith("ec2/getVpc:getVpc"):
            return {"cidrBlockAssociations": [{"cidrBlock": c} for c in ("10.77.0.0/16", "100.64.0.0/16")]}
        if args.token.endswith("eks/getCluster:getCluster"):
            return {
                "name": args.args["name"],
                "endpoint": "https://eks.invalid",
                "certificateAuthorities": [{"data": "Q0E="}],
                "vpcConfig": {"clusterSecurityGroupId": f"sg-{args.args['name']}"},
                "kubernetesNetworkConfigs": [{"serviceIpv4Cidr": "172.20.0.0/16"}],
            }
        return {"zoneId": "Z1", "nameServers": ["ns-1.invalid"], "id": "Z1"}


def run(
    stack: str,
    *,
    preview: bool,
    groups: dict[str, int] | None = None,
    left: list[str] | None = None,
    answer: Answer | None = None,
    **changes: object,
) -> Run:
    """Run the program once under mocks.

    `groups` are auto scaling groups that are there, with their sizes, `left` log groups that are.
    """
    mocks = _Mocks(groups or {}, left or [], answer)
    result = Run(mocks.resources, mocks.asked)

    def program() -> pulumi.Output[Any]:
        platform = PointPlatform(offline.settings(stack, **changes))
        known = {k: pulumi.Output.from_input(v) for k, v in platform.outputs.items()}
        result.outputs["names"] = sorted(known)
        return pulumi.Output.all(**known).apply(result.outputs.update)

    offline.run(mocks.monitor, stack, program, preview=preview)
    return result


@pytest.fixture(scope="session", params=[False, True], ids=["update", "preview"])
def prod(request: pytest.FixtureRequest) -> Run:
    """The prod stack, once in each mock mode."""
    return run("prod", preview=request.param)


@pytest.fixture(scope="session")
def updated() -> Run:
    """The prod stack as after an update: every output is known."""
    return run("prod", preview=False)


@pytest.fixture(scope="session")
def dev() -> Run:
    """The dev stack."""
    return run("dev", preview=False)


@pytest.fixture(scope="session")
def load_stack() -> Callable[..., Settings]:
    """Read a stack's config with some values changed."""
    return offline.settings


@pytest.fixture(scope="session")
def run_stack() -> Callable[..., Run]:
    """Run a stack under mocks with some values changed."""
    return run
