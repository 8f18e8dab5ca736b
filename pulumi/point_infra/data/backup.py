"""Recovery points of Aurora that nobody takes away: a locked vault, filled every night, and copies in another region.

Aurora's own backups, from which any second of the last weeks comes back, are deleted by whoever may delete the cluster.
"""

from collections.abc import Sequence

import pulumi_aws as aws

import pulumi
from point_infra.config import regions
from point_infra.config.settings import Settings
from point_infra.data.database import Database
from point_infra.foundation.iam import allow, policy, trust
from point_infra.foundation.keys import Keys

LEAST_DAYS, MOST_DAYS = 7, 366
"""What the lock lets a recovery point live: the same for every stack, since a compliant lock can't be changed."""
_GRACE_DAYS = 3
"""The least that AWS takes: as long a compliant lock can still be taken off."""
_COPIED = {"day": {"*": True}, "week": {"MON-SAT": False, "SUN": True}}
"""How often copies are made -> days of the week (UTC), and whether a backup of theirs is copied."""
_HOURS_ON = 3
"""After the windows of Aurora's own backup and maintenance, in which AWS Backup waits."""


class Backup(pulumi.ComponentResource):
    """A plan for one database, chosen by its ARN, and a role that may do that and no more."""

    def __init__(
        self, name: str, s: Settings, database: Database, keys: Keys, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("point:index:Backup", name, None, opts)
        self._name, self._s = name, s
        self._child = pulumi.ResourceOptions(parent=self)
        self._locks: list[pulumi.Resource] = []
        vaults, used = [self._vault(name, keys.key_arn, None)], [keys.key_arn]
        if s.backup_copy_region:
            # Whoever reads a copy needs the key that is there: those of a lost region are lost with it.
            there = Keys(f"{s.vault_name}-backup", s.backup_copy_region, self._child).key_arn
            vaults.append(self._vault(f"{name}-copy", there, s.backup_copy_region))
            used.append(there)
        plan = aws.backup.Plan(name, name=s.vault_name, rules=self._rules(vaults), opts=self._child)
        rights = pulumi.Output.all(database.arn, *used, *(v.arn for v in vaults)).apply(
            lambda arns: _rights(arns[0], arns[1 : 1 + len(used)], arns[1 + len(used) :])
        )
        role = aws.iam.Role(name, assume_role_policy=trust("backup.amazonaws.com"), opts=self._child)
        may = aws.iam.RolePolicy(name, role=role.name, policy=rights, opts=self._child)
        aws.backup.Selection(
            name,
            name=s.name,
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=[database.arn],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may, *self._locks]),
        )
        self.register_outputs({"vault": s.vault_name})

    def _vault(self, name: str, key_arn: pulumi.Input[str], region: str | None) -> aws.backup.Vault:
        s = self._s
        vault = aws.backup.Vault(
            name,
            name=s.vault_name,
            kms_key_arn=key_arn,
            force_destroy=not s.deletion_protection,
            region=region,
            opts=pulumi.ResourceOptions(parent=self, protect=s.deletion_protection),
        )
        lock = aws.backup.VaultLockConfiguration(
            name,
            backup_vault_name=vault.name,
            min_retention_days=LEAST_DAYS,
            max_retention_days=MOST_DAYS,
            changeable_for_days=_GRACE_DAYS if s.backup_vault == "compliance" else None,
            region=region,
            opts=self._child,
        )
        self._locks.append(lock)
        return vault

    def _rules(self, vaults: Sequence[aws.backup.Vault]) -> list[aws.backup.PlanRuleArgsDict]:
        s, here, there = self._s, vaults[0], vaults[1:]
        lifecycle: aws.backup.PlanRuleLifecycleArgsDict = {"delete_after": s.backup_vault_days}
        copied_to: aws.backup.PlanRuleCopyActionLifecycleArgsDict = {"delete_after": s.backup_vault_days}
        copies: list[aws.backup.PlanRuleCopyActionArgsDict] = [
            {"destination_vault_arn": vault.arn, "lifecycle": copied_to} for vault in there
        ]
        days = _COPIED[s.backup_copy_every] if there else {"*": False}
        return [
            {
                "rule_name": "copied" if copied else "kept",
                "target_vault_name": here.name,
                "schedule": f"cron(0 {regions.hour(s.region, _HOURS_ON)} ? * {day} *)",
                "start_window": 60,
                "completion_window": 600,
                "lifecycle": lifecycle,
                "recovery_point_tags": s.tags(),
                "copy_actions": copies if copied else [],
            }
            for day, copied in days.items()
        ]


def _rights(database_arn: str, key_arns: list[str], vault_arns: list[str]) -> str:
    """What AWS's own policy for backups has for an Aurora cluster, on this one, its snapshots, keys and vaults."""
    account = database_arn.split(":")[4]
    snapshots = [
        f"arn:aws:rds:{vault.split(':')[3]}:{account}:cluster-snapshot:awsbackup:*" for vault in vault_arns
    ]
    look = [
        "rds:DescribeDBClusters",
        "rds:DescribeDBClusterSnapshots",
        "rds:ListTagsForResource",
        "tag:GetResources",
    ]
    copy = (
        [
            allow(["rds:CopyDBClusterSnapshot"], snapshots),
            # A recovery point of Aurora is no vault's by its ARN: said is where to it may go.
            allow(
                "backup:CopyFromBackupVault",
                "*",
                Condition={"ForAllValues:ArnEquals": {"backup:CopyTargets": vault_arns[1:]}},
            ),
            allow("backup:CopyIntoBackupVault", vault_arns[1:]),
        ]
        if vault_arns[1:]
        else []
    )
    return policy(
        allow(look, "*"),
        allow("rds:CreateDBClusterSnapshot", [database_arn, snapshots[0]]),
        allow(["rds:AddTagsToResource", "rds:DeleteDBClusterSnapshot"], snapshots),
        *copy,
        allow("backup:DescribeBackupVault", vault_arns),
        allow("kms:DescribeKey", key_arns),
        allow("kms:CreateGrant", key_arns, Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    )
