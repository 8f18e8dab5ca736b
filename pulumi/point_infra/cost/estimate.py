"""What the stack costs a month, line by line, from the resources that it declares.

Sizes and numbers come from the declared resources; traffic and volume are assumptions, said in `usage`.
The reference architecture's budget stands beside it. A price that nobody has said is a line that says so, and the
total is then at least what it is.
"""

from collections import Counter
from dataclasses import dataclass

from point_infra.cost.inventory import Declared
from point_infra.cost.prices import HOURS, UNKNOWN, Price, Prices
from point_infra.cost.usage import Usage

BUDGET = {"EKS and nodes": 300, "Aurora": 400, "ElastiCache": 250, "Load balancer": 50, "Other": 100}
"""USD a month in the budget; together 1,100. It leaves NAT gateways out."""


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
        return self.quantity * (self.price.usd or 0)

    @property
    def known(self) -> bool:
        """Whether somebody has said the price."""
        return self.price.usd is not None


def lines(resources: list[Declared], prices: Prices, usage: Usage) -> list[Line]:
    """Price the declared resources; a type without a price of its own costs nothing."""
    count = Counter(r.type for r in resources)
    rate = _Rates(prices.rate)
    out = [
        *_cluster(resources, count, prices, rate),
        *_data(resources, usage, prices, rate),
        *_backup(resources, usage, rate),
    ]
    insights = any(r.inputs.get("addon_name") == "amazon-cloudwatch-observability" for r in resources)
    albs, nats = count["aws:lb/loadBalancer:LoadBalancer"], count["aws:ec2/natGateway:NatGateway"]
    acls, zones = count["aws:wafv2/webAcl:WebAcl"], 3
    balancer, other, network = "Load balancer", "Other", "NAT gateways"
    out += [
        Line(balancer, "load balancer", albs * HOURS, "h", rate["alb_hour"]),
        Line(balancer, "capacity units", albs * usage.lcus * HOURS, "LCU h", rate["alb_lcu_hour"]),
        Line(balancer, "public IPv4", albs * zones * HOURS, "h", rate["public_ipv4_hour"]),
        Line("WAF", "web ACL", acls, "ACL", rate["waf_month"]),
        Line("WAF", "requests that it sees", acls * usage.requests_millions, "million", rate["waf_million"]),
        Line(network, "NAT gateways", nats * HOURS, "h", rate["nat_hour"]),
        Line(network, "traffic through them", usage.nat_gb if nats else 0, "GB", rate["nat_gb"]),
        Line(network, "public IPv4", count["aws:ec2/eip:Eip"] * HOURS, "h", rate["public_ipv4_hour"]),
        Line(other, "logs", usage.logs_gb(containers=insights) if albs else 0, "GB", rate["logs_gb"]),
        Line(
            other,
            "Container Insights",
            _nodes(resources).total() if insights else 0,
            "node",
            rate["insights_node_month"],
        ),
        Line(
            other,
            "image cache",
            usage.image_cache_gb if count["aws:ecr/pullThroughCacheRule:PullThroughCacheRule"] else 0,
            "GB",
            rate["ecr_gb_month"],
        ),
        Line(other, "Prometheus' volumes", _volumes_gb(resources), "GB", rate["gp3_gb_month"]),
        Line(other, "alarms", count["aws:cloudwatch/metricAlarm:MetricAlarm"], "", rate["alarm_month"]),
        Line(other, "traffic out", usage.egress_gb if albs else 0, "GB", rate["transfer_out_gb"]),
        Line(
            other,
            "traffic between zones",
            2 * usage.cross_zone_gb if albs else 0,
            "GB",
            rate["cross_zone_gb"],
        ),
        Line(
            other,
            "runner",
            count["aws:codebuild/project:Project"] * usage.runner_minutes,
            "min",
            rate["codebuild_medium_minute"],
        ),
        Line(other, "KMS keys", count["aws:kms/key:Key"], "", rate["kms_key_month"]),
        Line(other, "secrets", count["aws:secretsmanager/secret:Secret"] + 1, "", rate["secret_month"]),
        Line(other, "hosted zones", count["aws:route53/zone:Zone"], "", rate["hosted_zone_month"]),
        Line(
            other,
            "health checks",
            count["aws:route53/healthCheck:HealthCheck"],
            "",
            rate["health_check_month"],
        ),
    ]
    return [line for line in out if line.quantity]


class _Rates(dict[str, Price]):
    def __missing__(self, key: str) -> Price:
        return UNKNOWN


def complete(priced: list[Line]) -> bool:
    """Whether every price is known; else the total is at least what it says."""
    return all(line.known for line in priced)


def total(priced: list[Line]) -> float:
    """USD a month, to the cent."""
    return round(sum(line.usd for line in priced), 2)


def by_service(priced: list[Line]) -> dict[str, float]:
    """USD a month of each service, to the cent, in the order of the lines."""
    sums: dict[str, float] = {}
    for line in priced:
        sums[line.service] = sums.get(line.service, 0) + line.usd
    return {service: round(usd, 2) for service, usd in sums.items()}


def table(priced: list[Line], prices: Prices, usage: Usage) -> str:
    """The lines, the sum of each service beside the budget's figure, and the total; `~` marks an estimate."""
    rows = [f"{'service':<16}{'line':<28}{'quantity':>12} {'unit':<7}{'USD each':>10}{'USD/month':>11}"]
    sums = by_service(priced)
    for service, usd in sums.items():
        for line in (p for p in priced if p.service == service):
            mark = "~" if line.price.estimate else " "
            each = "not known" if line.price.usd is None else f"{line.price.usd:.4f}"
            rows.append(
                f"{service:<16}{line.what:<28}{line.quantity:>12,.1f} {line.unit:<7}"
                f"{mark}{each:>9}{line.usd:>11.2f}"
            )
        budget = f"budget: {BUDGET[service]}" if service in BUDGET else "not in the budget"
        rows.append(f"{service:<16}{'= ' + budget:<58}{'':>10}{usd:>11.2f}")
    least = "" if complete(priced) else " (at least: some prices are not known)"
    rows.append(
        f"{'total':<16}{'= budget: ' + format(sum(BUDGET.values()), ',') + least:<68}{total(priced):>11.2f}"
    )
    rows.append(
        f"{prices.region}, on demand, prices of {prices.dated}; ~ is an estimate; traffic is assumed: "
        f"{usage.requests_per_second:g} requests a second, {usage.storage_gb:g} GB of points "
        "(point_infra/cost)."
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
    totals = "".join(
        f"{('' if complete(priced) else '>') + format(total(priced), ',.2f'):>11}"
        for priced in stacks.values()
    )
    rows.append(f"{'total':<16}{sum(BUDGET.values()):>11,}{totals}")
    return "\n".join(rows)


def _cluster(resources: list[Declared], count: Counter[str], prices: Prices, rate: _Rates) -> list[Line]:
    service = "EKS and nodes"
    nodes = _nodes(resources)
    disk = sum(
        m["ebs"]["volume_size"]
        for r in resources
        if r.type == "aws:ec2/launchTemplate:LaunchTemplate"
        for m in r.inputs["block_device_mappings"]
    )
    return [
        Line(service, "control plane", count["eks:index:Cluster"] * HOURS, "h", rate["control_plane_hour"]),
        *(
            Line(service, f"nodes {kind}", n * HOURS, "h", _node_price(kind, prices, rate))
            for kind, n in nodes.items()
        ),
        Line(service, "node disks", disk * nodes.total(), "GB", rate["gp3_gb_month"]),
    ]


def _nodes(resources: list[Declared]) -> Counter[str]:
    """Nodes at rest, by type and whether they are spot."""
    nodes: Counter[str] = Counter()
    for r in resources:
        if r.type == "aws:eks/nodeGroup:NodeGroup":
            spot = " spot" if r.inputs.get("capacity_type") == "SPOT" else ""
            nodes[r.inputs["instance_types"][0] + spot] += r.inputs["scaling_config"]["min_size"]
    return nodes


def _node_price(kind: str, prices: Prices, rate: _Rates) -> Price:
    instance, _, spot = kind.partition(" ")
    price = prices.node.get(instance, UNKNOWN)
    return price.times(rate["spot"], "spot") if spot else price


def _volumes_gb(resources: list[Declared]) -> int:
    """What the Prometheus servers keep."""
    specs = [
        r.inputs["values"]["prometheus"]["prometheusSpec"]
        for r in resources
        if r.name == "kube-prometheus-stack"
    ]
    claims = [(s["replicas"], s["storageSpec"]["volumeClaimTemplate"]["spec"]) for s in specs]
    return sum(n * int(c["resources"]["requests"]["storage"].removesuffix("Gi")) for n, c in claims)


def _data(resources: list[Declared], usage: Usage, prices: Prices, rate: _Rates) -> list[Line]:
    aurora, elasticache = "Aurora", "ElastiCache"
    out: list[Line] = []
    classes = Counter(
        r.inputs["instance_class"] for r in resources if r.type == "aws:rds/clusterInstance:ClusterInstance"
    )
    floors = [
        r.inputs["serverlessv2_scaling_configuration"]["min_capacity"]
        for r in resources
        if r.inputs.get("serverlessv2_scaling_configuration")
    ]
    for instance, n in classes.items():
        if instance == "db.serverless":
            out.append(Line(aurora, "capacity units at rest", n * floors[0] * HOURS, "h", rate["acu_hour"]))
        else:
            price = prices.database.get(instance, UNKNOWN)
            out.append(Line(aurora, f"instances {instance}", n * HOURS, "h", price))
    if classes:
        out += [
            Line(aurora, "storage", usage.storage_gb, "GB", rate["aurora_storage_gb_month"]),
            Line(aurora, "I/O", usage.io_millions, "million", rate["aurora_io_million"]),
        ]
    for r in resources:
        if r.type == "aws:elasticache/replicationGroup:ReplicationGroup":
            nodes = sum(1 + g["replica_count"] for g in r.inputs["node_group_configurations"])
            price = prices.cache.get(r.inputs["node_type"], UNKNOWN)
            if r.inputs["engine"] == "valkey":
                price = price.times(rate["valkey"], "Valkey")
            out.append(Line(elasticache, f"nodes {r.inputs['node_type']}", nodes * HOURS, "h", price))
    return out


_NIGHTS = {"*": 7, "MON-SAT": 6, "SUN": 1}
"""Nights of a week by the days of a schedule."""


def _backup(resources: list[Declared], usage: Usage, rate: _Rates) -> list[Line]:
    """Every recovery point of Aurora is paid for by its whole size, but those that its own backups still reach."""
    free = next(
        (r.inputs["backup_retention_period"] for r in resources if r.type == "aws:rds/cluster:Cluster"), 0
    )
    rules = [rule for r in resources if r.type == "aws:backup/plan:Plan" for rule in r.inputs["rules"]]
    kept = copied = copies = 0.0
    for rule in rules:
        each_day = _NIGHTS[rule["schedule"].split()[4]] / 7
        kept += each_day * (rule["lifecycle"]["delete_after"] - free)
        for copy in rule.get("copy_actions", []):
            copied += each_day * copy["lifecycle"]["delete_after"]
            copies += each_day * HOURS / 24
    storage, way = rate["aurora_backup_gb_month"], rate["between_regions_gb"]
    return [
        Line("Backup", "recovery points", kept * usage.storage_gb, "GB", storage),
        Line("Backup", "copies in another region", copied * usage.storage_gb, "GB", storage),
        Line("Backup", "their way there", copies * usage.storage_gb, "GB", way),
    ]
