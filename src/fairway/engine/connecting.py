"""The verbs connect and disconnect: containers join networks and leave them, running or not.

connect      reserve → commit → names → kernel: link, addresses, routes, resolver → hosts, resolv.conf
disconnect   commit → kernel takes back → address free again → hosts, names
"""

import msgspec

from fairway.engine.attachments import Attachments, check_request
from fairway.engine.core import Core
from fairway.engine.files import resolv_conf
from fairway.engine.links import Links, elements
from fairway.engine.names import resolves
from fairway.engine.naming import Naming
from fairway.engine.publishing import Publishing
from fairway.engine.teardown import record, withdraw_wholly
from fairway.model.address import host
from fairway.model.container import Container
from fairway.model.errors import Conflict, Fault, Forbidden, NotFound
from fairway.model.network import Endpoint, EndpointRequest, Network, Sandbox
from fairway.plan import Plan, Resolver, difference, establish


class Connecting:
    def __init__(self, core: Core, attachments: Attachments, naming: Naming, publishing: Publishing) -> None:
        self._core = core
        self._attachments = attachments
        self._naming = naming
        self._publishing = publishing
        self._links = Links(core)

    async def connect(self, network: str, container: str, request: EndpointRequest) -> None:
        """Attach a container, running or not."""
        target = self._core.state.container(container)
        async with self._core.locks.hold(f"container/{target.id}"):
            target = self._core.state.container(target.id)
            chosen = self._core.state.network(network)
            await self.settled(chosen)
            self._check_connect(chosen, target, request)
            endpoint = Endpoint(network_id=chosen.id, container_id=target.id, request=request)
            if target.sandbox:
                await self._join(chosen, target, endpoint)
                self._core.events.network(chosen, "connect", target.id)
            else:
                await self._core.state.commit(endpoint)

    async def disconnect(self, network: str, container: str, force: bool) -> None:
        """Detach a container; ``force`` accepts one that is gone already."""
        chosen = self._core.state.network(network)
        try:
            target = self._core.state.container(container)
        except NotFound:
            if force:
                raise NotFound(f"endpoint {container} not found") from None
            raise
        async with self._core.locks.hold(f"container/{target.id}"):
            target = self._core.state.container(target.id)
            endpoint = self._core.state.endpoint(target.id, chosen.id)
            if endpoint is None:
                raise Forbidden(f"container {target.id} is not connected to network {chosen.name}")
            if chosen.driver == "host":
                raise Forbidden(
                    "container cannot be disconnected from host network or connected to host network"
                )
            if endpoint.id:
                await self._leave(chosen, target, endpoint)
                self._core.events.network(chosen, "disconnect", target.id)
            else:
                await self._core.state.commit(delete=[endpoint])

    def _check_connect(self, network: Network, container: Container, request: EndpointRequest) -> None:
        mode = container.host.network_mode
        if network.config_only:
            raise Forbidden(f"cannot connect to configuration network {network.name}: it only holds settings")
        if container.state.status in ("removing", "dead"):
            raise Conflict(
                f"Container {container.id} is marked for removal and cannot be connected or disconnected "
                "to the network"
            )
        if mode.startswith("container:"):
            raise Forbidden(
                "container sharing network namespace with another container or host cannot be connected to "
                "any other network"
            )
        if mode == "host" or network.driver == "host":
            raise Forbidden("container cannot be disconnected from host network or connected to host network")
        if network.driver == "null" or any(
            n.driver == "null" for n, _ in self._core.state.attachments(container.id)
        ):
            raise Forbidden(
                "container cannot be connected to multiple networks with one of the networks in "
                "private (none) mode"
            )
        if self._core.state.endpoint(container.id, network.id):
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        check_request(network, request)

    async def settled(self, network: Network) -> None:
        """Wait until a network that is being created is there; raises NotFound if that failed."""
        async with self._core.locks.hold(f"network/{network.id}"):
            self._core.state.network(network.id)

    async def _join(self, network: Network, container: Container, endpoint: Endpoint) -> None:
        core, sandbox = self._core, self._core.state.sandboxes[container.sandbox]
        had_resolver, outward = self._resolves(container), self._attachments.outward(container, sandbox)
        endpoint = self._attachments.reserve(network, container, endpoint)
        core.state.place(endpoint)
        before, plan = container, Plan()

        def wanted(container: Container) -> Plan:
            return (
                establish(self._attachments.facts(network, endpoint, sandbox))
                + difference(self._attachments.outward(container, sandbox), outward)
                + establish(elements(core.state, container))
                + self._resolver(container, sandbox, had_resolver)
            )

        try:
            # This may be the network through which the outside comes in.
            if not before.ports and (ports := await self._publishing.choose(container)):
                container = msgspec.structs.replace(container, ports=ports)
            changed = [container] if container is not before else []
            await core.state.commit(endpoint, *changed, begin=endpoint)
            await self._naming.publish(container)
            container, plan = await self._publishing.apply(container, wanted)
            await self._links.settle(container, plan.facts())
            if not had_resolver and resolves(network):
                self.write_resolv_conf(container)
            hostname = container.config.hostname or container.id[:12]
            own = "".join(f"{a.partition('/')[0]}\t{hostname}\n" for a in endpoint.addresses)
            core.files.append(container.id, "hosts", own)
            self._links.introduce(container)
            await core.state.commit(end=endpoint)
        except BaseException:
            current = core.state.containers[container.id]
            await record(core, before, delete=[endpoint], end=endpoint)
            await withdraw_wholly(core, plan.inverse(), network.name)
            chosen = container if current is before else current  # another automatic port, maybe
            self._publishing.ports.release(before.id, chosen.ports, before.ports)
            self._attachments.release(endpoint)
            await self._naming.republish(container, [network])
            if not had_resolver:
                await self._naming.withdraw(sandbox.id)
                self._rewrite_resolv_conf(container)
            raise

    async def _leave(self, network: Network, container: Container, endpoint: Endpoint) -> None:
        core, sandbox = self._core, self._core.state.sandboxes[container.sandbox]
        had_resolver, before = self._resolves(container), self._attachments.sandbox_facts(container, sandbox)
        left = self._publishing.without(container, network.id)
        await core.state.commit(*([left] if left is not container else []), delete=[endpoint])
        await withdraw_wholly(
            core, difference(self._attachments.sandbox_facts(left, sandbox), before), network.name
        )
        self._publishing.ports.release(left.id, container.ports, left.ports)
        self._attachments.release(endpoint)
        self._forget_in_hosts(container, endpoint)
        self._links.forget(container.id)
        await self._naming.republish(container, [network])
        if had_resolver and not self._resolves(container):
            await self._naming.withdraw(sandbox.id)
            self._rewrite_resolv_conf(container)

    def _forget_in_hosts(self, container: Container, endpoint: Endpoint) -> None:
        try:
            self._core.files.drop(container.id, "hosts", frozenset(host(a) for a in endpoint.addresses))
        except Fault as e:
            self._core.log.warning("hosts stays as it was", container=container.name, error=e.message)

    def _rewrite_resolv_conf(self, container: Container) -> None:
        try:
            self.write_resolv_conf(container)
        except Fault as e:
            self._core.log.warning("resolv.conf stays as it was", container=container.name, error=e.message)

    def _resolves(self, container: Container) -> bool:
        return any(resolves(n) for n, e in self._core.state.attachments(container.id) if e.id)

    def _resolver(self, container: Container, sandbox: Sandbox, had: bool) -> Plan:
        if had or not self._resolves(container):
            return Plan()
        return establish([Resolver(sandbox.id, sandbox.key)])

    def write_resolv_conf(self, container: Container) -> None:
        """(Re)write the container's resolv.conf for the networks it has now."""
        core = self._core
        text = resolv_conf(
            core.files.resolv_conf(),
            embedded=self._resolves(container),
            servers=container.host.dns or core.settings.dns,
            search=container.host.dns_search or core.settings.dns_search,
            options=container.host.dns_options or core.settings.dns_options,
            ipv6=any(n.ipv6 for n, _ in core.state.attachments(container.id)),
            loopback=container.host.network_mode == "host",
        )
        core.files.write(container.id, "resolv.conf", text)
