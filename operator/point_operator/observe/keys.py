"""Whether an issuer's keys can be had: without them every token is answered 401, and nothing else says why.

istiod fetches them, and tells nobody about whom it could not. So the operator asks the same address.
"""

import asyncio
import errno
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.helpers import is_ip_address
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from point_operator.model.api import Jwt
from point_operator.observe.fleet import Fleet, Key

log = logging.getLogger(__name__)

INTERVAL = 30.0
"""Seconds between two looks at every address."""
TIMEOUT = 4.0
LARGEST = 256 * 1024
"""Bytes of a key set that are read."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class KeysSeen(msgspec.Struct, frozen=True):
    """How an issuer's keys are."""

    problem: str = ""
    """Why they can't be had."""
    had: bool = False
    """Whether they could be, once: then istiod has them, too, and keeps them."""


class Keys:
    """What is wrong with the addresses of keys in use, followed by asking them again and again."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._problems: dict[str, str] = {}
        self._had: set[str] = set()

    async def of(self, jwt: Jwt) -> KeysSeen:
        """Return how the keys are. Asks only what has never been asked."""
        if not jwt.jwks_uri:
            return KeysSeen(given(jwt.jwks))
        if jwt.jwks_uri not in self._problems:
            self._note(jwt.jwks_uri, await fetched(jwt.jwks_uri))
        return KeysSeen(self._problems[jwt.jwks_uri], jwt.jwks_uri in self._had)

    async def follow(self, changed: Callable[[Key], None]) -> None:
        """Look again and again; tell the PointServices of an address about which something has changed."""
        while True:
            await asyncio.sleep(INTERVAL)
            used = {one.spec.gateway.jwt.jwks_uri for one in self._fleet} - {""}
            self._problems = {uri: said for uri, said in self._problems.items() if uri in used}
            asked = dict(zip(used, await asyncio.gather(*(fetched(uri) for uri in used)), strict=True))
            news = {uri for uri, said in asked.items() if self._problems.get(uri) != said}
            for uri, said in asked.items():
                self._note(uri, said)
            for one in self._fleet:
                if one.spec.gateway.jwt.jwks_uri in news:
                    changed(one.key)

    def _note(self, uri: str, problem: str) -> None:
        self._problems[uri] = problem
        if not problem:
            self._had.add(uri)


def given(jwks: str) -> str:
    """Return what is wrong with a key set that the spec holds."""
    try:
        keys = msgspec.json.decode(jwks, type=_KeySet).keys
    except msgspec.DecodeError as error:
        return f"gateway.jwt.jwks is no JSON Web Key Set: {error}"
    return "" if keys else "gateway.jwt.jwks holds no key: every token is refused"


def is_inside(address: IpAddress) -> bool:
    """Whether an address is the machine's own or its link's: nothing of a spec may lead there."""
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


async def fetched(
    uri: str, *, refused: Callable[[IpAddress], bool] = is_inside, trust: ssl.SSLContext | None = None
) -> str:
    """Ask for the keys at `uri`; return what went wrong, or nothing. Ends within `TIMEOUT`; follows no redirect."""
    url = URL(uri)
    if (
        url.scheme != "https" or url.host is None or is_ip_address(url.host)
    ):  # stored before the schema said so
        return f"{uri} (gateway.jwt.jwksUri) is no https URL of a host with a name"
    connector = aiohttp.TCPConnector(resolver=_Resolver(refused), ssl=trust or True)
    limit = aiohttp.ClientTimeout(total=TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limit, trust_env=True) as client,
            client.get(url, allow_redirects=False) as answer,
        ):
            if 300 <= answer.status < 400:
                return ""  # istiod follows it; where to is not ours to try
            if answer.status != 200:
                return f"{uri} (gateway.jwt.jwksUri) answers {answer.status}"
            keys = msgspec.json.decode(await answer.content.read(LARGEST), type=_KeySet).keys
    except msgspec.DecodeError as error:
        return f"{uri} (gateway.jwt.jwksUri) is no JSON Web Key Set: {error}"
    except TimeoutError:
        return f"{uri} (gateway.jwt.jwksUri) does not answer within {TIMEOUT:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"{uri} (gateway.jwt.jwksUri) can't be fetched: {error}"
    return "" if keys else f"{uri} (gateway.jwt.jwksUri) holds no key"


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Resolver(AbstractResolver):
    """Resolves names, but not to where nothing of a spec may lead."""

    def __init__(self, refused: Callable[[IpAddress], bool]) -> None:
        self._refused = refused
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if self._refused(ipaddress.ip_address(one["host"])):
                raise OSError(errno.EACCES, f"{host} is {one['host']}, an address inside")
        return found

    async def close(self) -> None:
        await self._resolver.close()
