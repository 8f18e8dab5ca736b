"""What the schema of a PointService takes and what it refuses at the gateway."""

from harness.trials import TRAVERSAL, Trials

JWKS = (
    '{"keys": [{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",'
    ' "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}'
)
"""A set of one public key (RFC 7517, A.1); who has its private part signs nothing here."""
JWT = {"issuer": "https://issuer.localhost", "jwks": JWKS}
URI = {"issuer": "https://issuer.localhost", "jwksUri": "https://login.example.com/keys"}

PARENT = {"name": "shared", "namespace": "istio-ingress"}
OURS = {"hosts": ["points.localhost"], "jwt": JWT}

TRIALS: Trials = [
    (
        "gateway.hosts",
        [["points.localhost"], ["a.b", "xn--bcher-kva.example"], ["1.example.com"]],
        [
            ([], "should have at least 1 items"),
            (["a.localhost", "a.localhost"], "Duplicate value"),
            (["https://points.localhost"], "plain lower-case DNS name"),
            (["*.localhost"], "plain lower-case DNS name"),
            (["points.localhost:443"], "plain lower-case DNS name"),
            (["points.localhost/v1"], "plain lower-case DNS name"),
            (["Points.localhost"], "plain lower-case DNS name"),
            (["points.localhost."], "plain lower-case DNS name"),
            (["my_points.localhost"], "plain lower-case DNS name"),
            (["-points.localhost"], "plain lower-case DNS name"),
            (["x" * 64 + ".localhost"], "plain lower-case DNS name"),
            (["a." * 126 + "ab"], "may not be more than 253"),
            (["10.0.0.1"], "nor an address"),
            (["points"], "neither one word"),
        ],
    ),
    (
        "gateway.namespace",
        ["istio-ingress"],
        [(TRAVERSAL, "must be the name of a namespace"), ("a.b", "must be the name of a namespace"), ("", "must be")],
    ),
    (
        "gateway.name",
        ["default"],
        [(TRAVERSAL, "must be the name of a gateway"), ("A", "must be the name of a gateway"), ("", "must be")],
    ),
    (
        "gateway",
        [],
        [
            ({**OURS, "name": "default", "namespace": "istio-ingress"}, "not both"),
            ({**OURS, "name": "default", "selector": {"istio": "ingressgateway"}}, "not both"),
            ({**OURS, "name": "default", "serviceAccount": "istio-ingressgateway"}, "not both"),
        ],
    ),
    (
        "gateway.parentRef",
        [{"name": "shared", "namespace": "istio-ingress"},
         {"name": "shared", "namespace": "istio-ingress", "sectionName": "https.shop"}],
        [
            ({"name": "shared"}, "gateway.parentRef.namespace: Required"),
            ({"namespace": "istio-ingress"}, "gateway.parentRef.name: Required"),
            ({"name": TRAVERSAL, "namespace": "a"}, "must be the name of a Gateway"),
            ({"name": "A", "namespace": "a"}, "must be the name of a Gateway"),
            ({"name": "a", "namespace": TRAVERSAL}, "must be the name of a namespace"),
            ({"name": "a", "namespace": "a.b"}, "must be the name of a namespace"),
            ({"name": "a", "namespace": "a", "sectionName": "a b"}, "must be the name of a listener"),
            ({"name": "a", "namespace": "a", "sectionName": ""}, "must be the name of a listener"),
        ],
    ),
    (
        "gateway",
        [{**OURS, "parentRef": PARENT, "tls": {}}],
        [
            ({**OURS, "parentRef": PARENT, "name": "default"}, "gateway.parentRef says which gateway it is"),
            ({**OURS, "parentRef": PARENT, "namespace": "istio-ingress"}, "gateway.parentRef says which"),
            ({**OURS, "parentRef": PARENT, "selector": {"istio": "ingressgateway"}}, "gateway.parentRef says which"),
            ({**OURS, "parentRef": PARENT, "serviceAccount": "shared-istio"}, "gateway.parentRef says which"),
            ({**OURS, "parentRef": PARENT, "tls": {"credentialName": "a"}}, "has its own certificates"),
        ],
    ),
    (
        "gateway.selector",
        [{"istio": "ingressgateway"}, {"app.kubernetes.io/name": "a_b.c"}, {"empty": ""}],
        [
            ({}, "at least one label"),
            ({"istio": "a b"}, "gateway.selector has a value that no label can have"),
            ({"istio": "a,b=c"}, "gateway.selector has a value"),
            ({"istio": "-a"}, "gateway.selector has a value"),
            ({"a b": "c"}, "gateway.selector has a key that no label can have"),
            ({"a/b/c": "d"}, "gateway.selector has a key"),
            ({"!a": "d"}, "gateway.selector has a key"),
        ],
    ),
    (
        "gateway.serviceAccount",
        ["istio-ingressgateway"],
        [("a/../b", "must be the name of a ServiceAccount"), ("*", "must be the name"), ("", "at least 1 chars")],
    ),
    (
        "gateway.jwt.issuer",
        ["https://issuer.localhost", "https://issuer.localhost/realms/a?b=c", "urn:issuer"],
        [
            ("", "should be at least 1 chars long"),
            ("*", "the exact value of iss"),
            ("https://issuer*", "the exact value of iss"),
            ("https://issuer.localhost ", "the exact value of iss"),
            ("https://issuer.localhost/" + "a" * 512, "may not be more than 512"),
        ],
    ),
    (
        "gateway.jwt.audiences",
        [[], ["points", "https://points.example.com"]],
        [
            (["*"], "the exact value of aud"),
            (["points*"], "the exact value of aud"),
            ([""], "at least 1 chars"),
            (["a" * 257], "may not be more than 256"),
            (["points", "points"], "Duplicate value"),
            ([f"points-{i}" for i in range(17)], "must have at most 16 items"),
        ],
    ),
    (
        "gateway.jwt",
        [JWT, URI, JWT | {"jwksUri": ""}, JWT | {"audiences": ["7abc"], "audienceClaim": "client_id"}],
        [
            ({"issuer": "i"}, "exactly one of gateway.jwt.jwks and gateway.jwt.jwksUri"),
            (JWT | {"jwksUri": "https://i.example.com/keys"}, "exactly one of gateway.jwt.jwks"),
            ({"issuer": "i", "jwks": "", "jwksUri": ""}, "an empty one counts as absent"),
            ({"issuer": "i", "jwks": "keys"}, "jwks must be a JSON Web Key Set"),
            ({"issuer": "i", "jwks": '{"keys": [{"kty": "RSA", "d": "x"}]}'}, "public keys only"),
            ({"issuer": "i", "jwks": '{"keys": [{"kty":"oct","k":"x"}]}'}, "public keys only"),
            (JWT | {"memberClaim": "role"}, "two different claims"),
            (JWT | {"clientClaim": "sub"}, "another claim than memberClaim and roleClaim"),
            (JWT | {"roleClaim": "r", "clientClaim": "r"}, "another claim than memberClaim and roleClaim"),
            (JWT | {"audienceClaim": "client_id"}, "no meaning without audiences"),
            (JWT | {"audienceClaim": "client_id", "audiences": []}, "no meaning without audiences"),
        ],
    ),
    (
        "gateway.jwt:uri.jwksUri",
        ["https://login.example.com/keys", "https://login.example.com:8443/a?b=c", "https://a.b", "https://svc.io/a"],
        [
            ("issuer", "must be an https URL"),
            ("http://login.example.com/keys", "must be an https URL"),
            ("https://169.254.169.254/latest", "not by an address"),
            ("https://10.0.0.1/keys", "not by an address"),
            ("https://2130706433/keys", "not by an address"),
            ("https://0x7f.1/keys", "not by an address"),
            ("https://[::1]/keys", "not by an address"),
            ("https://login@10.0.0.1/keys", "without a user"),
            ("https://issuer/keys", "with its domain"),
            ("https://Login.example.com/keys", "in lower case"),
            ("https://localhost/keys", "with its domain"),
            ("https://a.localhost/keys", "must not lead into the cluster"),
            ("https://keycloak.auth.svc/keys", "must not lead into the cluster"),
            ("https://keycloak.auth.svc:8443/keys", "must not lead into the cluster"),
            ("https://kubernetes.default.svc.cluster.local/openid/v1/jwks", "must not lead into the cluster"),
            ("https://kubernetes.default.svc./keys", "with its domain"),
            ("https://metadata.google.internal/", "must not lead into the cluster"),
            ("https://login.example.com/%zz", "must be an https URL"),
            ("https://login.example.com/" + "a" * 1024, "may not be more than 1024"),
        ],
    ),
    (
        "gateway.jwt.audienceClaim",
        ["aud"],
        [
            ("client.id", "no dot"),
            ("https://example.com/client", "no dot"),
            ("a b", "at the top of the token"),
            ("*", "at the top of the token"),
            ("", "at least 1 chars"),
            ("iss", "must be a claim of its own"),
            ("exp", "must be a claim of its own"),
        ],
    ),
    *(
        (
            f"gateway.jwt.{claim}",
            ["member", "cognito:username", "a_b-c/d"],
            [
                ("member.id", "at the top of the token"),
                ("https://example.com/member", "no dot"),
                ("a b", "at the top of the token"),
                ("*", "at the top of the token"),
                ("a]", "at the top of the token"),
                ("exp", "must be a claim of its own"),
                ("aud", "must be a claim of its own"),
            ],
        )
        for claim in ("memberClaim", "roleClaim", "clientClaim")
    ),
    (
        "gateway.rateLimit",
        [{"enabled": False}, {"requestsPerSecond": 5, "burst": 7, "perMember": {"requestsPerSecond": 5, "burst": 1}},
         {"scope": "Global", "perMember": {"requestsPerSecond": 1}}],
        [
            ({"requestsPerSecond": 0}, "must be above zero"),
            ({"requestsPerSecond": -1}, "must be above zero"),
            ({"burst": 0}, "rateLimit.burst must be above zero"),
            ({"perMember": {"requestsPerSecond": 0}}, "perMember.requestsPerSecond must be"),
            ({"perMember": {"requestsPerSecond": 1, "burst": 0}}, "perMember.burst must be above zero"),
            ({"perMember": {"requestsPerSecond": 1001}}, "must not be above"),
            ({"scope": "Everywhere"}, "Unsupported value"),
            ({"scope": "Global", "burst": 5}, "have no meaning with scope Global"),
            ({"scope": "Global", "perMember": {"requestsPerSecond": 5, "burst": 9}}, "have no meaning with"),
        ],
    ),
    (
        "gateway.cors",
        [{"allowOrigins": ["https://shop.example.com", "http://localhost:3000", "https://a.b:65535"]}],
        [
            ({"allowOrigins": []}, "should have at least 1 items"),
            ({"allowOrigins": ["shop.example.com"]}, "CORS origin must be scheme://host"),
            ({"allowOrigins": ["https://shop.example.com/x"]}, "CORS origin must be"),
            ({"allowOrigins": ["https://shop.example.com/"]}, "CORS origin must be"),
            ({"allowOrigins": ["*"]}, "CORS origin must be"),
            ({"allowOrigins": ["null"]}, "CORS origin must be"),
            ({"allowOrigins": ["https://a:99999"]}, "CORS origin must be"),
            ({"allowOrigins": ["https://a..b"]}, "CORS origin must be"),
            ({"allowOrigins": ["https://a.b:443"]}, "leave out its scheme's own port"),
            ({"allowOrigins": ["http://a.b:80"]}, "leave out its scheme's own port"),
            ({"allowOrigins": ["https://a.b:0"]}, "CORS origin must be"),
            ({"allowOrigins": ["https://" + "a." * 150 + "b"]}, "may not be more than 300"),
            ({"allowOrigins": ["https://a.b", "https://a.b"]}, "Duplicate value"),
            ({"allowOrigins": [f"https://shop-{i}.example.com" for i in range(33)]}, "must have at most 32 items"),
            ({"allowOrigins": ["https://a.b"], "maxAgeSeconds": -1}, "greater than or equal to 0"),
        ],
    ),
]  # fmt: skip
