"""The KMS key that encrypts what the stack keeps: Kubernetes secrets, database, cache, alarms."""

import json

import pulumi_aws as aws

import pulumi


class Keys(pulumi.ComponentResource):
    """One customer key, rotated every year."""

    key_arn: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("point:index:Keys", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        key = aws.kms.Key(
            name,
            description=f"What {name} keeps",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=account.apply(_policy),
            opts=child,
        )
        aws.kms.Alias(name, name=f"alias/{name}", target_key_id=key.key_id, opts=child)
        self.key_arn = key.arn
        self.register_outputs({"keyArn": self.key_arn})


def _policy(account: str) -> str:
    """IAM decides within the account; CloudWatch may send alarms through an encrypted topic."""
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    alarms = {
        "Effect": "Allow",
        "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [owner, alarms]})
