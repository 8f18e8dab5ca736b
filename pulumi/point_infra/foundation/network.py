"""The VPC: three zones, each with a public, a private and a data subnet.

Nodes, pods, database and cache are in private subnets; only the load balancer and the NAT gateways, which
AWS wants there, are in public ones. The data subnets have no route out at all.
"""

import ipaddress

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings
from point_infra.foundation.iam import allow, policy, trust
from point_infra.foundation.logs import Logs

_TIERS = {"public": (24, 0), "private": (20, 1), "data": (24, 64)}
"""Tier -> prefix length, and place of the first subnet counted in subnets of that length."""


def subnet_cidrs(vpc: str) -> dict[str, list[str]]:
    """The three ranges of each tier: /24 public, /20 private (4,091 pod addresses each), /24 data."""
    base = ipaddress.IPv4Network(vpc)
    cidrs: dict[str, list[str]] = {}
    for tier, (prefix, first) in _TIERS.items():
        size = 2 ** (32 - prefix)
        cidrs[tier] = [
            str(ipaddress.IPv4Network((int(base.network_address) + (first + i) * size, prefix)))
            for i in range(3)
        ]
    return cidrs


class Network(pulumi.ComponentResource):
    """Subnet ids by tier come in the order of the zones; those of a VPC that is there already are taken as they are."""

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    data_subnet_ids: list[pulumi.Output[str]]
    data_cidrs: list[pulumi.Input[str]]
    """Ranges of the data subnets."""
    node_cidrs: pulumi.Output[list[str]]
    """Ranges of nodes, their pods and the control plane: the private subnets, or all of a VPC that is there already."""
    nat_gateway_ids: dict[str, pulumi.Output[str]]
    """By zone; none in a VPC that somebody else keeps."""

    def __init__(self, name: str, s: Settings, logs: Logs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("point:index:Network", name, None, opts)
        self._name, self._s = name, s
        self._child = pulumi.ResourceOptions(parent=self)
        if s.existing_vpc_id:
            self._take()
        else:
            self._make(logs)
        self.register_outputs({"vpcId": self.vpc_id})

    def _take(self) -> None:
        s = self._s
        self.vpc_id = pulumi.Output.from_input(s.existing_vpc_id)
        self.public_subnet_ids, self.private_subnet_ids, self.data_subnet_ids = (
            [pulumi.Output.from_input(i) for i in ids]
            for ids in (s.public_subnet_ids, s.private_subnet_ids, s.data_subnet_ids)
        )
        child = pulumi.InvokeOptions(parent=self)
        self.data_cidrs = [aws.ec2.get_subnet_output(id=i, opts=child).cidr_block for i in s.data_subnet_ids]
        vpc = aws.ec2.get_vpc_output(id=s.existing_vpc_id, opts=child)
        self.node_cidrs = vpc.cidr_block_associations.apply(lambda ranges: [r.cidr_block for r in ranges])
        self.nat_gateway_ids = {}

    def _make(self, logs: Logs) -> None:
        name, s = self._name, self._s
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=s.vpc_cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            opts=self._child,
        )
        self.vpc_id = vpc.id
        # Without rules nothing that was put into it by mistake can talk.
        aws.ec2.DefaultSecurityGroup(name, vpc_id=vpc.id, ingress=[], egress=[], opts=self._child)
        ranges = subnet_cidrs(s.vpc_cidr)
        self.data_cidrs, self.node_cidrs = [*ranges["data"]], pulumi.Output.from_input(ranges["private"])
        self._subnets = {tier: self._tier(tier, cidrs) for tier, cidrs in ranges.items()}
        self.public_subnet_ids = self._ids("public")
        self.private_subnet_ids = self._ids("private")
        self.data_subnet_ids = self._ids("data")
        tables = self._routes()
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{s.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[t.id for t in tables],
            opts=self._child,
        )
        self._flow_log(logs)

    def _ids(self, tier: str) -> list[pulumi.Output[str]]:
        return [s.id for s in self._subnets[tier].values()]

    def _tier(self, tier: str, cidrs: list[str]) -> dict[str, aws.ec2.Subnet]:
        # The load balancer controller and people look for these tags.
        roles: dict[str, dict[str, str]] = {
            "public": {"kubernetes.io/role/elb": "1"},
            "private": {"kubernetes.io/role/internal-elb": "1"},
            "data": {},
        }
        return {
            zone: aws.ec2.Subnet(
                f"{self._name}-{tier}-{zone[-1]}",
                vpc_id=self.vpc_id,
                cidr_block=cidr,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags={"Tier": tier, **roles[tier]},
                opts=self._child,
            )
            for zone, cidr in zip(self._s.availability_zones, cidrs, strict=True)
        }

    def _routes(self) -> list[aws.ec2.RouteTable]:
        name, s = self._name, self._s
        gateway = aws.ec2.InternetGateway(name, vpc_id=self.vpc_id, opts=self._child)
        public = self._table("public", {"gateway_id": gateway.id}, self._subnets["public"])
        nats = {zone: self._nat(zone, gateway) for zone in s.availability_zones[: s.nat_gateways]}
        first = nats[s.availability_zones[0]]
        private = [
            self._table(f"private-{zone[-1]}", {"nat_gateway_id": nats.get(zone, first).id}, {zone: subnet})
            for zone, subnet in self._subnets["private"].items()
        ]
        self.nat_gateway_ids = {zone: nat.id for zone, nat in nats.items()}
        data = self._table("data", None, self._subnets["data"])
        return [public, *private, data]

    def _nat(self, zone: str, gateway: aws.ec2.InternetGateway) -> aws.ec2.NatGateway:
        name = f"{self._name}-{zone[-1]}"
        address = aws.ec2.Eip(name, domain="vpc", opts=self._child)
        return aws.ec2.NatGateway(
            name,
            allocation_id=address.id,
            subnet_id=self._subnets["public"][zone].id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )

    def _table(
        self, suffix: str, target: dict[str, pulumi.Output[str]] | None, subnets: dict[str, aws.ec2.Subnet]
    ) -> aws.ec2.RouteTable:
        name = f"{self._name}-{suffix}"
        table = aws.ec2.RouteTable(name, vpc_id=self.vpc_id, opts=self._child)
        if target:
            aws.ec2.Route(
                name, route_table_id=table.id, destination_cidr_block="0.0.0.0/0", **target, opts=self._child
            )
        for zone, subnet in subnets.items():
            aws.ec2.RouteTableAssociation(
                f"{name}-{zone[-1]}", route_table_id=table.id, subnet_id=subnet.id, opts=self._child
            )
        return table

    def _flow_log(self, logs: Logs) -> None:
        name = f"{self._name}-flow"
        group = logs.group(name, f"/aws/vpc/{self._s.name}", self._child)
        role = aws.iam.Role(name, assume_role_policy=trust("vpc-flow-logs.amazonaws.com"), opts=self._child)
        aws.iam.RolePolicy(
            name,
            role=role.name,
            policy=group.arn.apply(
                lambda arn: policy(
                    allow(
                        ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], f"{arn}:*"
                    ),
                    allow("logs:DescribeLogGroups", "*"),
                )
            ),
            opts=self._child,
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=self.vpc_id,
            traffic_type="REJECT",  # what was refused is what one looks for; all traffic costs ten times as much
            iam_role_arn=role.arn,
            log_destination=group.arn,
            opts=self._child,
        )
