"""Both forges' pipelines: of the form that each publishes, walked by bash, every call known to what it calls."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.commands import unknown
from harness.shell import walk

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
GITLAB = ROOT / ".gitlab-ci.yml"
COMMIT = "0123abc"
ANSWERS = {
    "stack output kubeconfigCommand": "aws eks update-kubeconfig --region ap-northeast-2 --name point-prod",
    "imageTag=": "None",
}


def _jobs() -> dict[str, Any]:
    document = yaml.safe_load(GITLAB.read_text())
    return {n: j for n, j in document.items() if isinstance(j, dict) and "script" in j}


def _script(job: dict[str, Any]) -> str:
    parent = yaml.safe_load(GITLAB.read_text()).get(job.get("extends"), {})
    return "\n".join([*parent.get("before_script", []), *job["script"]])


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.gitlab-ci", [GITLAB]), ("vendor.github-workflows", WORKFLOWS)],
    ids=["GitLab", "GitHub"],
)
def test_a_pipeline_has_the_form_that_its_forge_publishes(schema: str, files: list[Path]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("job", _jobs())
def test_gitlab_s_scripts_run_and_every_call_is_known(job: str, tmp_path: Path, updated: Any) -> None:
    environment = {
        "CI_JOB_ID": "1", "CI_COMMIT_SHA": COMMIT, "CI_MERGE_REQUEST_DIFF_BASE_SHA": COMMIT, "AWS_TOKEN": "x",
        "AWS_REGION": "ap-northeast-2", "service": "sha256:1", "operator": "sha256:1",
    }  # fmt: skip
    calls = walk("apk() { :; }\n" + _script(_jobs()[job]), ANSWERS, tmp_path, **environment)
    assert calls
    assert unknown(calls, updated.outputs["names"]) == {}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.stem)
def test_github_s_scripts_run_and_every_call_is_known(file: Path, tmp_path: Path, updated: Any) -> None:
    """What a step is given by `${{ }}` in its text, not by its environment, is x."""
    for job in yaml.safe_load(file.read_text())["jobs"].values():
        for step in [s for s in job["steps"] if "run" in s]:
            for plan in (tmp_path / "plan.txt", tmp_path / "plan-aws" / "plan.txt"):
                plan.parent.mkdir(exist_ok=True)
                plan.write_text("")  # of an earlier step
            script = step["run"].replace("${{ matrix.tier }}", "check").replace("sudo env", "env")
            environment = {"GITHUB_SHA": COMMIT, "GITHUB_OUTPUT": "out", "GITHUB_STEP_SUMMARY": "summary"}
            environment |= dict.fromkeys(step.get("env", {}), "x")
            calls = walk(script, ANSWERS, tmp_path, **environment)
            assert unknown(calls, updated.outputs["names"]) == {}


def test_who_takes_a_role_does_it_by_a_token_and_only_on_its_own_branch() -> None:
    jobs = _jobs()
    takes = {n: j["variables"]["AWS_ROLE_ARN"] for n, j in jobs.items() if j.get("extends") == ".as"}
    assert takes == {"aws": "$AWS_PREVIEW_ROLE", "images": "$AWS_PUSH_ROLE", "up": "$AWS_DEPLOY_ROLE"}
    for name in ("images", "policy", "up"):
        assert all('$CI_COMMIT_BRANCH == "main"' in rule["if"] for rule in jobs[name]["rules"])
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_PATH == $CI_PROJECT_PATH" in jobs["aws"]["rules"][0]["if"]
    assert "AWS_ACCESS_KEY_ID" not in GITLAB.read_text()


def test_gitlab_s_up_waits_for_a_person_the_images_and_the_policies_and_is_alone() -> None:
    up = _jobs()["up"]
    assert up["needs"] == ["images", "policy"]
    assert [rule["when"] for rule in up["rules"]] == ["manual"]
    assert (up["resource_group"], up["interruptible"], up["environment"]["name"]) == ("prod", False, "prod")


def test_gitlab_s_image_has_the_pulumi_of_the_lock() -> None:
    version = yaml.safe_load(GITLAB.read_text())["default"]["image"]["name"].split(":")[1]
    assert f"\npulumi=={version} " in (ROOT / "requirements" / "dev.txt").read_text()
