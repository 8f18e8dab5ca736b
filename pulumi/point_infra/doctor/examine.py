"""Every check, one after the other: ask, judge, and let what can't be asked be a line of its own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from point_infra.config.settings import Settings
from point_infra.doctor import access, names, offers, quotas, resolver, taken
from point_infra.doctor.account import Account
from point_infra.doctor.finding import NO_ANSWER, Finding, because, failed, offline, ok, unknown
from point_infra.doctor.needs import Cache, Database, Needs, Nodes

_Findings = Iterable[Finding]


@dataclass(frozen=True)
class Examination:
    """A stack's settings and needs, the account to ask, and this machine's public address when it is known."""

    s: Settings
    needs: Needs
    account: Account
    seen_as: str | None

    def findings(self) -> Iterator[Finding]:
        """Each as soon as it is there; without credentials the first is the last."""
        try:
            number, arn = self.account.caller()
        except NO_ANSWER as error:
            then = "the network, or AWS_ENDPOINT_URL" if offline(error) else "`aws sso login`, or AWS_PROFILE"
            yield failed("account", because(error), f"{then}; nothing else was asked")
            return
        yield ok("account", f"{number}, as {arn.split(':', 5)[-1]}")
        for what, check in self._checks(arn):
            try:
                yield from check()
            except (*NO_ANSWER, resolver.UnansweredError) as error:
                yield unknown(what, because(error))

    def _checks(self, caller: str) -> Iterator[tuple[str, Callable[[], _Findings]]]:
        n = self.needs
        yield "region", self._region
        yield "zones", lambda: [offers.zones(self.s.availability_zones, self.account.zones())]
        yield "rights", lambda: [self._rights(caller)]
        for spot in (False, True):
            groups = [g for g in n.nodes if g.spot == spot and all(map(quotas.standard, g.types))]
            if groups:
                what = "spot vCPUs" if spot else "vCPUs"
                yield what, lambda g=groups, w=what, spot=spot: [self._vcpus(g, w, spot=spot)]
        yield "vCPUs", lambda: quotas.families(n.nodes)
        if n.addresses:
            yield "Elastic IPs", lambda: [self._addresses()]
        if n.vpcs:
            yield "VPCs", lambda: [self._vpcs()]
        if self.s.existing_vpc_id:
            yield "subnets", self._subnets
        if self.s.existing_cluster_name:
            yield f"cluster {self.s.existing_cluster_name}", self._cluster
        if self.s.kms_key_arn:
            yield "key", lambda: [taken.key(self.s.kms_key_arn, self.account.key_state(self.s.kms_key_arn))]
        if arn := self.s.certificate_arn:
            yield "certificate", lambda a=arn: [self._certificate(a)]
        if arn := self.s.runner_connection_arn:
            yield "connection", lambda a=arn: [taken.connection(a, self.account.connection(a))]
        for group in {g.types: g for g in n.nodes}.values():
            yield f"nodes {'/'.join(group.types)}", lambda g=group: [self._types(g)]
        if d := n.database:
            yield f"{d.engine} {d.version}", lambda d=d: self._database(d)
        if c := n.cache:
            yield f"cache {c.engine} {c.version}", lambda c=c: [self._cache_version(c)]
            yield f"cache {c.node_type}", lambda c=c: [self._cache_type(c)]
        if n.nodes:
            yield f"Kubernetes {self.s.kubernetes_version}", self._kubernetes
        for image, group in {offers.image_name(g): g for g in n.nodes}.items():
            if image:
                yield f"node image {group.release}", lambda g=group, i=image: [self._node_image(g, i)]
        for addon, version in n.addons.items():
            yield f"add-on {addon} {version}", lambda a=addon, v=version: [self._addon(a, v)]
        for policy in n.policies:
            yield f"policy {policy}", lambda p=policy: [access.policy(p, there=self.account.policy_exists(p))]
        yield f"zone {self.s.zone_name}", self._zone
        if self.s.backup_vault != "none":
            yield "AWS Backup", lambda: [taken.backup(self.account.backs_up("Aurora"))]
        if copies := self.s.backup_copy_region:
            yield "copies of backups", lambda r=copies: [taken.copies(r, self.account.region_status(r))]
        if "aws:cloudfront/distribution:Distribution" in n.types:
            yield "CloudFront", lambda: [taken.distributions(some=self.account.distributions())]
        yield "GuardDuty", lambda: [taken.guard(self.account.detects())]
        yield "image scanning", lambda: [taken.scanner(self.account.scans())]
        for repository, digest in n.images.items():
            yield f"image {repository}", lambda r=repository, d=digest: [self._image(r, d)]
        if not self.s.existing_cluster_name:
            yield "log groups", self._log_groups
        if self.s.stage != "foundation":
            yield "Kubernetes API", lambda: [self._api()]

    def _region(self) -> _Findings:
        return access.region(
            self.s.region, self.account.environment_region(), self.account.region_status(self.s.region)
        )

    def _rights(self, arn: str) -> Finding:
        if arn.endswith(":root"):
            return ok("rights", "the account's root may do everything; a role for this would be better")
        role = access.role_of(arn)
        actions = sorted({right for type_, right in access.RIGHTS.items() if type_ in self.needs.types})
        boundary = self.s.permissions_boundary
        refused = self.account.refused(self.account.role_arn(role) if role else arn, actions, boundary)
        return access.rights(actions, refused, bounded=bool(boundary))

    def _vcpus(self, groups: list[Nodes], what: str, *, spot: bool) -> Finding:
        running = self.account.running(spot=spot, but_cluster=self.s.name)
        used = sum(self.account.vcpus(t) for t in running if quotas.standard(t))
        wanted = quotas.vcpus(groups, self.account.vcpus)
        quota = quotas.STANDARD[spot]
        return quotas.compute(what, quota, self.account.quota(*quota), used, wanted)

    def _addresses(self) -> Finding:
        used = self.account.addresses(but=self._own_tags())
        allowed = self.account.quota(*quotas.ADDRESSES)
        return quotas.count("Elastic IPs", quotas.ADDRESSES, allowed, used, self.needs.addresses)

    def _vpcs(self) -> Finding:
        used = self.account.vpcs(but=self._own_tags())
        return quotas.count("VPCs", quotas.VPCS, self.account.quota(*quotas.VPCS), used, self.needs.vpcs)

    def _own_tags(self) -> dict[str, str]:
        """Those that stay the stack's, whatever else of it changes."""
        return {k: v for k, v in self.s.tags().items() if k in ("Project", "Environment")}

    def _subnets(self) -> _Findings:
        s = self.s
        tiers = {"public": s.public_subnet_ids, "private": s.private_subnet_ids, "data": s.data_subnet_ids}
        there = self.account.subnets([i for ids in tiers.values() for i in ids])
        for tier, ids in tiers.items():
            yield taken.subnets(tier, ids, s.existing_vpc_id, s.availability_zones, there)

    def _cluster(self) -> _Findings:
        s, name = self.s, self.s.existing_cluster_name
        there = self.account.cluster(name)
        return [taken.cluster(name, s.existing_vpc_id, there, self.account.addons(name) if there else [])]

    def _certificate(self, arn: str) -> Finding:
        wanted = (self.s.domain_name, self.s.origin_name)
        return taken.certificate(arn, wanted, *self.account.certificate(arn))

    def _types(self, group: Nodes) -> Finding:
        offered = self.account.type_zones(list(group.types))
        return offers.instance_types(group, self.s.availability_zones, offered)

    def _database(self, d: Database) -> _Findings:
        classes = {
            class_: self.account.database_zones(d.engine, d.version, class_) for class_, _ in d.instances
        }
        # What can be ordered is there; the list of all is long.
        versions = [d.version] if any(classes.values()) else self.account.database_versions(d.engine)
        return offers.database(d, classes, versions)

    def _cache_version(self, c: Cache) -> Finding:
        return offers.cache_version(c, self.account.cache_versions(c.engine))

    def _cache_type(self, c: Cache) -> Finding:
        return offers.cache_type(c, offered=self.account.cache_offered(c.node_type))

    def _kubernetes(self) -> _Findings:
        version = self.s.kubernetes_version
        return [offers.kubernetes(version, self.account.kubernetes(version))]

    def _node_image(self, group: Nodes, image: str) -> Finding:
        return offers.node_image(group, image, there=self.account.node_image(image))

    def _addon(self, addon: str, version: str) -> Finding:
        kubernetes = self.s.kubernetes_version
        return offers.addon(addon, version, kubernetes, self.account.addon_versions(addon, kubernetes))

    def _zone(self) -> _Findings:
        s = self.s
        ids = self.account.public_zones(s.zone_name)
        found = names.zone(s.zone_name, s.zone_id, create=s.create_zone, ids=ids)
        yield found
        if found.mark == "ok" and not s.create_zone:
            _, servers = self.account.name_servers(s.zone_id or ids[0])
            what = f"delegation of {s.zone_name}"
            try:
                yield names.delegation(s.zone_name, servers, resolver.name_servers(s.zone_name))
            except resolver.UnansweredError as error:
                yield unknown(what, because(error))

    def _image(self, repository: str, digest: str) -> Finding:
        there = set[str]() if names.example(digest) else self.account.platforms(repository, digest)
        architectures = {"arm64" if "ARM" in g.ami_type else "amd64" for g in self.needs.nodes}
        return names.image(repository, digest, architectures, there)

    def _log_groups(self) -> _Findings:
        cluster = self.s.name in self.account.clusters()
        left = [] if cluster else self.account.log_groups(self.needs.log_groups)
        return [names.log_groups(left, taken_over=self.s.control_plane_logs, cluster=cluster)]

    def _api(self) -> Finding:
        s = self.s
        if s.existing_cluster_name:
            there = self.account.cluster(s.existing_cluster_name)
            return access.owners(there.public if there else (), self.seen_as or resolver.seen_as())
        ranges = [c for c in s.api_private_clients if not c.startswith("sg-")]
        seen_as = (self.seen_as or resolver.seen_as()) if s.api_allowed_cidrs else None
        runner = f"{s.name}-runner" if s.runner_repository else ""
        inside_as = resolver.inside_as(ranges)
        return access.api(s.api_allowed_cidrs, s.api_private_clients, seen_as, inside_as, runner=runner)
