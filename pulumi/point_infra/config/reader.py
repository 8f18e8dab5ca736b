"""Read and check single config values; each refusal is one line naming key, value and what is allowed."""

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Collection, Sequence

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_TOP = r"([a-z]{2,63}|xn--[a-z0-9]([-a-z0-9]{0,57}[a-z0-9])?)"
_DOMAIN = re.compile(rf"({_LABEL}\.)+{_TOP}")
_RFC_1918 = tuple(ipaddress.IPv4Network(r) for r in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_PORT = r"([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
# The next four hold what becomes the PointService to the rules of its CRD (crds/pointservices.yaml).
_ISSUER = rf"(?=.{{1,512}}\Z)https://{_LABEL}(\.{_LABEL})*(:\d{{1,5}})?(/[^\s*]*)?"
_KEYS = (
    rf"(?=.{{1,1024}}\Z)https://({_LABEL}\.)+(?!\d){_LABEL}(:{_PORT})?([/?]([!-$&-~]|%[0-9a-fA-F]{{2}})*)?"
)
_INSIDE = re.compile(
    r"https://([^/:?]*\.)?(localhost|svc|cluster\.local|metadata\.google\.internal)([:/?].*)?"
)
_ORIGIN = rf"(?=.{{1,300}}\Z)https://{_LABEL}(\.{_LABEL})*(:(?!443\Z){_PORT})?"
_TAG = r"(?!aws:)[\w .:/+\-@]{1,128}=[\w .:/=+\-@]{0,256}"


class ConfigError(Exception):
    """A config value that is refused; its text is the whole message, on one line."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(f"config {key} is {json.dumps(value)}: allowed is {allowed}")
        self.key = key


class Reader:
    """Typed reads of raw config values, which arrive as the texts that the engine hands on (lists as JSON)."""

    def __init__(self, raw: Callable[[str], str | None]) -> None:
        self._raw = raw

    def text(self, key: str) -> str:
        """The value as it is; raises ConfigError when the key is absent."""
        value = self._raw(key)
        if value is None:
            raise ConfigError(key, None, "a value: it has no default")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.text(key)
        if not re.fullmatch(r"-?\d{1,9}", value) or not low <= int(value) <= high:
            raise ConfigError(key, value, f"a whole number from {low} to {high}")
        return int(value)

    def flag(self, key: str) -> bool:
        """true or false."""
        return self.choice(key, ("true", "false")) == "true"

    def choice(self, key: str, allowed: Collection[str]) -> str:
        """One of `allowed`."""
        value = self.text(key)
        if value not in allowed:
            raise ConfigError(key, value, " or ".join(sorted(allowed)))
        return value

    def of(self, key: str, known: Sequence[str], what: str) -> str:
        """One of many: `what` says of which kind, and the message names the nearest ones."""
        value = self.text(key)
        if value not in known:
            near = ", ".join(difflib.get_close_matches(value, known, 4, 0.5)) or f"{known[0]}, for example"
            raise ConfigError(key, value, f"{what}; near to it: {near}")
        return value

    def capacity(self, key: str) -> float:
        """Aurora capacity units: 0.5 to 256 in steps of a half."""
        value = self.text(key)
        if not re.fullmatch(r"\d{1,3}(\.[05])?", value) or not 0.5 <= float(value) <= 256:
            raise ConfigError(key, value, "Aurora capacity units from 0.5 to 256, in steps of 0.5")
        return float(value)

    def tags(self, key: str, own: Collection[str]) -> dict[str, str]:
        """Up to 40 tags as AWS takes them, written name=value, none of which is one of our `own`."""
        items = self.each(key, _TAG, "tags such as CostCenter=loyalty: letters, digits, spaces and _.:/+-@")
        tags = dict(item.split("=", 1) for item in items)
        if len(tags) < len(items) or len(tags) > 40:
            raise ConfigError(key, items, "up to 40 tags, each name once")
        if taken := set(own) & set(tags):
            raise ConfigError(key, min(taken), f"names other than {', '.join(sorted(own))}")
        return tags

    def matching(self, key: str, pattern: str | re.Pattern[str], allowed: str) -> str:
        """A text that `pattern` matches whole; `allowed` says it in words."""
        value = self.text(key)
        if not re.fullmatch(pattern, value):
            raise ConfigError(key, value, allowed)
        return value

    def domain(self, key: str) -> str:
        """A lower-case DNS name with at least two labels, at most 200 characters."""
        value = self.matching(key, _DOMAIN, "a lower-case DNS name such as points.example.com")
        if len(value) > 200:
            raise ConfigError(key, value, "a DNS name of at most 200 characters")
        return value

    def issuer(self, key: str) -> str:
        """An https URL that is a token's `iss` to the letter."""
        return self.matching(
            key, _ISSUER, "an https URL such as https://login.example.com, without *, up to 512 characters"
        )

    def keys_address(self, key: str) -> str:
        """An https URL from which istiod and the operator may fetch: no address, nothing inside the cluster."""
        value = self.matching(
            key,
            _KEYS,
            "an https URL such as https://login.example.com/keys, up to 1024 characters, that names its host in lower"
            " case with its domain, not by an address, and no port or a port from 1 to 65535",
        )
        if _INSIDE.fullmatch(value):
            raise ConfigError(
                key, value, "an https URL that leads neither into the cluster nor to the machine"
            )
        return value

    def claim(self, key: str, others: Collection[str]) -> str:
        """A claim at the top of a token that is none of `others`, which say something else."""
        value = self.matching(
            key,
            r"[-A-Za-z0-9_:/]{1,128}",
            "a claim at the top of the token: up to 128 letters, digits, _, :, / and -, but no dot",
        )
        if value in others:
            raise ConfigError(key, value, f"a claim other than {', '.join(others)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, each once."""
        value = self.text(key)
        try:
            items = json.loads(value)
        except ValueError:
            items = None
        if not isinstance(items, list) or not all(isinstance(i, str) for i in items):  # pyright: ignore[reportUnknownVariableType]
            raise ConfigError(key, value, "a list of texts")
        if len(set(items)) != len(items):  # pyright: ignore[reportUnknownArgumentType]
            raise ConfigError(key, items, "a list without repetitions")  # pyright: ignore[reportUnknownArgumentType]
        return tuple(items)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

    def each(self, key: str, pattern: str, allowed: str, most: int | None = None) -> tuple[str, ...]:
        """A list of texts, `most` at most, that `pattern` matches whole."""
        items = self.texts(key)
        if most is not None and len(items) > most:
            raise ConfigError(key, items, f"up to {most} of them")
        for item in items:
            if not re.fullmatch(pattern, item):
                raise ConfigError(key, item, allowed)
        return items

    def origins(self, key: str) -> tuple[str, ...]:
        """A list of https origins (no path)."""
        return self.each(
            key,
            _ORIGIN,
            "https origins without a path such as https://shop.example.com, with a port only where it is not 443",
            most=32,
        )

    def subnets(self, key: str) -> tuple[str, ...]:
        """A list of subnet ids."""
        return self.each(key, r"subnet-[0-9a-f]{8,17}", "ids of subnets (subnet-...)")

    def network(self, key: str) -> str:
        """A private IPv4 range (RFC 1918, not what is private for other reasons) that holds the nine subnets."""
        value = self.text(key)
        range_ = network(key, value)
        if not private(range_) or not 16 <= range_.prefixlen <= 17:
            raise ConfigError(
                key, value, f"/16 or /17, which holds the nine subnets, of {', '.join(map(str, _RFC_1918))}"
            )
        return value

    def allowed_cidrs(self, key: str) -> tuple[str, ...]:
        """A list of IPv4 ranges, none of which is nearly everybody."""
        items = self.texts(key)
        for item in items:
            if network(key, item).prefixlen < 8:
                raise ConfigError(
                    key, item, "ranges of /8 and smaller: the Kubernetes API is not for everybody"
                )
        return items

    def api_clients(self, key: str) -> tuple[str, ...]:
        """A list of security groups and private IPv4 ranges."""
        items = self.texts(key)
        for item in items:
            if not re.fullmatch(r"sg-[0-9a-f]{8,17}", item) and not private(network(key, item)):
                raise ConfigError(
                    key, item, "security groups (sg-...) and private ranges such as 10.0.0.0/16"
                )
        return items


def private(range_: ipaddress.IPv4Network) -> bool:
    """Whether a range is one that RFC 1918 sets aside for private networks."""
    return any(range_.subnet_of(one) for one in _RFC_1918)


def network(key: str, value: str) -> ipaddress.IPv4Network:
    """Parse an IPv4 range whose host bits are zero; raises ConfigError."""
    try:
        return ipaddress.IPv4Network(value)
    except ValueError:
        raise ConfigError(key, value, "an IPv4 range such as 10.0.0.0/16, host bits zero") from None
