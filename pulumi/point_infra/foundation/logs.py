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

    def adopted_group(self, name: str, path: str, opts: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
        """Make the group at `path`, or take it over where it is left from an earlier stack of the name.

        EKS writes once more when the cluster goes, and so makes its group anew behind us. The engine imports it and
        gives it its key and its end in one update; a group that is the stack's own already stays as it is.
        """
        asked = pulumi.InvokeOptions(parent=opts.parent)
        there = aws.cloudwatch.get_log_groups(log_group_name_prefix=path, opts=asked).log_group_names
        if path in (there or ()):
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(import_=path))
        return self.group(name, path, opts)
