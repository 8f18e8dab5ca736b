"""The gateways that the cluster's administrator offers: PointServices choose among these and no others."""

import itertools
import re
from collections.abc import Mapping, Sequence

import msgspec

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label, as names of namespaces are and those of listed gateways."""
_ACCOUNT = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_LABEL = re.compile(
    r"([-.a-z0-9]{1,253}/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?=[-_.A-Za-z0-9]{1,63}"
)


PARENT = "gateway.networking.k8s.io/gateway-name"
"""Label that Istio gives to the pods of a Gateway API Gateway, and by which it knows them; its value is the name."""


class ListError(ValueError):
    """A list of gateways that can't be used; its text says which entry and why."""


class ListedGateway(msgspec.Struct, frozen=True):
    """One gateway: the pods that a selector finds in a namespace, and their mesh identity."""

    name: str
    """What a PointService calls it (`spec.gateway.name`)."""
    namespace: str
    selector: dict[str, str]
    service_account: str

    @property
    def parent(self) -> str:
        """Name of the Gateway API Gateway whose pods these are; empty when they are a classic gateway's."""
        return self.selector.get(PARENT, "")

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in sorted(self.selector.items()))
        return f"{self.name}={self.namespace}/{labels}/{self.service_account}"


class ParentRef(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A Gateway of Gateway API; an empty `section_name` means each of its HTTPS listeners."""

    name: str
    namespace: str
    section_name: str = ""


DEFAULT = ListedGateway("default", "istio-ingress", {"istio": "ingressgateway"}, "istio-ingressgateway")


def read(text: str) -> tuple[ListedGateway, ...]:
    """Read a list such as `name=namespace/label=value,label=value/serviceAccount`, its entries apart by `;`.

    The first one serves PointServices that name none. Raises ListError.
    """
    listed = tuple(_read(entry.strip()) for entry in text.split(";") if entry.strip())
    for one, other in itertools.combinations(listed, 2):
        if one.name == other.name:
            raise ListError(f"two gateways are called {one.name}")
        if one.namespace == other.namespace and _may_be_the_same_pods(one.selector, other.selector):
            raise ListError(
                f"{one.name} and {other.name} may be the same pods of {one.namespace}: "
                "let their selectors give one label different values"
            )
    return listed


def find(
    listed: Sequence[ListedGateway],
    name: str,
    namespace: str,
    selector: Mapping[str, str],
    service_account: str,
) -> ListedGateway | str:
    """Return the gateway that a spec means, or in words why there is none.

    It names one, or describes one by what is not empty of the rest, or means the first by saying nothing. Only
    `find_parent` gives one of Gateway API: Istio would drop that one's own listeners for another one on their port.
    """
    known = ", ".join(map(str, listed)) or "none"
    if name:
        fitting = [one for one in listed if one.name == name]
        otherwise = f"gateway.name {name} is not on the operator's list ({known})"
    elif not (namespace or selector or service_account):
        fitting, otherwise = listed[:1], "the operator's list of gateways is empty"
    else:
        fitting = [
            one
            for one in listed
            if namespace in ("", one.namespace)
            and dict(selector) in ({}, one.selector)
            and service_account in ("", one.service_account)
        ]
        what = "fits several gateways of" if fitting else "is no gateway of"
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        described = "/".join(part or "*" for part in (namespace, labels, service_account))
        otherwise = f"what spec.gateway describes ({described}) {what} the operator's list ({known}); give gateway.name"
    if len(fitting) != 1:
        return otherwise
    (found,) = fitting
    if found.parent:
        return f"{found} is a Gateway of Gateway API: give gateway.parentRef {found.namespace}/{found.parent} instead"
    return found


def find_parent(listed: Sequence[ListedGateway], parent: ParentRef) -> ListedGateway | str:
    """Return the gateway whose pods are those of a Gateway API Gateway, or in words why there is none."""
    for one in listed:
        if (one.namespace, one.parent) == (parent.namespace, parent.name):
            return one
    known = ", ".join(map(str, listed)) or "none"
    return (
        f"gateway.parentRef {parent.namespace}/{parent.name} is not on the operator's list ({known}), which would "
        f"name it by {PARENT}={parent.name}"
    )


def _read(entry: str) -> ListedGateway:
    name, _, rest = entry.partition("=")
    namespace, _, rest = rest.partition("/")
    text, _, account = rest.rpartition("/")
    labels = [label.strip() for label in text.split(",")]
    shaped = NAMESPACE.fullmatch(name) and NAMESPACE.fullmatch(namespace) and _ACCOUNT.fullmatch(account)
    if not shaped or not all(_LABEL.fullmatch(label) for label in labels):
        raise ListError(f"{entry!r} is not of the form name=namespace/label=value,.../serviceAccount")
    if namespace == "istio-system":
        raise ListError(
            f"{name}: istio-system can't be on it, since a policy without selector would govern the whole mesh there"
        )
    pairs = (label.partition("=") for label in labels)
    return ListedGateway(name, namespace, {key: value for key, _, value in pairs}, account)


def _may_be_the_same_pods(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return all(one[key] == other[key] for key in one.keys() & other.keys())
