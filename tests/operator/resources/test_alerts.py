"""The alerts: which world makes each of them fire and which does not, by Prometheus' own `promtool`.

A case is what the counters do, minute by minute, and which alerts there are at which minute.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_operator import metrics
from point_operator.model import api, kinds
from point_operator.resources.surroundings import Surroundings
from point_operator.resources.watching import alerts, dashboard, operator_monitoring, service_monitor
from point_service.telemetry import metrics as service_metrics
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).resolve().parents[3]
OPERATOR_RULES = ROOT / "operator/deploy/monitoring/alerts.yaml"


@pytest.fixture
def point_service(example: dict[str, Any]) -> api.PointService:
    """The example: 2 to 10 pods."""
    metadata = {"name": "points", "namespace": "points", "uid": "1"}
    return api.parse(
        {"metadata": metadata | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": example["spec"]}
    )


@pytest.fixture
def groups(point_service: api.PointService) -> list[dict[str, Any]]:
    """Every group of rules, of a PointService and of the operator."""
    return [alerts.group(point_service), *yaml.safe_load(OPERATOR_RULES.read_text())["spec"]["groups"]]


def test_every_alert_leads_to_a_section_of_the_runbook(groups: list[dict[str, Any]]) -> None:
    text = (ROOT / alerts.RUNBOOK).read_text()
    sections = {
        line.strip("# `").lower().replace(" ", "-") for line in text.splitlines() if line.startswith("#")
    }
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len(rules) > 15
    for rule in rules:
        file, _, section = rule["annotations"]["runbook"].partition("#")
        assert file == alerts.RUNBOOK
        assert section in sections, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_alerts_link_to_the_runbook_where_people_open_it(point_service: api.PointService) -> None:
    rules = alerts.group(point_service, "https://wiki.example/run")["rules"]
    down = next(one for one in rules if one.get("alert") == "PointServiceDown")
    assert down["annotations"]["runbook_url"] == "https://wiki.example/run#pointservicedown"


def test_a_prometheus_that_selects_by_label_finds_them(example: dict[str, Any]) -> None:
    metadata = {"name": "points", "namespace": "points", "uid": "1"}
    spec = example["spec"] | {"observability": {"labels": {"release": "kps"}}}
    labelled = api.parse({"metadata": metadata, "spec": spec})
    everything = Surroundings(optional_kinds=frozenset(kinds.OPTIONAL))
    for build in (alerts.build, service_monitor.build):
        made = build(labelled, everything)
        assert made is not None
        assert made["metadata"]["labels"]["release"] == "kps"
    assert "release" not in made["spec"]["selector"]["matchLabels"]


def test_every_section_of_the_runbook_tells_the_five_things() -> None:
    text = (ROOT / alerts.RUNBOOK).read_text()
    for alert in {alert.name for alert in (*alerts.ALERTS, *operator_monitoring.ALERTS)}:
        section = text.split(f"### {alert}\n")[1].split("\n### ")[0].split("\n## ")[0]
        for part in ("Means", "Members see", "Look", "Do", "Over"):
            assert f"**{part}**" in section, f"{alert}: {part}"


def test_only_metrics_that_exist_are_asked_for(
    point_service: api.PointService, groups: list[dict[str, Any]]
) -> None:
    families = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    for metric in (*vars(service_metrics).values(), *vars(metrics).values()):
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.collect()
            families |= {family.name + ending for ending in endings.get(family.type, ("",))}
    boards = [
        json.loads(dashboard.of(point_service)),
        json.loads(
            yaml.safe_load((OPERATOR_RULES.parent / "dashboard.yaml").read_text())["data"][
                "point-operator.json"
            ]
        ),
    ]
    asked = [
        target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", [])
    ]
    asked += [rule["expr"] for group in groups for rule in group["rules"]]
    names = set(re.findall(r"\b((?:point|process)_[a-z_]+)(?=[{ )])", " ".join(asked)))
    assert len(names) > 20
    assert names - {"point_service"} <= families


PODS = 'namespace="points",pod="points-7d9f-{}"'
GATEWAY = (
    'namespace="istio-ingress",pod="istio-ingressgateway-1",'
    'cluster_name="outbound|8080||points.points.svc.cluster.local"'
)
OPERATOR = 'namespace="point-system",pod="point-operator-6b5-{}"'


def _pods(metric: str, *values: str, more: str = "") -> dict[str, str]:
    """One series a pod."""
    return {f"{metric}{{{PODS.format(n)}{more}}}": value for n, value in enumerate(values)}


def _answers(good: str, bad: str) -> dict[str, str]:
    """What the gateway counts."""
    return {
        f'envoy_cluster_upstream_rq{{{GATEWAY},response_code_class="{kind}"}}': value
        for kind, value in (("2xx", good), ("5xx", bad))
    }


def _timed(all_of_them: str, fast: str) -> dict[str, str]:
    more = ',route="/v1/points",method="GET"'
    return _pods("point_request_duration_seconds_count", all_of_them, more=more) | _pods(
        "point_request_duration_seconds_bucket", fast, more=f'{more},le="0.5"'
    )


OF_USES = ',route="/v1/points/use",method="POST",status="201"'
HEALTHY = (
    _answers("0+6000x600", "0+1x600")
    | _timed("0+6000x600", "0+5990x600")
    | _pods("point_requests_in_flight", "2x600", "3x600")
    | _pods("point_requests_total", "0+3000x600", "0+3000x600", more=OF_USES)
    | _pods("point_admission_refused_total", "0+60x600", "0x600", more=',kind="use"')
    | _pods("process_start_time_seconds", "1x600", "2x600")
    | _pods("process_cpu_seconds_total", "0+6x600", "0+6x600")
    | _pods("process_resident_memory_bytes", "100000000x600", "100000000x600")
    | _pods("point_database_pool_in_use", "3x600", "2x600")
    | _pods("point_database_pool_size", "10x600", "10x600")
    | _pods("point_redis_unavailable_total", "0x600", "0x600", more=',purpose="lock"')
    | _pods("point_expiry_finished_timestamp_seconds", "0+60x600", "0+60x600")
    | _pods("point_upkeep_failures_total", "0x600", "0+1x20 20x600", more=',work="expiry"')
    | _pods("point_upkeep_failures_total", "0x600", "0x600", more=',work="member"')
    | {
        'envoy_http_local_rate_limit_rate_limited{namespace="istio-ingress",component="points/points"}': "0x600",
        f"envoy_cluster_outlier_detection_ejections_active{{{GATEWAY}}}": "0x600",
        f'point_operator_degraded{{{OPERATOR.format(1)},point_service="points/points"}}': "0x600",
        f"point_operator_leader{{{OPERATOR.format(1)}}}": "1x600",
        f"point_operator_leader{{{OPERATOR.format(2)}}}": "0x600",
        f'point_operator_reconciles_total{{{OPERATOR.format(1)},result="done"}}': "0+1x600",
        f'point_operator_errors_total{{{OPERATOR.format(1)},reason="ApiError"}}': "0x600",
        f'point_operator_drift_repaired_total{{{OPERATOR.format(1)},kind="Service"}}': "0x600",
        f"point_operator_queue_waiting{{{OPERATOR.format(1)}}}": "0x600",
    }
)
"""A world in which nothing fires: 100 requests per second, of which one a minute fails."""


def _without(*beginnings: str) -> dict[str, str]:
    return {series: value for series, value in HEALTHY.items() if not series.startswith(beginnings)}


BURN = {f"PointServiceErrorBudgetBurn/{window}" for window in ("1h", "6h", "3d")}
"""All three: with an hour of data, three days of it look like that hour."""

CASES: dict[str, tuple[dict[str, str], dict[int, set[str]]]] = {
    "a healthy world": (HEALTHY, {30: set(), 600: set()}),
    # 3% of 100 requests a second is twice what pages; it takes the long window a while to be over the limit.
    "errors begin": (
        HEALTHY | _answers("0+6000x60 366000+5820x540", "0+0x60 0+180x540"),
        {60: set(), 100: BURN},
    ),
    "errors are over after ten minutes": (
        HEALTHY | _answers("0+5400x10 54000+6000x590", "0+600x10 6000x590"),
        {
            9: BURN,
            20: BURN - {"PointServiceErrorBudgetBurn/1h"},
            60: {"PointServiceErrorBudgetBurn/3d"},
        },
    ),
    "one request in three fails, of four an hour": (
        HEALTHY | _answers("0+0.05x600", "0+0.02x600"),
        {120: set()},
    ),
    "no pod is ready, and only the gateway counts": (
        _without("point_request_duration") | _answers("0+0x600", "0+600x600"),
        {30: BURN},
    ),
    "nobody scrapes the gateway, and the pods count": (
        _without("envoy_")
        | _pods("point_requests_total", "0+6000x600", more=',route="/v1/points",method="GET",status="200"')
        | _pods("point_requests_total", "0+600x600", more=',route="/v1/points",method="GET",status="503"'),
        {30: BURN},
    ),
    "one request in five is slow": (
        HEALTHY | _timed("0+6000x600", "0+4800x600"),
        {30: {one.replace("Error", "Latency") for one in BURN}},
    ),
    "all pods vanish": (
        HEALTHY | _pods("point_requests_in_flight", "2x10 stale", "3x10 stale"),
        {11: set(), 14: {"PointServiceDown"}, 600: {"PointServiceDown"}},
    ),
    "a service has not been up yet": (
        _without("point_requests_in_flight"),
        {30: set(), 600: set()},
    ),
    "the operator can't do what the spec says": (
        HEALTHY | {f'point_operator_degraded{{{OPERATOR.format(1)},point_service="points/points"}}': "1x600"},
        {8: set(), 30: {"PointServiceDegraded"}},
    ),
    "it can't for another service": (
        HEALTHY | {f'point_operator_degraded{{{OPERATOR.format(1)},point_service="points/bonus"}}': "1x600"},
        {30: set()},
    ),
    "one pod is left": (
        HEALTHY | _pods("point_requests_in_flight", "2x600", "3x10 stale"),
        {15: set(), 30: {"PointServiceTooFewPods"}},
    ),
    "ten busy pods": (
        HEALTHY
        | _pods("point_requests_in_flight", *["9x600"] * 10)
        | _pods("process_cpu_seconds_total", *["0+11.5x600"] * 10),
        {30: {"PointServiceSaturated"}},
    ),
    "ten idle pods": (HEALTHY | _pods("point_requests_in_flight", *["9x600"] * 10), {30: set()}),
    "a tenth is more than can be done": (
        HEALTHY | _pods("point_admission_refused_total", "0+300x600", "0+300x600", more=',kind="use"'),
        {8: set(), 30: {"PointServiceOverloaded"}},
    ),
    "a tenth was more than could be done, for five minutes": (
        HEALTHY
        | _pods("point_admission_refused_total", "0+300x5 1500x600", "0+300x5 1500x600", more=',kind="use"'),
        {8: set(), 30: set()},
    ),
    "a pod starts again and again": (
        HEALTHY | _pods("process_start_time_seconds", "1+1x600", "2x600"),
        {30: {"PointServiceRestarts"}},
    ),
    "a pod grows": (
        HEALTHY | _pods("process_resident_memory_bytes", "380000000x600", "100000000x600"),
        {5: set(), 30: {"PointServiceMemoryHigh"}},
    ),
    "every connection is lent": (
        HEALTHY | _pods("point_database_pool_in_use", "10x600", "10x600"),
        {30: {"PointServiceDatabasePoolFull"}},
    ),
    "Redis is gone": (
        HEALTHY | _pods("point_redis_unavailable_total", "0+60x600", "0x600", more=',purpose="lock"'),
        {30: {"PointServiceWithoutRedis"}},
    ),
    "nothing expires any more": (
        HEALTHY | _pods("point_expiry_finished_timestamp_seconds", "-90000x600", "-95000x600"),
        {60: set(), 180: {"PointServiceExpiryLate"}},
    ),
    "one member's points don't expire": (
        HEALTHY | _pods("point_upkeep_failures_total", "0+1x600", "0x600", more=',work="member"'),
        {60: set(), 120: {"PointServiceUpkeepFailing"}},
    ),
    "a tenth is over the limit": (
        HEALTHY
        | {
            'envoy_http_local_rate_limit_rate_limited{namespace="istio-ingress",component="points/points"}': "0+700x600"
        },
        {10: set(), 30: {"PointServiceRateLimited"}},
    ),
    "a pod is taken out": (
        HEALTHY | {f"envoy_cluster_outlier_detection_ejections_active{{{GATEWAY}}}": "1x600"},
        {30: {"PointServicePodsTakenOut"}},
    ),
    "another service's errors": (
        HEALTHY
        | {
            series.replace("points.points.svc", "bonus.points.svc"): value
            for series, value in _answers("0x600", "0+600x600").items()
        },
        {30: set()},
    ),
    "no operator": (
        HEALTHY | {f"point_operator_leader{{{OPERATOR.format(n)}}}": "0x10 stale" for n in (1, 2)},
        {30: {"PointOperatorAbsent"}},
    ),
    "nobody leads": (
        HEALTHY | {f"point_operator_leader{{{OPERATOR.format(1)}}}": "0x600"},
        {30: {"PointOperatorAbsent"}},
    ),
    "two lead": (
        HEALTHY | {f"point_operator_leader{{{OPERATOR.format(2)}}}": "1x600"},
        {30: {"PointOperatorTwoLeaders"}},
    ),
    "another leads, and Prometheus was away meanwhile": (
        HEALTHY
        | {
            f"point_operator_leader{{{OPERATOR.format(1)}}}": "1x10 _x590",
            f"point_operator_leader{{{OPERATOR.format(2)}}}": "0x9 1x590",
        },
        {13: set(), 14: set(), 15: set()},
    ),
    "one operator": (
        {series: value for series, value in HEALTHY.items() if OPERATOR.format(2) not in series},
        {10: set(), 30: {"PointOperatorWithoutStandby"}},
    ),
    "looks fail": (
        HEALTHY | {f'point_operator_errors_total{{{OPERATOR.format(1)},reason="ApiError"}}': "0+6x600"},
        {30: {"PointOperatorFailing"}},
    ),
    "the queue never empties": (
        HEALTHY | {f"point_operator_queue_waiting{{{OPERATOR.format(1)}}}": "3x600"},
        {30: {"PointOperatorSlow"}},
    ),
    "somebody fights": (
        HEALTHY | {f'point_operator_drift_repaired_total{{{OPERATOR.format(1)},kind="Service"}}': "0+6x600"},
        {20: set(), 60: {"PointOperatorFights"}},
    ),
}


def test_every_alert_has_a_world_in_which_it_fires() -> None:
    fired = {
        name.partition("/")[0] for _, times in CASES.values() for names in times.values() for name in names
    }
    assert fired == {alert.name for alert in (*alerts.ALERTS, *operator_monitoring.ALERTS)}


@pytest.mark.integration
@pytest.mark.parametrize("case", CASES)
def test_alerts_fire_when_they_should(case: str, groups: list[dict[str, Any]], tmp_path: Path) -> None:
    series, times = CASES[case]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    test = {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname, window) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": _labels(name), "value": 1} for name in sorted(names)],
            }
            for minute, names in times.items()
        ],
    }
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "30s", "tests": [test]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    assert _promtool("test", "rules", str(tmp_path / "test.yml")) == ""


@pytest.mark.integration
def test_prometheus_reads_every_rule(groups: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    assert _promtool("check", "rules", "--lint-fatal", str(tmp_path / "rules.yml")) == ""


def _labels(name: str) -> str:
    alert, _, window = name.partition("/")
    return f'{{alertname="{alert}",window="{window}"}}' if window else f'{{alertname="{alert}"}}'


def _promtool(*arguments: str) -> str:
    """What it complains about."""
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is missing: point-local packages installs it")
        pytest.skip("promtool is missing: point-local packages installs it")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr
