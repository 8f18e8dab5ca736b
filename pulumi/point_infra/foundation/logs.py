"""CloudWatch log groups: each ends what it keeps some day, and is encrypted with the stack's key."""

from dataclasses import dataclass

import pulumi_aws as aws

import pulumi


@dataclass(frozen=True)
class Logs:
    """How every log group of the stack is kept: for how many days, and under which key."""

    retention_days: int
    key_arn: pulumi.Input[str]

    def group(self, name: str, path: str, opts: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
        """Make the group at `path`, which is there before whoever writes: AWS would make one without an end."""
        return aws.cloudwatch.LogGroup(
            name, name=path, retention_in_days=self.retention_days, kms_key_id=self.key_arn, opts=opts
        )
