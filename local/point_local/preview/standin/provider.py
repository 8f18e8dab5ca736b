# ruff: noqa: N802, ARG002 - names and arguments are the protocol's
"""One provider for every package, on the SDK's own protocol types."""

import asyncio
import hashlib
import importlib.metadata
import uuid
from typing import Any

import grpc.aio
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.provider.provider import Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime import proto, rpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS  # pyright: ignore[reportPrivateUsage]
from pulumi.runtime.proto import provider_pb2_grpc

from point_local.preview.standin import live, shapes
from point_local.preview.standin.eks import EksProvider

PACKAGES = ("aws", "eks", "kubernetes", "random", "tls")
"""The packages that the program uses."""

_SECRETS = {
    "random:index/randomPassword:RandomPassword": ("result",),
    "tls:index/privateKey:PrivateKey": ("privateKeyPem",),
}
_LOG_GROUPS = "aws:cloudwatch/getLogGroups:getLogGroups"
_INVOKES: dict[str, dict[str, Any]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": {
        "id": shapes.ACCOUNT,
        "accountId": shapes.ACCOUNT,
        "arn": f"arn:aws:iam::{shapes.ACCOUNT}:root",
        "userId": "stand-in",
    },
    "aws:autoscaling/getAmiIds:getAmiIds": {"id": "stand-in", "names": [], "arns": []},
    _LOG_GROUPS: {"id": "stand-in", "arns": []},
    "aws:ec2/getSubnet:getSubnet": {"id": "subnet-standin", "cidrBlock": "10.0.64.0/24"},
    "aws:ec2/getVpc:getVpc": {"id": "vpc-standin", "cidrBlockAssociations": [{"cidrBlock": "10.0.0.0/16"}]},
    "aws:eks/getCluster:getCluster": {
        "id": "stand-in",
        "endpoint": "https://eks.invalid",
        "certificateAuthorities": [{"data": ""}],
        "vpcConfig": {"clusterSecurityGroupId": "sg-0123456789abcdef0"},
        "kubernetesNetworkConfigs": [{"serviceIpv4Cidr": "172.20.0.0/16"}],
    },
    "aws:route53/getZone:getZone": {
        "id": "Z0STANDIN",
        "zoneId": "Z0STANDIN",
        "nameServers": [f"ns-{i}.awsdns.invalid" for i in range(4)],
        "tags": {},
    },
}


class StandIn(ProviderServicer):
    """Answers every call of the engine; types that `live` knows are made for real in moto when it runs."""

    def __init__(self, package: str, engine: str = "", kubeconfig: dict[str, Any] | None = None) -> None:
        version = importlib.metadata.version(f"pulumi_{package}")
        self._component = package == "eks"
        provider = EksProvider(version, "{}", kubeconfig) if self._component else Provider(version, "{}")
        super().__init__(provider, [], engine)

    async def Handshake(self, request: Any, context: Any) -> Any:
        self.engine_address = request.engine_address
        return proto.ProviderHandshakeResponse(accept_resources=self._component, accept_secrets=True)

    async def Attach(self, request: Any, context: Any) -> Any:
        self.engine_address = request.address
        return empty_pb2.Empty()

    async def Configure(self, request: Any, context: Any) -> Any:
        return proto.ConfigureResponse(
            supportsPreview=True, acceptSecrets=True, acceptResources=self._component
        )

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return proto.CheckResponse(inputs=request.news)

    async def Check(self, request: Any, context: Any) -> Any:
        name = shapes.AUTONAMES.get(request.type)
        if name and name not in request.news:
            if name in request.olds:
                request.news[name] = request.olds[name]
            else:
                tail = hashlib.sha256(request.randomSeed or request.urn.encode()).hexdigest()[:7]
                request.news[name] = f"{request.name[:20]}-{tail}"
        return proto.CheckResponse(inputs=request.news)

    async def Diff(self, request: Any, context: Any) -> Any:
        old, new = (json_format.MessageToDict(s) for s in (request.old_inputs, request.news))
        changed = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
        replaces = [k for k in changed if k in shapes.REPLACES.get(request.type, set())]
        some = proto.DiffResponse.DIFF_SOME if changed else proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(changes=some, diffs=changed, replaces=replaces)

    DiffConfig = Diff

    async def Create(self, request: Any, context: Any) -> Any:
        inputs = json_format.MessageToDict(request.properties)
        # A new id on every create, as AWS gives one, so that replacements reach what refers to it.
        physical_id = "" if request.preview else f"{request.name}-{uuid.uuid4().hex[:8]}"
        real: dict[str, Any] = {}
        if not request.preview and live.on(request.type):
            try:
                physical_id, real = await asyncio.to_thread(live.create, request.type, _plain(inputs))
            except Exception as error:
                await context.abort(grpc.StatusCode.UNKNOWN, f"{request.type}: {error}")
        outputs = {**inputs, **({} if request.preview else shapes.derived(request.type, _plain(inputs)))}
        for name, kind in shapes.computed(request.type).items():
            if name in outputs or name in ("id", "urn"):
                continue
            if request.preview:
                outputs[name] = rpc.UNKNOWN
            else:
                value = real.get(live.norm(name))
                if not shapes.fits(value, kind):
                    value = shapes.synthesize(request.type, physical_id, name, kind)
                outputs[name] = _secret(value) if name in _SECRETS.get(request.type, ()) else value
        if request.type in shapes.WITHIN:
            holder, name = shapes.WITHIN[request.type]
            made = real.get(live.norm(name)) or shapes.synthesize(request.type, physical_id, name, str)
            outputs[holder] = {**outputs[holder], name: rpc.UNKNOWN if request.preview else made}
        return proto.CreateResponse(id=physical_id, properties=_struct(outputs))

    async def Update(self, request: Any, context: Any) -> Any:
        state, new = (json_format.MessageToDict(s) for s in (request.olds, request.news))
        old_inputs = json_format.MessageToDict(request.old_inputs)
        if not request.preview and live.on(request.type):
            await asyncio.to_thread(live.update, request.type, request.id, _plain(new))
        kept = {k: v for k, v in state.items() if k not in old_inputs}
        if request.type in shapes.WITHIN:
            holder, name = shapes.WITHIN[request.type]
            new[holder] = {**new[holder], name: state[holder][name]}
        return proto.UpdateResponse(properties=_struct({**kept, **new}))

    async def Read(self, request: Any, context: Any) -> Any:
        state, inputs = (json_format.MessageToDict(s) for s in (request.properties, request.inputs))
        if live.on(request.type):
            real = await asyncio.to_thread(live.read, request.type, request.id)
            if real is None:
                return proto.ReadResponse()  # gone
            if not state:  # of something that is taken over, its name is all that is read
                state, inputs = {"name": request.id}, {"name": request.id}
            for side in (state, inputs):
                side.update(live.changed(request.type, side, real))
        return proto.ReadResponse(id=request.id, properties=_struct(state), inputs=_struct(inputs))

    async def Delete(self, request: Any, context: Any) -> Any:
        if live.on(request.type):
            await asyncio.to_thread(live.delete, request.type, request.id)
        return empty_pb2.Empty()

    async def Invoke(self, request: Any, context: Any) -> Any:
        if request.tok not in _INVOKES:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in lacks {request.tok}")
        arguments = json_format.MessageToDict(request.args)
        said = {**arguments, **_INVOKES[request.tok]}
        if request.tok == _LOG_GROUPS:
            said["logGroupNames"] = await asyncio.to_thread(live.log_groups, arguments["logGroupNamePrefix"])
        answer: dict[str, Any] = {"return": _struct(said)}
        return proto.InvokeResponse(**answer)


async def start(
    package: str, engine: str = "", kubeconfig: dict[str, Any] | None = None
) -> tuple[grpc.aio.Server, int]:
    """Serve one package on a free port of 127.0.0.1; returns the server and the port."""
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(StandIn(package, engine, kubeconfig), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


def _struct(values: dict[str, Any]) -> struct_pb2.Struct:
    out = struct_pb2.Struct()
    out.update(values)
    return out


def _secret(value: Any) -> dict[str, Any]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}  # pyright: ignore[reportPrivateUsage]


def _plain(value: Any) -> Any:
    """`value` without the marks that say which parts are secret."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:  # pyright: ignore
            return _plain(value["value"])  # pyright: ignore
        return {k: _plain(v) for k, v in value.items()}  # pyright: ignore
    return [_plain(v) for v in value] if isinstance(value, list) else value  # pyright: ignore
