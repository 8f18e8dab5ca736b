"""A private S3 bucket: no public access, encrypted, TLS only, old objects leave by themselves."""

from dataclasses import dataclass

import pulumi_aws as aws

import pulumi
from point_infra.foundation.iam import policy


@dataclass(frozen=True)
class PrivateBucket:
    """A bucket that nobody has been let into yet."""

    name: str
    bucket: aws.s3.Bucket
    block: aws.s3.BucketPublicAccessBlock
    parent: pulumi.Resource

    def admit(
        self, statement: dict[str, pulumi.Input[object]], below: pulumi.Input[str] = "*"
    ) -> aws.s3.BucketPolicy:
        """Let somebody in by `statement`, whose Resource is what lies `below`; who writes comes after this policy."""
        document = pulumi.Output.all(self.bucket.arn, statement, below).apply(
            lambda a: _document(a[0], a[1], a[2])
        )
        return aws.s3.BucketPolicy(
            self.name,
            bucket=self.bucket.id,
            policy=document,
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=[self.block]),
        )


def private_bucket(
    name: str, *, keep_days: int | None, force_destroy: bool, parent: pulumi.Resource
) -> PrivateBucket:
    """Make a bucket; `keep_days` deletes older objects, `force_destroy` lets a delete take the objects along."""
    child = pulumi.ResourceOptions(parent=parent)
    bucket = aws.s3.Bucket(name, force_destroy=force_destroy, opts=child)
    block = aws.s3.BucketPublicAccessBlock(
        name,
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=child,
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=bucket.id,
        # Load balancers deliver to buckets with S3's own keys only.
        rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
        opts=child,
    )
    if keep_days is not None:
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[{"id": "expire", "status": "Enabled", "filter": {}, "expiration": {"days": keep_days}}],
            opts=child,
        )
    return PrivateBucket(name, bucket, block, parent)


def _document(arn: str, statement: dict[str, object], below: str) -> str:
    plain_http = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return policy({"Effect": "Allow", **statement, "Resource": f"{arn}/{below}"}, plain_http)
