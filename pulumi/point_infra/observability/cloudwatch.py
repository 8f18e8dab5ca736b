"""CloudWatch: container logs and metrics, alarms to one topic, a dashboard, a budget."""

import json
from collections.abc import Iterable
from typing import Any

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings
from point_infra.edge.dns import Dns
from point_infra.edge.load_balancer import Edge
from point_infra.edge.routing import Routing
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.iam import POLICY, pod_role
from point_infra.foundation.keys import Keys
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network
from point_infra.observability.alarms import HEALTH_CHECK, Alarm, alarms, nat

AGENT: dict[str, object] = {
    "applicationSignals": {"enabled": False},
    "manager": {"applicationSignals": {"autoMonitor": {"monitorAllServices": False}}},
}
"""Values of amazon-cloudwatch-observability, whose chart (aws-observability/helm-charts, 6.4.0) has monitorAllServices
on wherever Application Signals is to be had."""
_CONTAINER_LOGS = ("application", "dataplane", "host", "performance")


class Observability(pulumi.ComponentResource):
    """`dashboard_url` is where to look; `topic_arn` is what alarms are sent to."""

    def __init__(
        self,
        name: str,
        s: Settings,
        network: Network,
        cluster: Cluster,
        opts: pulumi.ResourceOptions,
        *,
        keys: Keys,
        logs: Logs,
        dns: Dns,
        edge: Edge,
        routing: Routing,
    ) -> None:
        super().__init__("point:index:Observability", name, None, opts)
        self._name, self._s, self._edge, self._dns = name, s, edge, dns
        self._child = pulumi.ResourceOptions(parent=self)
        self.topic_arn = self._topic(name, s.region, keys.key_arn)
        if s.container_insights:
            self._container_insights(cluster, logs)
        self._alarms = alarms(s)
        for alarm in self._alarms:
            self._alarm(alarm, self._dimensions(alarm.of))
        for zone, gateway in network.nat_gateway_ids.items():
            self._alarm(nat(zone), {"NatGatewayId": gateway})
        self._health_check(routing)
        self._budget()
        self.dashboard_url = self._dashboard()
        self.register_outputs({"dashboardUrl": self.dashboard_url})

    def _topic(self, name: str, region: str, key_arn: pulumi.Input[str]) -> pulumi.Output[str]:
        topic = aws.sns.Topic(name, kms_master_key_id=key_arn, region=region, opts=self._child)
        if self._s.alarm_email:
            aws.sns.TopicSubscription(
                name,
                topic=topic.arn,
                protocol="email",
                endpoint=self._s.alarm_email,
                region=region,
                opts=self._child,
            )
        return topic.arn

    def _dimensions(self, of: str) -> dict[str, pulumi.Input[str]]:
        balancer = self._edge.arn_suffix
        dimensions: dict[str, dict[str, pulumi.Input[str]]] = {
            "alb": {"LoadBalancer": balancer},
            "target": {"LoadBalancer": balancer, "TargetGroup": self._edge.target_group_arn_suffix},
            "writer": {"DBClusterIdentifier": self._s.name, "Role": "WRITER"},
            "reader": {"DBClusterIdentifier": self._s.name, "Role": "READER"},
            **{f"cache-{n}": {"CacheClusterId": f"{self._s.name}-0001-00{n}"} for n in (1, 2)},
            "cluster": {"ClusterName": self._s.cluster_name},
            "vault": {"BackupVaultName": self._s.vault_name},
            "certificate": {"CertificateArn": self._dns.certificate_arn},
        }
        return dimensions[of]

    def _alarm(
        self,
        alarm: Alarm,
        dimensions: dict[str, pulumi.Input[str]],
        region: str | None = None,
        topic_arn: pulumi.Input[str] | None = None,
    ) -> None:
        actions = [topic_arn or self.topic_arn]
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{alarm.name}",
            name="-".join(filter(None, (self._s.name, region and self._s.region, alarm.name))),
            alarm_description=alarm.why,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            evaluation_periods=alarm.periods,
            treat_missing_data=alarm.missing,
            alarm_actions=actions,
            ok_actions=actions,
            region=region,
            **(self._zones(alarm, dimensions) if alarm.sum_of_zones else _metric(alarm, dimensions)),
            opts=self._child,
        )

    def _zones(self, alarm: Alarm, dimensions: dict[str, pulumi.Input[str]]) -> dict[str, Any]:
        """The metric's sum over the zones; one that says nothing counts as 0."""
        ids = {f"zone_{zone[-1]}": zone for zone in self._s.availability_zones}
        each = [
            {
                "id": id_,
                "metric": {
                    "namespace": alarm.namespace,
                    "metric_name": alarm.metric,
                    "dimensions": {**dimensions, "AvailabilityZone": zone},
                    "period": alarm.period,
                    "stat": alarm.statistic,
                },
            }
            for id_, zone in ids.items()
        ]
        total = {"id": "total", "expression": _sum(ids), "label": alarm.metric, "return_data": True}
        return {"metric_queries": [total, *each]}

    def _health_check(self, routing: Routing) -> None:
        # Route53 publishes to us-east-1 only, and an alarm can only tell a topic of its own region, which wants a
        # key of that region.
        home = "us-east-1"
        check: dict[str, pulumi.Input[str]] = {"HealthCheckId": routing.health_check_id}
        if self._s.region == home:
            self._alarm(HEALTH_CHECK, check)
            return
        # Named for this region, too: the same environment may have a stack in another one.
        key_arn = Keys(f"{self._s.name}-{self._s.region}-{home}", home, self._child).key_arn
        topic_arn = self._topic(f"{self._name}-{home}", home, key_arn)
        self._alarm(HEALTH_CHECK, check, home, topic_arn)

    def _container_insights(self, cluster: Cluster, logs: Logs) -> None:
        groups = [
            logs.group(
                f"{self._name}-{kind}",
                f"/aws/containerinsights/{self._s.cluster_name}/{kind}",
                self._child,
            )
            for kind in _CONTAINER_LOGS
        ]
        role = pod_role(
            f"{self._name}-agent",
            {},
            [f"{POLICY}/CloudWatchAgentServerPolicy"],
            pulumi.ResourceOptions(parent=self, depends_on=groups),
        )
        # Fluent Bit and the CloudWatch agent on every node, and nothing else: by default it would instrument whatever
        # stands behind a Service, with init containers that a restricted namespace refuses.
        cluster.addon("amazon-cloudwatch-observability", "cloudwatch-agent", role, AGENT)

    def _budget(self) -> None:
        s = self._s
        if not s.monthly_budget_usd or not s.alarm_email:
            return
        aws.budgets.Budget(
            self._name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(s.monthly_budget_usd),
            limit_unit="USD",
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "notification_type": kind,
                    "threshold": 80,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": [s.alarm_email],
                }
                for kind in ("ACTUAL", "FORECASTED")
            ],
            opts=self._child,
        )

    def _dashboard(self) -> pulumi.Output[str]:
        region, edge = self._s.region, self._edge
        dashboard = aws.cloudwatch.Dashboard(
            self._name,
            dashboard_name=f"{self._s.name}-{region}",  # an account has each name once, whatever the region
            dashboard_body=pulumi.Output.all(edge.arn_suffix, edge.target_group_arn_suffix).apply(
                lambda names: self._body(str(names[0]), str(names[1]))
            ),
            opts=self._child,
        )
        return dashboard.dashboard_name.apply(
            lambda n: (
                f"https://{region}.console.aws.amazon.com/cloudwatch/home"
                f"?region={region}#dashboards/dashboard/{n}"
            )
        )

    def _body(self, load_balancer: str, target_group: str) -> str:
        """One graph an alarm, its threshold drawn in; two a row."""
        known = {"LoadBalancer": load_balancer, "TargetGroup": target_group}
        widgets = [
            {
                "type": "metric",
                "x": 12 * (i % 2),
                "y": 6 * (i // 2),
                "width": 12,
                "height": 6,
                "properties": {
                    "title": f"{alarm.name}: {alarm.why}",
                    "region": self._s.region,
                    "stat": alarm.statistic,
                    "period": alarm.period,
                    "metrics": self._rows(
                        alarm, {k: known.get(k, v) for k, v in self._dimensions(alarm.of).items()}
                    ),
                    "annotations": {"horizontal": [{"value": alarm.threshold}]},
                },
            }
            for i, alarm in enumerate(a for a in self._alarms if a.of != "certificate")
        ]
        return json.dumps({"widgets": widgets}, sort_keys=True)

    def _rows(self, alarm: Alarm, dimensions: dict[str, Any]) -> list[list[Any]]:
        row = [alarm.namespace, alarm.metric, *(part for pair in dimensions.items() for part in pair)]
        if not alarm.sum_of_zones:
            return [row]
        zones = {f"zone_{zone[-1]}": zone for zone in self._s.availability_zones}
        each = [[*row, "AvailabilityZone", z, {"id": id_, "visible": False}] for id_, z in zones.items()]
        return [[{"expression": _sum(zones), "label": alarm.metric}], *each]


def _metric(alarm: Alarm, dimensions: dict[str, pulumi.Input[str]]) -> dict[str, Any]:
    percentile = alarm.statistic.startswith("p")
    return {
        "namespace": alarm.namespace,
        "metric_name": alarm.metric,
        "dimensions": dimensions,
        "period": alarm.period,
        "extended_statistic" if percentile else "statistic": alarm.statistic,
    }


def _sum(ids: Iterable[str]) -> str:
    return f"SUM([{', '.join(f'FILL({id_}, 0)' for id_ in ids)}])"
