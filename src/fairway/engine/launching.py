"""What a start hands to the runtime: namespace, hostname, files, shared namespaces.

A container that shares another's network (``container:``) also shares its hostname and its three files; a
chain of them leads to the one that owns the sandbox.
"""

import asyncio
from collections.abc import Callable

from fairway.engine.core import Core
from fairway.engine.dependence import network_owner
from fairway.engine.files import hosts
from fairway.engine.links import environment
from fairway.engine.names import hosts_lines
from fairway.engine.protocols import Files
from fairway.model.address import Address
from fairway.model.container import Container
from fairway.model.errors import Conflict, InvalidParameter, System
from fairway.model.process import Launch

FILES = ("hosts", "hostname", "resolv.conf")


class Launching:
    """``write_resolv_conf`` writes that file for the networks that a container has now."""

    def __init__(self, core: Core, write_resolv_conf: Callable[[Container], None]) -> None:
        self._core = core
        self._write_resolv_conf = write_resolv_conf

    async def prepare(self, container: Container, rootfs: str) -> Launch:
        """Write the container's files, fill its new volumes, and put together what the runtime needs.

        Raises Conflict when a container whose process namespaces it shares does not run, System when one that
        it links to does not.
        """
        owner = network_owner(self._core.state, container)
        # An heir's files were those of the removed owner: whoever joins the heir gets new ones.
        written = owner is container or owner.host.network_mode.startswith("container:")
        hostname = self._hostname(owner)
        if written:
            await asyncio.to_thread(self._write_files, owner, hostname)
        await asyncio.to_thread(populate, self._core.files, container, rootfs)
        return Launch(
            container=container,
            rootfs=rootfs,
            namespace=self._namespace(container),
            hostname=hostname,
            files={f"/etc/{name}": self._core.files.path(owner.id, name) for name in FILES},
            environment=environment(self._core.state, container),
            joins=self._joins(container),
        )

    def check_peer(self, container: Container) -> None:
        """Make sure that the container runs whose network this one shares, unless it has inherited that.

        Raises NotFound, Conflict, System.
        """
        mode = container.host.network_mode
        if container.sandbox or not mode.startswith("container:"):
            return
        peer = self._core.state.container(mode.removeprefix("container:"))
        if peer.id == container.id:
            raise System("cannot join own network namespace")
        if peer.state.status == "restarting":
            raise Conflict(f"Container {peer.id} is restarting, wait until the container is running")
        if not peer.state.running:
            raise Conflict(f"cannot join network namespace of a non running container: {peer.id}")

    def sandbox(self, container: Container) -> str:
        """Id of the sandbox that the container runs in; empty only if that is meant to be the host's."""
        owner = network_owner(self._core.state, container)
        found = owner.sandbox
        if found not in self._core.state.sandboxes and (found or owner.host.network_mode != "host"):
            raise Conflict(f"cannot join network namespace of a non running container: {owner.id}")
        return found

    def _namespace(self, container: Container) -> str:
        """Path of the namespace; empty for the host's."""
        sandbox = self.sandbox(container)
        return self._core.state.sandboxes[sandbox].key if sandbox else ""

    def _hostname(self, container: Container) -> str:
        if container.config.hostname:
            return container.config.hostname
        shared = container.host.network_mode == "host" or container.host.uts_mode == "host"
        return self._core.files.hostname() if shared else container.id[:12]

    def _joins(self, container: Container) -> dict[str, int]:
        joins = {}
        for kind, mode in (("pid", container.host.pid_mode), ("ipc", container.host.ipc_mode)):
            if mode.startswith("container:"):
                peer = self._core.state.container(mode.removeprefix("container:"))
                if not peer.state.active:
                    raise Conflict(
                        f"cannot join {kind.upper()} namespace of a non running container: {peer.id}"
                    )
                joins[kind] = peer.state.pid
        return joins

    def _write_files(self, container: Container, hostname: str) -> None:
        """Write hosts, hostname and resolv.conf. Blocking."""
        core = self._core
        own = hosts_lines(core.state, container, hostname)
        extra = [line for entry in container.host.extra_hosts for line in self._extra(container, entry)]
        host_mode = container.host.network_mode == "host"
        text = core.files.hosts() if host_mode and not extra else hosts(extra, own)
        core.files.write(container.id, "hosts", text)
        core.files.write(container.id, "hostname", hostname + "\n")
        self._write_resolv_conf(container)

    def _extra(self, container: Container, entry: str) -> list[str]:
        """``name:host-gateway`` is a line for each family in which the container can reach its host."""
        name, _, address = entry.partition(":")
        if address != "host-gateway":
            return [entry]
        gateways = self._core.settings.host_gateways or self._gateways(container)
        if not gateways:
            raise InvalidParameter("unable to derive the IP value for host-gateway")
        return [f"{name}:{gateway}" for gateway in gateways]

    def _gateways(self, container: Container) -> list[Address]:
        """The host's addresses in the default network, as in Docker; without it, in the container's own."""
        bridge = self._core.state.network_named("bridge")
        networks = [bridge] if bridge else [n for n, _ in self._core.state.attachments(container.id)]
        gateways = ([pool.gateway for pool in network.pools if pool.gateway] for network in networks)
        return next((found for found in gateways if found), [])


def populate(files: Files, container: Container, rootfs: str) -> None:
    """Make what the container mounts: new volumes get what the image has there. Blocking."""
    for mount in container.mounts:
        if mount.type == "volume" and mount.copy_up:
            files.populate(mount.source, rootfs, mount.destination)
        if mount.type == "bind" and files.is_directory(mount.source) is None:
            files.make_directory(mount.source)
