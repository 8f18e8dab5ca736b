"""What the schema of a PointService takes and what it refuses of its pods and of the service's own settings."""

from harness.trials import TRAVERSAL, Trials

POD = "podTemplate"
OURS, PODS_OWN = (
    "must not replace the operator's own",
    "by which the mesh, the scheduler or a controller knows pods",
)
PROXIES, SECRETS = "must not tell the pods' proxies", "must not read the Secrets of database and cache"
NOW, LATE = "NoExecute", "DuringSchedulingIgnoredDuringExecution"
MUST, WISH = f"required{LATE}", f"preferred{LATE}"
TOPOLOGY = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}

TRIALS: Trials = [
    (
        f"{POD}.labels",
        [{}, {"team": "points", "example.com/cost-centre": "4711", "app.kubernetes.io/part-of": "shop"}, {"empty": ""}],
        [
            ({"a b": "c"}, "must be labels as Kubernetes takes them"),
            ({"a": "b c"}, "must be labels as Kubernetes takes them"),
            *(({key: "x"}, OURS) for key in (
                "pointservice.io/name", "app", "version", "app.kubernetes.io/name", "app.kubernetes.io/instance",
                "app.kubernetes.io/managed-by", "app.kubernetes.io/component",
            )),
            *(({key: "x"}, PODS_OWN) for key in (
                "sidecar.istio.io/inject", "istio.io/rev", "security.istio.io/tlsMode", "pod-template-hash",
                "topology.kubernetes.io/zone", "batch.kubernetes.io/job-name", "controller-uid", "job-name",
            )),
            ({f"a{number}": "x" for number in range(33)}, "must have at most 32 items"),
        ],
    ),
    (
        f"{POD}.annotations",
        [{}, {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "ad.datadoghq.com/app.checks": '{"a": [1]}'}],
        [
            ({"a b": "c"}, "must be annotations as Kubernetes takes them"),
            ({"pointservice.io/config-hash": "x"}, OURS),
            ({"prometheus.io/scrape": "false"}, OURS),
            ({"kubectl.kubernetes.io/restartedAt": "now"}, "nor kubectl's"),
            ({"kubectl.kubernetes.io/default-container": "x"}, "nor kubectl's"),
            ({"sidecar.istio.io/inject": "false"}, PROXIES),
            ({"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}, PROXIES),
            ({"proxy.istio.io/config": "{}"}, PROXIES),
            ({"inject.istio.io/templates": "none"}, PROXIES),
            ({"container.apparmor.security.beta.kubernetes.io/app": "unconfined"}, "nor loosen what holds"),
        ],
    ),
    (
        f"{POD}.serviceAccount.annotations",
        [{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/points"}],
        [
            ({"a b": "c"}, "must be annotations as Kubernetes takes them"),
            ({"pointservice.io/adopt": "x"}, OURS),
            ({"pointservice.io/hash": "x"}, OURS),
            ({"kubernetes.io/enforce-mountable-secrets": "true"}, "nor Kubernetes'"),
        ],
    ),
    (
        f"{POD}.nodeSelector",
        [{"kubernetes.io/arch": "arm64", "pool": ""}],
        [({"a b": "c"}, "must be labels as"), ({"pool": "a b"}, "must be labels as"), ({"pool": 1}, "of type string")],
    ),
    (
        f"{POD}.tolerations",
        [
            [], [{"operator": "Exists"}], [{"key": "dedicated", "value": "points", "effect": "NoSchedule"}],
            [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": NOW, "tolerationSeconds": 5}],
        ],
        [
            ([{"key": "a b"}], "must be one that a taint can have"),
            ([{"value": "points"}], "a toleration without key must have the operator Exists"),
            ([{"key": "", "operator": "Equal"}], "a toleration without key must have"),
            ([{"key": "a", "operator": "Exists", "value": "b"}], "must have no value"),
            ([{"key": "a", "tolerationSeconds": 5}], "NoExecute only"),
            ([{"key": "a", "effect": "Never"}], "Unsupported value"),
            ([{"key": "a", "operator": "In"}], "Unsupported value"),
        ],
    ),
    (
        f"{POD}.affinity",
        [
            {"nodeAffinity": {MUST: {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]},
                                      {"key": "cores", "operator": "Gt", "values": ["4"]}]}]}}},
            {"podAntiAffinity": {WISH: [{"weight": 1, "podAffinityTerm": {
                "topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "mysql"}}}}]}},
        ],
        [
            ({"nodeAffinity": {MUST: {"nodeSelectorTerms": []}}}, "at least 1"),
            ({"nodeAffinity": {MUST: {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "pool", "operator": "In"}]}]}}}, "In and NotIn need values"),
            ({"nodeAffinity": {WISH: [{"weight": 0, "preference": {}}]}},
             "greater than or equal to 1"),
            ({"podAffinity": {MUST: [{"labelSelector": {}}]}}, "topologyKey"),
            ({"podAntiAffinity": {MUST: [{"topologyKey": "a b"}]}}, "should match"),
            ({"podAntiAffinity": {MUST: [{
                "topologyKey": "zone", "labelSelector": {"matchExpressions": [
                    {"key": "a", "operator": "Exists", "values": ["b"]}]}}]}}, "Exists and DoesNotExist none"),
        ],
    ),
    (
        f"{POD}.topologySpreadConstraints",
        [
            [],
            [TOPOLOGY | {"minDomains": 3, "nodeTaintsPolicy": "Honor"}],
            [TOPOLOGY, TOPOLOGY | {"whenUnsatisfiable": "ScheduleAnyway"}],
        ],
        [
            ([TOPOLOGY, TOPOLOGY], "Duplicate value"),
            ([TOPOLOGY | {"maxSkew": 0}], "greater than or equal to 1"),
            ([TOPOLOGY | {"topologyKey": "a b"}], "should match"),
            ([TOPOLOGY | {"whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}], "DoNotSchedule only"),
            ([{"maxSkew": 1, "topologyKey": "zone"}], "whenUnsatisfiable"),
        ],
    ),
    (f"{POD}.priorityClassName", ["", "high", "system-node-critical"], [(TRAVERSAL, "the name of a PriorityClass")]),
    (
        f"{POD}.imagePullSecrets",
        [[{"name": "registry"}, {"name": "mirror.example"}]],
        [
            ([{"name": TRAVERSAL}], "must be names of Secrets"),
            ([{"name": "registry"}, {"name": "registry"}], "Duplicate value"),
            ([{}], "name"),
        ],
    ),
    (
        f"{POD}.env",
        [
            [], [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}, {"name": "EMPTY"}],
            [{"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": {"secretKeyRef": {"name": "otlp", "key": "all"}}},
             {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
             {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}],
        ],
        [
            ([{"name": "POINT_LOG_LEVEL", "value": "DEBUG"}], "must not set POINT_ variables"),
            ([{"name": "POINT_ANYTHING"}], "must not set POINT_ variables"),
            ([{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://a"}], "observability.tracing does"),
            ([{"name": "OTEL_TRACES_SAMPLER", "value": "always_off"}], "observability.tracing does"),
            ([{"name": "9LIVES"}], "can't begin with a digit"),
            ([{"name": "A=B"}], "a variable's name may hold"),
            ([{"name": "A"}, {"name": "A"}], "Duplicate value"),
            ([{"name": "A", "value": 1}], "must be of type string"),
            ([{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}], "either"),
            ([{"name": "A", "valueFrom": {}}], "must be exactly one of"),
            *(([{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "password"}}}], SECRETS)
              for name in ("points-db", "points-db-master", "points-redis")),
        ],
    ),
    (
        f"{POD}.envFrom",
        [[{"configMapRef": {"name": "proxy"}}, {"secretRef": {"name": "keys", "optional": True}, "prefix": "KEYS_"}]],
        [
            ([{}], "exactly one of configMapRef and secretRef"),
            ([{"configMapRef": {"name": "a"}, "secretRef": {"name": "a"}}], "exactly one of configMapRef"),
            ([{"configMapRef": {"name": "a"}, "prefix": "POINT_"}], "must not set POINT_ variables"),
            ([{"configMapRef": {"name": "a"}, "prefix": "9"}], "a prefix that variables can begin with"),
            *(([{"secretRef": {"name": name}}], SECRETS) for name in ("points-db", "points-db-master", "points-redis")),
        ],
    ),
    (
        f"{POD}.terminationGracePeriodSeconds",
        [30, 600],
        [(29, "at least 10 more than server.drainTimeoutSeconds"), (9, "or equal to 10"), (601, "or equal to 600")],
    ),
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
            ("policy.expiringSoonDays", 1, 366), ("server.targetLatencySeconds", 0, 60),
        )
    ),
    (
        "server.idempotencyScope",
        ["Caller"],
        [("Client", "needs gateway.jwt.clientClaim"), ("Anybody", "Unsupported value")],
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
