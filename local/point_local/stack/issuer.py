"""The local token issuer: its keys live in the state folder, made at first use."""

import functools
import json
import secrets
import time

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from point_local.machine.pki import write_secret
from point_local.programs import paths

ISSUER = "https://issuer.localhost"
AUDIENCE = "points"
_KEY = paths.STATE / "issuer" / "key.json"


def jwks() -> str:
    """The public keys that the gateway checks tokens against, as a JSON Web Key Set."""
    return json.dumps(KeySet([key()]).as_dict(private=False))


def token(member: str, role: str | None = None, *, seconds: int = 3600, **claims: object) -> str:
    """A signed token (RS256) for a member, acting in `role` if one is given; `claims` are added or replace.

    `seconds` is how long it is valid from now.
    """
    signer = key()
    return jwt.encode(
        {"alg": "RS256", "kid": signer.kid, "typ": "JWT"},
        {**payload(member, role, seconds=seconds), **claims},
        signer,
    )


def payload(member: str, role: str | None = None, *, seconds: int = 3600) -> dict[str, object]:
    """The claims of a member's token."""
    now = int(time.time())
    made: dict[str, object] = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": member,
        "iat": now,
        "nbf": now,
        "exp": now + seconds,
        "jti": secrets.token_urlsafe(12),
    }
    if role:
        made["role"] = role
    return made


def key() -> RSAKey:
    """The private key that signs."""
    if not _KEY.exists():
        made = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        write_secret(_KEY, json.dumps(made.as_dict(private=True)))
    return _read(_KEY.read_text())


@functools.cache
def _read(text: str) -> RSAKey:
    """Kept: a private key is checked when it is read, which takes longer than to sign."""
    return RSAKey.import_key(json.loads(text))
