"""What the stack costs a month, line by line, from the resources that it declares.

Sizes and numbers come from the declared resources; traffic and volume are assumptions, said in `Usage`.
The reference architecture's budget stands beside it. Prices: `prices.json`.
"""

from collections import Counter
from dataclasses import dataclass

from point_infra.cost import prices
from point_infra.cost.inventory import Declared
from point_infra.cost.prices import HOURS, RATE, Price

BUDGET = {"EKS and nodes": 300, "Aurora": 400, "ElastiCache": 250, "Load balancer": 50, "Other": 100}
"""USD a month in the budget; together 1,100. It leaves NAT gateways out."""


@dataclass(frozen=True)
class Usage:
    """A month's traffic and volume: a shop of about 30 requests a second on average, and what follows from that.

    A request is some 3 kB in and out, has a line in the log of the service, and one in those of both proxies when it
    fails or is among the one in sixteen that are sampled (`incluster.mesh.ACCESS_LOG`).
    """

    requests_per_second: float = 30
    request_kb: float = 3
    application_line_bytes: float = 350
    access_line_bytes: float = 700
    sampled: float = 1 / 16
    other_logs_gb: float = 20
    """Control plane, database, nodes and what is refused."""
    nat_gb: float = 50
    storage_gb: float = 50
    io_millions: float = 100

    @property
    def requests_millions(self) -> float:
        """Requests a month."""
        return self.requests_per_second * HOURS * 3600 / 1e6

    @property
    def lcus(self) -> float:
        """Load balancer capacity units: 25 new connections a second or 1 GB an hour each, whichever is more."""
        return max(self.requests_per_second / 25, self.requests_per_second * 3600 * self.request_kb / 1e6)

    @property
    def logs_gb(self) -> float:
        """Taken in by CloudWatch."""
        line = self.application_line_bytes + 2 * self.access_line_bytes * self.sampled
        return self.other_logs_gb + self.requests_millions * line / 1000

    @property
    def traffic_gb(self) -> float:
        """Between clients and the load balancer."""
        return self.requests_millions * self.request_kb

    @property
    def egress_gb(self) -> float:
        """Half of the traffic leaves; the first 100 GB of an account's month are free."""
        return max(0, self.traffic_gb / 2 - 100)

    @property
    def cross_zone_gb(self) -> float:
        """A request meets another zone twice in three hops: gateway, service, database."""
        return 2 * self.traffic_gb


@dataclass(frozen=True)
class Line:
    """One line: `quantity` of `unit` at `price` each."""

    service: str
    what: str
    quantity: float
    unit: str
    price: Price

    @property
    def usd(self) -> float:
        """USD a month."""
        return self.quantity * self.price.usd


def lines(resources: list[Declared], usage: Usage = Usage()) -> list[Line]:
    """Price the declared resources; a type without a price of its own costs nothing."""
    count = Counter(r.type for r in resources)
    out = [*_cluster(resources, count), *_data(resources, usage)]
    albs, nats = count["aws:lb/loadBalancer:LoadBalancer"], count["aws:ec2/natGateway:NatGateway"]
    acls, zones = count["aws:wafv2/webAcl:WebAcl"], 3
    balancer, other, network = "Load balancer", "Other", "NAT gateways"
    out += [
        Line(balancer, "load balancer", albs * HOURS, "h", RATE["alb_hour"]),
        Line(balancer, "capacity units", albs * usage.lcus * HOURS, "LCU h", RATE["alb_lcu_hour"]),
        Line(balancer, "public IPv4", albs * zones * HOURS, "h", RATE["public_ipv4_hour"]),
        Line("WAF", "web ACL", acls, "ACL", RATE["waf_month"]),
        Line("WAF", "requests that it sees", acls * usage.requests_millions, "million", RATE["waf_million"]),
        Line(network, "NAT gateways", nats * HOURS, "h", RATE["nat_hour"]),
        Line(network, "traffic through them", usage.nat_gb if nats else 0, "GB", RATE["nat_gb"]),
        Line(network, "public IPv4", count["aws:ec2/eip:Eip"] * HOURS, "h", RATE["public_ipv4_hour"]),
        Line(other, "logs", usage.logs_gb if albs else 0, "GB", RATE["logs_gb"]),
        Line(other, "Container Insights", _nodes(resources).total(), "node", RATE["insights_node_month"]),
        Line(other, "Prometheus' volumes", _volumes_gb(resources), "GB", RATE["gp3_gb_month"]),
        Line(other, "alarms", count["aws:cloudwatch/metricAlarm:MetricAlarm"], "", RATE["alarm_month"]),
        Line(other, "traffic out", usage.egress_gb if albs else 0, "GB", RATE["transfer_out_gb"]),
        Line(
            other,
            "traffic between zones",
            2 * usage.cross_zone_gb if albs else 0,
            "GB",
            RATE["cross_zone_gb"],
        ),
        Line(other, "KMS keys", count["aws:kms/key:Key"], "", RATE["kms_key_month"]),
        Line(other, "secrets", count["aws:secretsmanager/secret:Secret"] + 1, "", RATE["secret_month"]),
        Line(other, "hosted zones", count["aws:route53/zone:Zone"], "", RATE["hosted_zone_month"]),
        Line(
            other,
            "health checks",
            count["aws:route53/healthCheck:HealthCheck"],
            "",
            RATE["health_check_month"],
        ),
    ]
    return [line for line in out if line.quantity]


def total(priced: list[Line]) -> float:
    """USD a month, to the cent."""
    return round(sum(line.usd for line in priced), 2)


def by_service(priced: list[Line]) -> dict[str, float]:
    """USD a month of each service, to the cent, in the order of the lines."""
    sums: dict[str, float] = {}
    for line in priced:
        sums[line.service] = sums.get(line.service, 0) + line.usd
    return {service: round(usd, 2) for service, usd in sums.items()}


def table(priced: list[Line]) -> str:
    """The lines, the sum of each service beside the budget's figure, and the total; `~` marks an estimate."""
    rows = [f"{'service':<16}{'line':<28}{'quantity':>12} {'unit':<7}{'USD each':>10}{'USD/month':>11}"]
    sums = by_service(priced)
    for service, usd in sums.items():
        for line in (p for p in priced if p.service == service):
            mark = "~" if line.price.estimate else " "
            rows.append(
                f"{service:<16}{line.what:<28}{line.quantity:>12,.1f} {line.unit:<7}"
                f"{mark}{line.price.usd:>9.4f}{line.usd:>11.2f}"
            )
        budget = f"budget: {BUDGET[service]}" if service in BUDGET else "not in the budget"
        rows.append(f"{service:<16}{'= ' + budget:<58}{'':>10}{usd:>11.2f}")
    rows.append(f"{'total':<16}{'= budget: ' + format(sum(BUDGET.values()), ','):<68}{total(priced):>11.2f}")
    rows.append(
        f"Seoul, on demand, prices of {prices.DATED}; ~ is an estimate, and traffic and volume are assumed "
        "(point_infra/cost/prices.json)."
    )
    return "\n".join(rows)


def compare(stacks: dict[str, list[Line]]) -> str:
    """USD a month of each service: the budget's figure, then each stack's."""
    sums = {name: by_service(priced) for name, priced in stacks.items()}
    services = list(dict.fromkeys(service for one in sums.values() for service in one))
    rows = [f"{'USD/month':<16}{'budget':>11}" + "".join(f"{name:>11}" for name in stacks)]
    for service in services:
        row = f"{service:<16}{BUDGET.get(service, '-'):>11}"
        rows.append(row + "".join(f"{one.get(service, 0):>11,.2f}" for one in sums.values()))
    totals = "".join(f"{total(priced):>11,.2f}" for priced in stacks.values())
    rows.append(f"{'total':<16}{sum(BUDGET.values()):>11,}{totals}")
    return "\n".join(rows)


def _cluster(resources: list[Declared], count: Counter[str]) -> list[Line]:
    service = "EKS and nodes"
    nodes = _nodes(resources)
    disk = sum(
        m["ebs"]["volume_size"]
        for r in resources
        if r.type == "aws:ec2/launchTemplate:LaunchTemplate"
        for m in r.inputs["block_device_mappings"]
    )
    return [
        Line(service, "control plane", count["eks:index:Cluster"] * HOURS, "h", RATE["control_plane_hour"]),
        *(Line(service, f"nodes {t}", n * HOURS, "h", prices.NODE[t]) for t, n in nodes.items()),
        Line(service, "node disks", disk * nodes.total(), "GB", RATE["gp3_gb_month"]),
    ]


def _nodes(resources: list[Declared]) -> Counter[str]:
    """Nodes at rest, by type."""
    nodes: Counter[str] = Counter()
    for r in resources:
        if r.type == "aws:eks/nodeGroup:NodeGroup":
            nodes[r.inputs["instance_types"][0]] += r.inputs["scaling_config"]["min_size"]
    return nodes


def _volumes_gb(resources: list[Declared]) -> int:
    """What the Prometheus servers keep."""
    specs = [
        r.inputs["values"]["prometheus"]["prometheusSpec"]
        for r in resources
        if r.name == "kube-prometheus-stack"
    ]
    claims = [(s["replicas"], s["storageSpec"]["volumeClaimTemplate"]["spec"]) for s in specs]
    return sum(n * int(c["resources"]["requests"]["storage"].removesuffix("Gi")) for n, c in claims)


def _data(resources: list[Declared], usage: Usage) -> list[Line]:
    aurora, elasticache = "Aurora", "ElastiCache"
    out: list[Line] = []
    classes = Counter(
        r.inputs["instance_class"] for r in resources if r.type == "aws:rds/clusterInstance:ClusterInstance"
    )
    for instance, n in classes.items():
        out.append(Line(aurora, f"instances {instance}", n * HOURS, "h", prices.DATABASE_INSTANCE[instance]))
    if classes:
        out += [
            Line(aurora, "storage", usage.storage_gb, "GB", RATE["aurora_storage_gb_month"]),
            Line(aurora, "I/O", usage.io_millions, "million", RATE["aurora_io_million"]),
        ]
    for r in resources:
        if r.type == "aws:elasticache/replicationGroup:ReplicationGroup":
            nodes = sum(1 + g["replica_count"] for g in r.inputs["node_group_configurations"])
            price = prices.CACHE_NODE[r.inputs["node_type"]]
            if r.inputs["engine"] == "valkey":
                price = Price(price.usd * RATE["valkey"].usd, f"{price.source}, Valkey", price.estimate)
            out.append(Line(elasticache, f"nodes {r.inputs['node_type']}", nodes * HOURS, "h", price))
    return out
