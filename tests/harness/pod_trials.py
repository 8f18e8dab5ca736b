"""What the schema of a PointService takes and what it refuses of the service's own settings."""

from harness.trials import Trials

TRIALS: Trials = [
    (
        "server.requestTimeoutSeconds",
        [0.5, 4.5, 5],
        [(0.4, "greater than or equal to 0.5"), (5.1, "must not be above mesh.timeoutSeconds"), (61, "or equal to 60")],
    ),
    *(
        (path, [low, high], [(low - 1, "greater than or equal"), (high + 1, "less than or equal"), ("1s", "type")])
        for path, low, high in (
            ("server.drainTimeoutSeconds", 0, 300), ("server.idempotencyRetentionHours", 1, 720),
            ("server.upkeepIntervalSeconds", 0, 86400), ("server.sharedTransactionRequests", 1, 500),
            ("database.acquireTimeoutSeconds", 0.1, 60), ("database.connectionLifetimeSeconds", 1, 86400),
            ("cache.timeoutSeconds", 0.01, 10), ("cache.answerTTLSeconds", 1, 86400),
            ("policy.expiringSoonDays", 1, 366),
        )
    ),
    (
        "observability.tracing",
        [
            {"endpoint": "http://collector.monitoring:4318"},
            {"endpoint": "https://otlp.example.com/v1", "samplingPercent": 0.5},
            {"endpoint": "http://[::1]:4318", "samplingPercent": 0},
        ],
        [
            ({}, "endpoint"),
            ({"endpoint": "collector:4317"}, "must be an http or https URL"),
            ({"endpoint": "grpc://collector:4317"}, "must be an http or https URL"),
            ({"endpoint": "https://user:secret@collector"}, "without user"),
            ({"endpoint": "https://collector/?key=secret"}, "without user, query"),
            ({"endpoint": "http://a", "samplingPercent": 101}, "less than or equal to 100"),
        ],
    ),
]  # fmt: skip
