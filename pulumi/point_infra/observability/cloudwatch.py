"""CloudWatch: container logs and metrics, alarms to one topic, a dashboard, a budget."""

import json
from dataclasses import dataclass

import pulumi_aws as aws

import pulumi
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.iam import pod_role
from point_infra.foundation.keys import Keys
from point_infra.foundation.logs import Logs
from point_infra.observability.alarms import ALARMS, CACHE_NODES, Alarm

_CONTAINER_LOGS = ("application", "dataplane", "host", "performance")


@dataclass(frozen=True)
class ObservabilityArgs:
    """What is watched, and who is told."""

    region: str
    cluster: Cluster
    cluster_name: str
    key_arn: pulumi.Input[str]
    logs: Logs
    alarm_email: str
    monthly_budget_usd: int
    load_balancer: pulumi.Input[str]
    target_group: pulumi.Input[str]
    database_cluster: str
    cache_group: str
    nat_gateway_ids: list[pulumi.Output[str]]
    certificate_arn: pulumi.Input[str]
    health_check_id: pulumi.Input[str]


class Observability(pulumi.ComponentResource):
    """`dashboard_url` is where to look; `topic_arn` is what alarms are sent to."""

    def __init__(
        self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("point:index:Observability", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.topic_arn = self._topic(name, args.region, args.key_arn)
        self._container_insights()
        for alarm in ALARMS:
            self._alarm(alarm, self._dimensions(alarm.of))
        for i, gateway in enumerate(args.nat_gateway_ids):
            self._alarm(_nat(i), {"NatGatewayId": gateway})
        self._health_check()
        self._budget()
        self.dashboard_url = self._dashboard()
        self.register_outputs({"dashboardUrl": self.dashboard_url})

    def _topic(self, name: str, region: str, key_arn: pulumi.Input[str]) -> pulumi.Output[str]:
        topic = aws.sns.Topic(name, kms_master_key_id=key_arn, region=region, opts=self._child)
        if self._args.alarm_email:
            aws.sns.TopicSubscription(
                name,
                topic=topic.arn,
                protocol="email",
                endpoint=self._args.alarm_email,
                region=region,
                opts=self._child,
            )
        return topic.arn

    def _dimensions(self, of: str) -> dict[str, pulumi.Input[str]]:
        a = self._args
        dimensions: dict[str, dict[str, pulumi.Input[str]]] = {
            "alb": {"LoadBalancer": a.load_balancer},
            "target": {"LoadBalancer": a.load_balancer, "TargetGroup": a.target_group},
            "writer": {"DBClusterIdentifier": a.database_cluster, "Role": "WRITER"},
            "reader": {"DBClusterIdentifier": a.database_cluster, "Role": "READER"},
            **{f"cache-{n}": {"CacheClusterId": f"{a.cache_group}-0001-00{n}"} for n in CACHE_NODES},
            "cluster": {"ClusterName": a.cluster_name},
            "certificate": {"CertificateArn": a.certificate_arn},
        }
        return dimensions[of]

    def _alarm(
        self,
        alarm: Alarm,
        dimensions: dict[str, pulumi.Input[str]],
        region: str | None = None,
        topic_arn: pulumi.Input[str] | None = None,
    ) -> None:
        percentile = alarm.statistic.startswith("p")
        actions = [topic_arn or self.topic_arn]
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{alarm.name}",
            name=f"{self._args.cluster_name}-{alarm.name}",
            alarm_description=alarm.why,
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=dimensions,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            period=60,
            evaluation_periods=alarm.minutes,
            statistic=None if percentile else alarm.statistic,
            extended_statistic=alarm.statistic if percentile else None,
            treat_missing_data=alarm.missing,
            alarm_actions=actions,
            ok_actions=actions,
            region=region,
            opts=self._child,
        )

    def _health_check(self) -> None:
        # Route53 publishes to us-east-1 only, and an alarm can only tell a topic of its own region, which wants a
        # key of that region.
        home = "us-east-1"
        key_arn = Keys(f"{self._args.cluster_name}-{home}", home, self._child).key_arn
        topic_arn = self._topic(f"{self._name}-{home}", home, key_arn)
        alarm = Alarm(
            "health-check",
            "AWS/Route53",
            "HealthCheckStatus",
            "check",
            "LessThanThreshold",
            1,
            "Minimum",
            "the world can't reach the service",
            minutes=1,
            missing="breaching",
        )
        self._alarm(alarm, {"HealthCheckId": self._args.health_check_id}, home, topic_arn)

    def _container_insights(self) -> None:
        groups = [
            self._args.logs.group(
                f"{self._name}-{kind}",
                f"/aws/containerinsights/{self._args.cluster_name}/{kind}",
                self._child,
            )
            for kind in _CONTAINER_LOGS
        ]
        role = pod_role(
            f"{self._name}-agent",
            {},
            ["arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"],
            pulumi.ResourceOptions(parent=self, depends_on=groups),
        )
        # Fluent Bit and the CloudWatch agent on every node.
        self._args.cluster.addon("amazon-cloudwatch-observability", "cloudwatch-agent", role, {})

    def _budget(self) -> None:
        a = self._args
        if not a.monthly_budget_usd or not a.alarm_email:
            return
        aws.budgets.Budget(
            self._name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(a.monthly_budget_usd),
            limit_unit="USD",
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "notification_type": kind,
                    "threshold": 80,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": [a.alarm_email],
                }
                for kind in ("ACTUAL", "FORECASTED")
            ],
            opts=self._child,
        )

    def _dashboard(self) -> pulumi.Output[str]:
        a = self._args
        dashboard = aws.cloudwatch.Dashboard(
            self._name,
            dashboard_name=a.cluster_name,
            dashboard_body=pulumi.Output.all(a.load_balancer, a.target_group).apply(
                lambda names: self._body(str(names[0]), str(names[1]))
            ),
            opts=self._child,
        )
        return dashboard.dashboard_name.apply(
            lambda n: (
                f"https://{a.region}.console.aws.amazon.com/cloudwatch/home"
                f"?region={a.region}#dashboards/dashboard/{n}"
            )
        )

    def _body(self, load_balancer: str, target_group: str) -> str:
        """One graph an alarm, its threshold drawn in; two a row."""
        known = {"LoadBalancer": load_balancer, "TargetGroup": target_group}
        watched = [a for a in ALARMS if a.of != "certificate"]
        widgets = [
            {
                "type": "metric",
                "x": 12 * (i % 2),
                "y": 6 * (i // 2),
                "width": 12,
                "height": 6,
                "properties": {
                    "title": f"{alarm.name}: {alarm.why}",
                    "region": self._args.region,
                    "stat": alarm.statistic,
                    "period": 60,
                    "metrics": [
                        [
                            alarm.namespace,
                            alarm.metric,
                            *(p for k, v in self._dimensions(alarm.of).items() for p in (k, known.get(k, v))),
                        ]
                    ],
                    "annotations": {"horizontal": [{"value": alarm.threshold}]},
                },
            }
            for i, alarm in enumerate(watched)
        ]
        return json.dumps({"widgets": widgets}, sort_keys=True)


def _nat(index: int) -> Alarm:
    return Alarm(
        f"nat-ports-{index}",
        "AWS/NATGateway",
        "ErrorPortAllocation",
        "nat",
        "GreaterThanThreshold",
        0,
        "Sum",
        "no port left for new connections out",
    )
