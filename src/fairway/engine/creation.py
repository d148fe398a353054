"""Creating a container: everything is checked and completed, then its volumes, then its row in the state."""

from collections.abc import Sequence

import msgspec

from fairway.engine import admission
from fairway.engine.attachments import check_request
from fairway.engine.bindings import requested
from fairway.engine.core import Core
from fairway.engine.links import resolved
from fairway.engine.merge import image_config, merge
from fairway.engine.mounts import Wanted, resolve, settled
from fairway.engine.volumes import Volumes
from fairway.model.container import Container, Link, MountPoint, Volume
from fairway.model.errors import Conflict, InvalidParameter, NotFound
from fairway.model.network import Endpoint
from fairway.model.request import ContainerRequest, VolumeRequest
from fairway.plan import HOST


class Creation:
    def __init__(self, core: Core, volumes: Volumes) -> None:
        self._core = core
        self._volumes = volumes

    async def create(self, request: ContainerRequest) -> tuple[Container, Sequence[str]]:
        """See ``Containers.create``."""
        core = self._core
        if request.name:
            request = msgspec.structs.replace(request, name=admission.check_name(request.name))
        image = core.images.find(request.config.image)
        admission.check_platform(request, image)
        request = admission.normalise(request)
        request = msgspec.structs.replace(request, config=merge(request.config, image_config(image)))
        warnings = [*admission.check(request), *await self._forwarding(request.host.network_mode)]
        container_id = core.identity.id()
        request = self._settled(request, container_id)
        check_free(core, request.name)
        name = request.name or core.identity.name(lambda n: core.state.container_named(n) is not None)
        endpoints = self._endpoints(request, container_id)
        wanted = resolve(
            request.config,
            request.host,
            inherited=self._lender,
            new_name=core.identity.id,
            exists=core.files.is_directory,
        )
        container = Container(
            id=container_id,
            name=name,
            created=core.clock.now(),
            image=image.id,
            config=request.config,
            host=request.host,
            mounts=settled(wanted, {m.name: "" for m in wanted}),
            links=self._links(request),
        )
        requested(container)  # raises for ports that no host could publish
        async with core.locks.hold(f"container/{container.id}"):  # who finds it already, waits
            container = await self._established(container, endpoints, wanted)
        core.events.container(container, "create")
        return container, warnings

    async def _established(
        self, container: Container, endpoints: Sequence[Endpoint], wanted: Sequence[Wanted]
    ) -> Container:
        """With its volumes, and durable. The name is taken at once: what fails later gives it back."""
        core = self._core
        core.state.place(container)
        made: list[Volume] = []
        try:
            container = msgspec.structs.replace(container, mounts=await self._make_volumes(wanted, made))
            await core.state.commit(container, *endpoints, end=made)
        except BaseException:
            core.state.displace(container)
            for volume in made:
                await self._volumes.give_up(volume)
            raise
        return container

    async def _forwarding(self, mode: str) -> list[str]:
        """Docker's warning where no packet leaves a network (``--ip-forward=false``)."""
        if mode in ("host", "none") or await self._core.kernel.sysctl(HOST, "net/ipv4/ip_forward") == "1":
            return []
        return ["IPv4 forwarding is disabled. Networking will not work."]

    def _settled(self, request: ContainerRequest, container_id: str) -> ContainerRequest:
        """With everything spelled out that inspect shows although nobody asked for it."""
        config, host = request.config, self._core.runtime.settle(request.host)
        if not config.hostname:
            shared = "host" in (host.network_mode, host.uts_mode)
            hostname = self._core.files.hostname() if shared else container_id[:12]
            config = msgspec.structs.replace(config, hostname=hostname)
        return msgspec.structs.replace(request, config=config, host=host)

    def _lender(self, reference: str) -> Container:
        """The container of a ``--volumes-from``; the CLI takes a NotFound to be about the image."""
        try:
            return self._core.state.container(reference)
        except NotFound as fault:
            raise InvalidParameter(fault.message) from None

    def _endpoints(self, request: ContainerRequest, container_id: str) -> list[Endpoint]:
        """The attachments that the container is created with.

        A network or a peer container that does not exist yet is looked for again at start, as in Docker;
        so is the default network, which ``--bridge none`` takes away.
        """
        mode, result = request.host.network_mode, []
        if mode.startswith("container:"):
            if set(request.endpoints) - {mode}:
                raise InvalidParameter(
                    "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                )
            for given in request.endpoints.values():
                check_request(None, given)
            return []
        for name in dict.fromkeys((mode, *request.endpoints)):
            settings = request.endpoints.get(name)
            try:
                network = self._core.state.network(name)
            except NotFound:
                if name == mode and (settings is None or mode == "bridge"):
                    continue
                raise InvalidParameter(f"network {name} not found") from None
            if settings is None:
                result.append(Endpoint(network_id=network.id, container_id=container_id))
                continue
            check_request(network, settings)
            result.append(Endpoint(network_id=network.id, container_id=container_id, request=settings))
        return result

    def _links(self, request: ContainerRequest) -> tuple[Link, ...]:
        """On user-defined networks the endpoints' own links count, and these mean nothing."""
        wanted = request.host.links if request.host.network_mode in ("bridge", "none") else ()
        return resolved(self._core.state, wanted)

    async def _make_volumes(self, wanted: Sequence[Wanted], made: list[Volume]) -> tuple[MountPoint, ...]:
        sources = {}
        for mount in wanted:
            if mount.type != "volume":
                continue
            request = VolumeRequest(
                name=mount.name, driver=mount.driver, options=mount.driver_options, labels=mount.labels
            )
            try:
                volume, new = await self._volumes.begin(request, anonymous=mount.anonymous)
            except NotFound as fault:  # the driver; the CLI would take it to be about the image
                raise InvalidParameter(fault.message) from None
            if new:
                made.append(volume)
            sources[mount.name] = volume.mountpoint
        return settled(wanted, sources)


def check_free(core: Core, name: str) -> None:
    """Raises Conflict, as Docker words it, when a container has the name."""
    other = core.state.container_named(name) if name else None
    if other:
        raise Conflict(
            f'Conflict. The container name "/{name}" is already in use by container "{other.id}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )
