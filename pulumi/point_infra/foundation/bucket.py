"""A private S3 bucket: no public access, encrypted, TLS only, old objects leave by themselves."""

import pulumi_aws as aws

import pulumi
from point_infra.foundation.iam import policy


def private_bucket(
    name: str,
    statement: dict[str, pulumi.Input[object]],
    *,
    keep_days: int | None,
    force_destroy: bool,
    parent: pulumi.Resource,
) -> tuple[aws.s3.Bucket, aws.s3.BucketPolicy]:
    """Make a bucket whose policy is `statement` (its Resource is filled in) and a refusal of plain HTTP.

    Whoever writes into it must come after the policy, the second value.

    `keep_days` deletes older objects; `force_destroy` lets a delete take the objects along.
    """
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
    document = pulumi.Output.all(bucket.arn, statement).apply(lambda a: _document(a[0], a[1]))
    may_write = aws.s3.BucketPolicy(
        name,
        bucket=bucket.id,
        policy=document,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[block]),
    )
    return bucket, may_write


def _document(arn: str, statement: dict[str, object]) -> str:
    plain_http = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return policy({"Effect": "Allow", **statement, "Resource": f"{arn}/*"}, plain_http)
