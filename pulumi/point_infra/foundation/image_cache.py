"""Public images through this account's own registry: a node that replaces a lost one asks nobody else for them.

ECR fetches an image at the first pull, gives it out from then on even when its origin doesn't answer, and looks for a
newer one under the same tag once a day. Its layers come from S3, past the NAT gateways. EKS' add-ons come from the
region's registry anyway.
"""

import json
from dataclasses import dataclass

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings
from point_infra.foundation.iam import allow, policy
from point_infra.foundation.registry import expiry

_KEEP = 10


@dataclass(frozen=True)
class Origin:
    """A public registry: the name that ECR asks for it by, and a part of our prefix, which has 30 characters in all."""

    url: str
    part: str


OPEN = {
    "public.ecr.aws": Origin("public.ecr.aws", "ecr"),
    "quay.io": Origin("quay.io", "red"),
    "registry.k8s.io": Origin("registry.k8s.io", "k8s"),
}
"""By the host in an image's name: those that ECR asks without signing in."""
SIGNED = {"docker.io": Origin("registry-1.docker.io", "hub"), "ghcr.io": Origin("ghcr.io", "git")}
"""Those that it signs in to, by a secret that config names."""


class ImageCache(pulumi.ComponentResource):
    """`source` says where the images of a public registry are pulled from; `rights` is what nodes need for it."""

    rights: pulumi.Output[str] | None = None

    def __init__(self, name: str, s: Settings, opts: pulumi.ResourceOptions) -> None:
        super().__init__("point:index:ImageCache", name, None, opts)
        self._sources: dict[str, pulumi.Output[str]] = {}
        if s.caches_images:
            self._make(name, s)
        self.register_outputs({"sources": self._sources})

    def source(self, host: str) -> pulumi.Output[str]:
        """A registry and a prefix in it, or the host itself where it is not cached."""
        return self._sources.get(host, pulumi.Output.from_input(host))

    def _make(self, name: str, s: Settings) -> None:
        child = pulumi.ResourceOptions(parent=self)
        aws.ecr.RepositoryCreationTemplate(
            name,
            prefix=s.name,
            description="Public images, made at their first pull",
            applied_fors=["PULL_THROUGH_CACHE"],
            # Else a tag that moved upstream could not follow.
            image_tag_mutability="MUTABLE",
            encryption_configurations=[{"encryption_type": "AES256"}],
            lifecycle_policy=json.dumps({"rules": expiry(_KEEP)}),
            opts=child,
        )
        secrets = {"docker.io": s.docker_hub_secret_arn, "ghcr.io": s.github_secret_arn}
        origins = OPEN | {host: origin for host, origin in SIGNED.items() if secrets[host]}
        rules = {
            host: aws.ecr.PullThroughCacheRule(
                f"{name}-{origin.part}",
                ecr_repository_prefix=f"{s.name}/{origin.part}",
                upstream_registry_url=origin.url,
                credential_arn=secrets.get(host),
                opts=child,
            )
            for host, origin in origins.items()
        }
        self._sources = {
            host: pulumi.Output.format(
                "{0}.dkr.ecr.{1}.amazonaws.com/{2}", rule.registry_id, s.region, rule.ecr_repository_prefix
            )
            for host, rule in rules.items()
        }
        account = next(iter(rules.values())).registry_id
        own = [f"repository/{s.name}/{origin.part}/*" for origin in origins.values()]
        self.rights = account.apply(
            lambda a: policy(
                allow(
                    ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"],
                    [f"arn:aws:ecr:{s.region}:{a}:{repository}" for repository in own],
                )
            )
        )
