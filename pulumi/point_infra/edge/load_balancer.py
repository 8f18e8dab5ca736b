"""The internet-facing load balancer: HTTPS only, re-encrypted towards the Istio gateway."""

import json

import pulumi_aws as aws

import pulumi
from point_infra.config import regions
from point_infra.config.settings import Settings
from point_infra.config.versions import TLS_POLICY
from point_infra.edge.dns import Dns
from point_infra.foundation.bucket import private_bucket
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.logs import Logs
from point_infra.foundation.network import Network

_API = "/v1/*"
_EVERYBODY = "0.0.0.0/0"
_HTTPS_ONLY: dict[str, str | int] = {
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
    "detail": "The API is served by https only.",
}
_MANAGED_RULES = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesSQLiRuleSet",
)


class Edge(pulumi.ComponentResource):
    """`target_group_arn` is what the TargetGroupBinding fills with the gateway's pods."""

    def __init__(
        self,
        name: str,
        s: Settings,
        network: Network,
        cluster: Cluster,
        dns: Dns,
        logs: Logs,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("point:index:Edge", name, None, opts)
        self._name, self._s, self._logs = name, s, logs
        self._child = pulumi.ResourceOptions(parent=self)
        security_group = self._security_group(network, cluster)
        writer = regions.REGIONS[s.region].log_writer
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        logs_bucket = private_bucket(
            f"{name}-logs",
            keep_days=s.log_retention_days,
            force_destroy=not s.deletion_protection,
            parent=self,
        )
        may_write = logs_bucket.admit(
            {
                "Principal": {
                    "Service": "logdelivery.elasticloadbalancing.amazonaws.com",
                    **({"AWS": f"arn:aws:iam::{writer}:root"} if writer else {}),
                },
                "Action": "s3:PutObject",
            },
            account.apply(lambda a: f"AWSLogs/{a}/*"),
        )
        balancer = aws.lb.LoadBalancer(
            name,
            load_balancer_type="application",
            internal=False,
            subnets=network.public_subnet_ids,
            security_groups=[security_group.id],
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=s.deletion_protection,
            enable_zonal_shift=True,  # AWS, or we, can take an ailing zone out of rotation
            idle_timeout=60,
            access_logs={"bucket": may_write.bucket, "enabled": True},
            opts=self._child,
        )
        targets = aws.lb.TargetGroup(
            name,
            vpc_id=network.vpc_id,
            target_type="ip",
            port=443,
            protocol="HTTPS",
            deregistration_delay=30,
            health_check={
                "protocol": "HTTP",
                "port": "15021",  # the gateway's own readiness, whatever the service behind it does
                "path": "/healthz/ready",
                "matcher": "200",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 2,
            },
            opts=self._child,
        )
        self._listeners(balancer, targets, dns)
        if s.waf:
            self._waf(balancer)
        self.dns_name, self.zone_id = balancer.dns_name, balancer.zone_id
        self.target_group_arn = targets.arn
        self.arn_suffix, self.target_group_arn_suffix = balancer.arn_suffix, targets.arn_suffix
        self.register_outputs({"dnsName": self.dns_name})

    def _listeners(self, balancer: aws.lb.LoadBalancer, targets: aws.lb.TargetGroup, dns: Dns) -> None:
        aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=balancer.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=dns.certificate_arn,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=self._child,
        )
        # Load balancers know 301 and 302 alone, by which a client makes a GET of a POST and drops its body. Only who
        # reads a page is sent on; a client of the API is told, and finds out before a token goes in plain text every
        # time.
        refused: aws.lb.ListenerDefaultActionArgsDict = {
            "type": "fixed-response",
            "fixed_response": {
                "content_type": "application/json",
                "message_body": json.dumps(_HTTPS_ONLY),
                "status_code": str(_HTTPS_ONLY["status"]),
            },
        }
        plain = aws.lb.Listener(
            f"{self._name}-http",
            load_balancer_arn=balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[refused],
            opts=self._child,
        )
        aws.lb.ListenerRule(
            f"{self._name}-http-api",
            listener_arn=plain.arn,
            priority=1,
            conditions=[{"path_pattern": {"values": [_API]}}],
            actions=[refused],
            opts=self._child,
        )
        aws.lb.ListenerRule(
            f"{self._name}-http-reads",
            listener_arn=plain.arn,
            priority=2,
            conditions=[{"http_request_method": {"values": ["GET", "HEAD"]}}],
            actions=[
                {
                    "type": "redirect",
                    "redirect": {"protocol": "HTTPS", "port": "443", "status_code": "HTTP_301"},
                }
            ],
            opts=self._child,
        )

    def _security_group(self, network: Network, cluster: Cluster) -> aws.ec2.SecurityGroup:
        name = self._name
        group = aws.ec2.SecurityGroup(
            name, description="Load balancer of the point service", vpc_id=network.vpc_id, opts=self._child
        )
        for port in (80, 443):
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-{port}",
                security_group_id=group.id,
                cidr_ipv4=_EVERYBODY,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description="Clients",
                opts=self._child,
            )
        for port in (443, 15021):
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-pods-{port}",
                security_group_id=group.id,
                referenced_security_group_id=cluster.security_group_id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description="Istio gateway pods",
                opts=self._child,
            )
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-to-pods-{port}",
                security_group_id=cluster.security_group_id,
                referenced_security_group_id=group.id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description="Load balancer to the Istio gateway",
                opts=self._child,
            )
        return group

    def _waf(self, balancer: aws.lb.LoadBalancer) -> None:
        acl = aws.wafv2.WebAcl(
            self._name,
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=[_managed(i, rule) for i, rule in enumerate(_MANAGED_RULES)],
            visibility_config={
                "cloudwatch_metrics_enabled": True,
                "metric_name": self._name,
                "sampled_requests_enabled": True,
            },
            opts=self._child,
        )
        aws.wafv2.WebAclAssociation(
            self._name, resource_arn=balancer.arn, web_acl_arn=acl.arn, opts=self._child
        )
        # The name must begin so. What was let through is in the access logs.
        group = self._logs.group(f"{self._name}-waf", f"aws-waf-logs-{self._s.name}", self._child)
        aws.wafv2.WebAclLoggingConfiguration(
            self._name,
            resource_arn=acl.arn,
            log_destination_configs=[group.arn],
            redacted_fields=[{"single_header": {"name": "authorization"}}],
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [{"action_condition": {"action": "BLOCK"}}],
                    }
                ],
            },
            opts=self._child,
        )


def _managed(priority: int, rule: str) -> aws.wafv2.WebAclRuleArgs:
    return aws.wafv2.WebAclRuleArgs(
        name=rule,
        priority=priority,
        override_action=aws.wafv2.WebAclRuleOverrideActionArgs(
            none=aws.wafv2.WebAclRuleOverrideActionNoneArgs()
        ),
        statement=aws.wafv2.WebAclRuleStatementArgs(
            managed_rule_group_statement=aws.wafv2.WebAclRuleStatementManagedRuleGroupStatementArgs(
                name=rule, vendor_name="AWS"
            )
        ),
        visibility_config=aws.wafv2.WebAclRuleVisibilityConfigArgs(
            cloudwatch_metrics_enabled=True, metric_name=rule, sampled_requests_enabled=True
        ),
    )
