"""The KMS key that encrypts what the stack keeps: Kubernetes secrets, database, cache, logs, alarms."""

import pulumi_aws as aws

import pulumi
from point_infra.foundation.iam import allow, policy


class Keys(pulumi.ComponentResource):
    """One customer key, rotated every year; a delete waits 30 days, in which it can be taken back.

    `existing` is the ARN of a key that somebody else keeps, in place of one of ours.
    """

    key_arn: pulumi.Output[str]

    def __init__(
        self, name: str, region: str, opts: pulumi.ResourceOptions | None = None, *, existing: str = ""
    ) -> None:
        super().__init__("point:index:Keys", name, None, opts)
        self.key_arn = pulumi.Output.from_input(existing) if existing else self._make(name, region)
        self.register_outputs({"keyArn": self.key_arn})

    def _make(self, name: str, region: str) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        key = aws.kms.Key(
            name,
            description=f"What {name} keeps",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=account.apply(lambda a: _policy(a, region)),
            region=region,
            opts=child,
        )
        aws.kms.Alias(name, name=f"alias/{name}", target_key_id=key.key_id, region=region, opts=child)
        return key.arn


def _policy(account: str, region: str) -> str:
    """IAM decides within the account; CloudWatch may write encrypted logs and send alarms by an encrypted topic."""
    return policy(
        allow("kms:*", "*", Principal={"AWS": f"arn:aws:iam::{account}:root"}),
        allow(
            ["kms:Decrypt", "kms:GenerateDataKey*"],
            "*",
            Principal={"Service": "cloudwatch.amazonaws.com"},
            Condition={"StringEquals": {"aws:SourceAccount": account}},
        ),
        allow(
            ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
            "*",
            Principal={"Service": f"logs.{region}.amazonaws.com"},
            Condition={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account}:log-group:*"
                }
            },
        ),
    )
