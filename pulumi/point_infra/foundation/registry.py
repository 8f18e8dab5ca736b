"""Image repositories: tags can't be moved, every push is scanned, old images leave by themselves."""

import json

import pulumi_aws as aws

import pulumi
from point_infra.config.settings import Settings

IMAGES = ("point-service", "point-operator")
_KEEP = 300


def expiry(keep: int) -> list[dict[str, object]]:
    """Rules of a lifecycle policy that keeps the newest `keep` tags of a repository, and what they are made of."""
    return [
        {
            "rulePriority": 1,
            "description": f"keep the newest {keep} pushes",
            # A push has one tag and is five images: an index, two platforms, and what attests each of them.
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["*"],
                "countType": "imageCountMoreThan",
                "countNumber": keep,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": "what no index names any more",
            # ECR expires nothing that a manifest list of the repository refers to (user guide, lifecycle policies).
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        },
    ]


class Registry(pulumi.ComponentResource):
    """`urls` maps an image's name to its repository."""

    def __init__(self, name: str, s: Settings, opts: pulumi.ResourceOptions) -> None:
        super().__init__("point:index:Registry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.urls: dict[str, pulumi.Output[str]] = {}
        for image in IMAGES:
            repository = aws.ecr.Repository(
                f"{name}-{image}",
                name=f"{s.name}/{image}",
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration={"scan_on_push": True},
                encryption_configurations=[{"encryption_type": "AES256"}],
                force_delete=not s.deletion_protection,
                opts=child,
            )
            aws.ecr.LifecyclePolicy(
                f"{name}-{image}",
                repository=repository.name,
                policy=json.dumps({"rules": expiry(_KEEP)}),
                opts=child,
            )
            self.urls[image] = repository.repository_url
        self.register_outputs({"urls": self.urls})
