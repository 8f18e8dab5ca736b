"""Declare Kubernetes objects from the repository's own YAML files, as the typed resources of the SDK."""

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pulumi_kubernetes as k8s
import yaml

import pulumi

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: the program is run from it, never from a wheel."""

_FIRST = (
    "Namespace",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
"""What is there before whatever a folder lists after it."""

Object: TypeAlias = dict[str, Any]


def documents(folder: Path) -> Iterator[Object]:
    """Every object of a kustomization, in its order; it may list files and folders only."""
    for entry in yaml.load((folder / "kustomization.yaml").read_text(), yaml.CSafeLoader)["resources"]:
        path = (folder / entry).resolve()
        if path.is_dir():
            yield from documents(path)
        else:
            yield from (d for d in yaml.load_all(path.read_text(), yaml.CSafeLoader) if d)


def declare(
    prefix: str,
    folder: Path,
    change: Callable[[Object], Object] = lambda document: document,
    *,
    parent: pulumi.Resource,
    provider: k8s.Provider,
    depends_on: Sequence[pulumi.Resource] = (),
) -> list[pulumi.Resource]:
    """Declare all objects of `folder`, each as `change` returns it, one after what it needs.

    By themselves and not by the provider's ConfigGroup, so that mocks, policies and a plan see each of them.
    """
    made: list[pulumi.Resource] = []
    first: list[pulumi.Resource] = list(depends_on)
    for document in documents(folder):
        opts = pulumi.ResourceOptions(parent=parent, provider=provider, depends_on=list(first))
        resource = _resource(prefix, change(document), opts)
        made.append(resource)
        if document["kind"] in _FIRST:
            first.append(resource)
    return made


def _resource(prefix: str, document: Object, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    group, _, version = document["apiVersion"].rpartition("/")
    meta = document["metadata"]
    name = "-".join(filter(None, (prefix, meta.get("namespace"), document["kind"].lower(), meta["name"])))
    if group.endswith(".coreos.com"):  # a kind that the SDK has no class for
        return k8s.apiextensions.CustomResource(
            name,
            api_version=document["apiVersion"],
            kind=document["kind"],
            metadata=meta,
            spec=document["spec"],
            opts=opts,
        )
    # The SDK's module of rbac.authorization.k8s.io/v1 is rbac.v1; that of the core group is core.v1.
    module = importlib.import_module(f"pulumi_kubernetes.{(group or 'core').split('.')[0]}.{version}")
    kind = getattr(module, document["kind"])
    fields = {_snake(k): v for k, v in document.items() if k not in ("apiVersion", "kind")}
    return kind(name, **fields, opts=opts)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
