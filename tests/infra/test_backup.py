"""The ledger's recovery points: who keeps them, for how long, where else, and who notices that there is none."""

import json
from collections.abc import Callable
from typing import Any

from point_infra.config import regions

NAME = "point-prod-ap-northeast-2"
LOCK = ":VaultLockConfiguration"


def test_production_keeps_every_night_35_days_in_a_locked_vault_and_every_week_in_another_region(
    updated: Any,
) -> None:
    vaults = updated.of("backup/vault:Vault")
    assert {n: (v["name"], v.get("region")) for n, v in vaults.items()} == {
        "backup": (NAME, None),
        "backup-copy": (NAME, "ap-northeast-1"),
    }
    # A copy that only a key of the lost region opens is lost with it.
    assert vaults["backup-copy"]["kmsKeyArn"] != vaults["backup"]["kmsKeyArn"]
    assert updated.of("kms/key:Key")[f"{NAME}-backup"]["region"] == "ap-northeast-1"
    assert [v["forceDestroy"] for v in vaults.values()] == [False, False]
    kept, copied = updated.one("backup/plan:Plan")["rules"]
    assert (kept["schedule"], copied["schedule"]) == ("cron(0 21 ? * MON-SAT *)", "cron(0 21 ? * SUN *)")
    assert not kept["copyActions"]
    (copy,) = copied["copyActions"]
    assert copy["destinationVaultArn"].endswith("/backup-copy")
    assert {r["lifecycle"]["deleteAfter"] for r in (kept, copied, copy)} == {35}


def test_a_governed_lock_has_no_end_of_grace_and_a_compliant_one_has(
    updated: Any, run_stack: Callable[..., Any]
) -> None:
    for stack, days in ((updated, None), (run_stack("prod", preview=False, backupVault="compliance"), 3)):
        locks = stack.of(LOCK)
        assert len(locks) == 2
        for lock in locks.values():
            assert (lock["minRetentionDays"], lock["maxRetentionDays"]) == (7, 366)
            assert lock.get("changeableForDays") == days


def test_only_this_database_is_chosen_and_its_role_reaches_no_other(updated: Any) -> None:
    (arn,) = updated.one("backup/selection:Selection")["resources"]
    document = json.loads(updated.of(":RolePolicy")["backup"]["policy"])
    writes = [s for s in document["Statement"] if s["Resource"] != "*"]
    assert arn in str(writes)
    assert "cluster-snapshot:awsbackup:*" in str(writes)
    wide = [s for s in document["Statement"] if s["Resource"] == "*" and "Condition" in s]
    assert [s["Action"] for s in wide] == ["backup:CopyFromBackupVault"]


def test_a_copy_every_night_is_one_rule(run_stack: Callable[..., Any]) -> None:
    (rule,) = run_stack("prod", preview=False, backupCopyEvery="day").one("backup/plan:Plan")["rules"]
    assert rule["schedule"] == "cron(0 21 ? * * *)"
    assert len(rule["copyActions"]) == 1


def test_without_another_region_nothing_leaves_and_no_right_to_copy_is_given(
    run_stack: Callable[..., Any],
) -> None:
    made = run_stack("prod", preview=False, backupCopyRegion="")
    assert made.of("backup/vault:Vault").keys() == {"backup"}
    assert "Copy" not in made.of(":RolePolicy")["backup"]["policy"]
    assert "observability-backup-copy-failed" not in made.of(":MetricAlarm")


def test_lean_has_no_vault_and_may_have_one(dev: Any, run_stack: Callable[..., Any]) -> None:
    assert not dev.of("backup/vault:Vault")
    assert not [n for n in dev.of(":MetricAlarm") if "backup" in n]
    made = run_stack("dev", preview=False, backupVault="governance")
    # Who may delete the database may delete these, too.
    assert made.one("backup/vault:Vault")["forceDestroy"] is True


def test_a_night_without_a_recovery_point_is_heard_of_and_a_plan_that_never_runs_as_well(
    updated: Any,
) -> None:
    alarms = {n: a for n, a in updated.of(":MetricAlarm").items() if a.get("namespace") == "AWS/Backup"}
    assert {a["metricName"] for a in alarms.values()} == {
        "NumberOfBackupJobsFailed",
        "NumberOfCopyJobsFailed",
        "NumberOfBackupJobsCompleted",
    }
    assert {a["dimensions"]["BackupVaultName"] for a in alarms.values()} == {NAME}
    assert alarms["observability-backup-missing"]["treatMissingData"] == "breaching"
    assert {t for a in alarms.values() for t in a["alarmActions"]} == {updated.outputs["alarmTopicArn"]}


def test_a_backup_begins_in_none_of_the_database_s_own_windows() -> None:
    """AWS Backup waits for them, and gives up when it has waited too long."""
    for region in regions.REGIONS:
        own = {int(regions.window(region, on)[:2]) for on in (-1, 0, 1)}
        assert regions.hour(region, 3) not in own
        assert (regions.hour(region, 3) + 1) % 24 not in own
