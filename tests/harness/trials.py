"""What the schema of a PointService takes and what it refuses, field by field: all but the gateway."""

from typing import Any

TRAVERSAL = "../../other-ns/secrets/x"
Trials = list[tuple[str, list[Any], list[tuple[Any, str]]]]
"""A field's path, values that are taken, and values that are refused with what is said."""

TRIALS: Trials = [
    (
        "image",
        ["point-service", "localhost:5000/a/b:1", "docker.io/library/point-service@sha256:" + "0" * 64, "a/b:v1_2.x"],
        [
            ("", "should be at least 1 chars long"),
            ("an image", "image must be one image reference"),
            ("https://registry.example.com/a", "without scheme"),
            ("registry.example.com/", "image must be"),
            ("Upper/Case", "image must be"),
            ("a:tag:tag", "image must be"),
        ],
    ),
    ("imagePullPolicy", ["Always", "Never"], [("Sometimes", "Unsupported value")]),
    ("logLevel", ["DEBUG"], [("TRACE", "Unsupported value")]),
    ("paused", [True], [("yes", "must be of type boolean")]),
    ("deletionPolicy", ["Orphan"], [("Keep", "Unsupported value")]),
    ("database.poolSize", [1, 500], [(0, "greater than or equal to 1"), (501, "less than or equal to 500")]),
    ("database.port", [1, 65535], [(0, "greater than or equal to 1"), (65536, "less than or equal to 65535")]),
    (
        "database.name",
        ["points", "A_1"],
        [
            ("a-b", "letters, digits and underscores"),
            ("", "letters, digits and underscores"),
            ("mysql", "must not be a schema of MySQL itself"),
            ("Information_Schema", "must not be a schema of MySQL itself"),
        ],
    ),
    *(
        (
            path,
            ["mysql.data", "10.1.2.3", "a-b.Cluster-1.eu.rds.amazonaws.com", "m"],
            [
                ("mysql://mysql.data", f"{path} must be a host name"),
                ("mysql.data:3306", f"{path} must be a host name"),
                ("mysql.data/points", f"{path} must be a host name"),
                ("my sql", f"{path} must be a host name"),
                ("mysql..data", f"{path} must be a host name"),
                ("-mysql", f"{path} must be a host name"),
                ("x" * 64 + ".data", f"{path} must be a host name"),
            ],
        )
        for path in ("database.host", "database.readerHost", "cache.host")
    ),
    *(
        (
            path,
            ["points-db", "a.b", "0"],
            [
                (TRAVERSAL, "must be the name of a Secret"),
                ("..", "must be the name of a Secret"),
                ("a/b", "must be the name of a Secret"),
                ("a b", "must be the name of a Secret"),
                ("A", "must be the name of a Secret"),
                ("a%2Fb", "must be the name of a Secret"),
                ("-a", "must be the name of a Secret"),
                ("a..b", "must be the name of a Secret"),
            ],
        )
        for path in (
            "database.credentialsSecret", "database.migrationSecret", "database.tls.caSecret",
            "cache.authSecret", "cache.tls.caSecret", "gateway.tls.credentialName", "logKeySecret",
        )
    ),
    ("database.tls", [{"enabled": False}, {"caSecret": ""}], [({"enabled": False, "caSecret": "x"}, "has no meaning")]),
    ("cache.tls", [{"enabled": False}], [({"enabled": False, "caSecret": "x"}, "has no meaning while")]),
    ("cache.port", [6379], [(0, "greater than or equal to 1")]),
    ("cache.clusterMode", [False], [("no", "must be of type boolean")]),
    ("mesh.timeoutSeconds", [1, 300], [(0, "greater than or equal to 1"), (301, "less than or equal to 300")]),
    ("mesh.retries.attempts", [0, 10], [(-1, "greater than or equal to 0"), (11, "less than or equal to 10")]),
    ("mesh.retries.perTryTimeoutSeconds", [1], [(0, "greater than or equal to 1")]),
    *(
        (f"mesh.circuitBreaker.{field}", [1], [(0, "greater than or equal to 1")])
        for field in (
            "consecutive5xxErrors", "intervalSeconds", "baseEjectionSeconds", "maxEjectionPercent",
            "minHealthPercent", "maxConnections", "maxPendingRequests",
        )
    ),
    ("rollout.strategy", ["Canary"], [("BlueGreen", "Unsupported value")]),
    ("rollout.progressDeadlineSeconds", [10], [(9, "greater than or equal to 10")]),
    ("rollout.migrationDeadlineSeconds", [60], [(0, "greater than or equal to"), ("1h", "must be of type integer")]),
    ("rollout.canary.weight", [1, 50], [(0, "greater than or equal to 1"), (51, "less than or equal to 50")]),
    ("rollout.canary.bakeSeconds", [5], [(4, "greater than or equal to 5")]),
    ("rollout.canary.maxErrorPercent", [0, 100], [(101, "less than or equal to 100")]),
    (
        "autoscaling",
        [{"minReplicas": 1, "maxReplicas": 1}, {"targetCPUUtilizationPercentage": 100}],
        [
            ({"minReplicas": 5, "maxReplicas": 4}, "minReplicas must not be above"),
            ({"minReplicas": 11}, "minReplicas must not be above"),
            ({"minReplicas": 0}, "greater than or equal to 1"),
            ({"targetCPUUtilizationPercentage": 0}, "greater than or equal to 1"),
        ],
    ),
    (
        "resources",
        [
            {}, {"requests": {"cpu": 2}}, {"requests": {"cpu": "0.5", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            {"requests": {"cpu": "1500m"}, "limits": {"cpu": 2, "memory": 400000000}},
        ],
        [
            ({"requests": {"cpu": "lots"}}, "should match"),
            ({"requests": {"cpu": 0}}, "a CPU above zero"),
            ({"requests": {"cpu": "0"}}, "a CPU above zero"),
            ({"requests": {"cpu": "0m"}}, "a CPU above zero"),
            ({"requests": {"cpu": -1}}, "a CPU above zero"),
            ({"limits": {"cpu": 0}}, "a CPU above zero"),
            ({"limits": {"cpu": -1}}, "a CPU above zero"),
            ({"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}, "requests.cpu must not be above"),
            ({"requests": {"memory": "385Mi"}}, "requests.memory must not be above"),
            ({"limits": {"memory": "100Mi"}}, "requests.memory must not be above"),
            ({"requests": {"memory": "192m"}}, "at least 32Mi"),
            ({"requests": {"memory": -1}}, "at least 32Mi"),
            ({"limits": {"memory": 384}}, "at least 32Mi"),
        ],
    ),
    (
        "policy",
        [{"minEarn": 5, "maxEarn": 5, "maxBalance": 5}],
        [
            ({"minEarn": 10, "maxEarn": 5}, "minEarn <= maxEarn <= maxBalance"),
            ({"maxEarn": 10, "maxBalance": 9}, "minEarn <= maxEarn <= maxBalance"),
            ({"defaultExpiryDays": 9, "maxExpiryDays": 8}, "defaultExpiryDays must not be above"),
            ({"minEarn": 0}, "greater than or equal to 1"),
            ({"maxExpiryDays": 36501}, "less than or equal to 36500"),
        ],
    ),
    ("observability.dashboard", [False], [("no", "must be of type boolean")]),
    ("observability.alerts", [False], [("no", "must be of type boolean")]),
    ("observability.serviceMonitor", [False], [("no", "must be of type boolean")]),
    (
        "observability.labels",
        [{}, {"release": "kube-prometheus-stack"}, {"prometheus.example.com/shard": ""}],
        [
            ({"a b": "c"}, "must be labels as Kubernetes takes them"),
            ({"a": "b c"}, "must be labels as Kubernetes takes them"),
            ({"pointservice.io/name": "other"}, "must not replace the operator's own"),
            ({"app.kubernetes.io/managed-by": "other"}, "must not replace the operator's own"),
        ],
    ),
]  # fmt: skip
