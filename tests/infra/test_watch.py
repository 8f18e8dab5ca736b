"""What an account has once is made by its own template, and by no stack."""

import subprocess
import sys
from pathlib import Path
from typing import Any

WATCH = Path(__file__).resolve().parents[2] / "pulumi" / "watch.yaml"


def test_the_template_is_valid() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, "-r", "ap-northeast-2", "--", WATCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_stack_makes_what_an_account_has_once(updated: Any, dev: Any) -> None:
    """A second stack would be refused, and the first to go would turn it off for the other."""
    once = (
        "guardduty/",
        "inspector2/",
        "securityhub/",
        "RegistryScanning",
        "RegionSettings",
        "RegistryPolicy",
    )
    declared = {r.type for run in (updated, dev) for r in run.resources}
    assert [t for t in declared if any(o.lower() in t.lower() for o in once)] == []
