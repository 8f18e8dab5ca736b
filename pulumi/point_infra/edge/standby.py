"""The static page that members see while the health check fails: CloudFront over a private bucket."""

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings
from point_infra.foundation.bucket import private_bucket

_PAGE = """<!doctype html><meta charset="utf-8"><title>Points</title>
<p>Points are not available right now. Nothing is lost; please try again in a few minutes.</p>
"""
_KEY = "unavailable.html"
_NO_CACHE = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""CloudFront's managed policy CachingDisabled."""


class Standby(pulumi.ComponentResource):
    """Needs the validation record of the load balancer's certificate: `opts.depends_on` names it."""

    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]

    def __init__(self, name: str, s: Settings, opts: pulumi.ResourceOptions) -> None:
        super().__init__("point:index:Standby", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # CloudFront takes certificates from us-east-1 only; the same record validates this one.
        certificate = aws.acm.Certificate(
            name, domain_name=s.domain_name, validation_method="DNS", region="us-east-1", opts=child
        )
        issued = aws.acm.CertificateValidation(
            name, certificate_arn=certificate.arn, region="us-east-1", opts=child
        )
        access = aws.cloudfront.OriginAccessControl(
            name,
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=child,
        )
        private = private_bucket(name, keep_days=None, force_destroy=not s.deletion_protection, parent=self)
        bucket = private.bucket
        aws.s3.BucketObjectv2(
            name, bucket=bucket.id, key=_KEY, content=_PAGE, content_type="text/html", opts=child
        )
        distribution = aws.cloudfront.Distribution(
            name,
            enabled=True,
            aliases=[s.domain_name],
            origins=[
                {
                    "origin_id": "page",
                    "domain_name": bucket.bucket_regional_domain_name,
                    "origin_access_control_id": access.id,
                }
            ],
            default_cache_behavior={
                "target_origin_id": "page",
                "viewer_protocol_policy": "redirect-to-https",
                "allowed_methods": ["GET", "HEAD"],
                "cached_methods": ["GET", "HEAD"],
                "cache_policy_id": _NO_CACHE,
            },
            # Whatever was asked for is not there, "/" among it, and gets the page as "not available".
            custom_error_responses=[
                {"error_code": code, "response_code": 503, "response_page_path": f"/{_KEY}"}
                for code in (403, 404, 405)
            ],
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={
                "acm_certificate_arn": issued.certificate_arn,
                "ssl_support_method": "sni-only",
                "minimum_protocol_version": "TLSv1.2_2021",
            },
            opts=child,
        )
        # Not CloudFront as such, which is everybody's.
        private.admit(
            {
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": "s3:GetObject",
                "Condition": {"StringEquals": {"aws:SourceArn": distribution.arn}},
            }
        )
        self.dns_name, self.zone_id = distribution.domain_name, distribution.hosted_zone_id
        self.register_outputs({"dnsName": self.dns_name})
