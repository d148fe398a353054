"""Binds, volumes and tmpfs of a container: from what was asked for to resolved mount points. Pure but for
looking whether host paths exist."""

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from fairway.model.container import Config, Container, HostConfig, MountPoint, MountRequest
from fairway.model.errors import InvalidParameter

VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_MODES = frozenset("ro rw z Z nocopy copy cached delegated consistent".split())
_PROPAGATION = frozenset("private rprivate shared rshared slave rslave".split())


class Wanted(MountPoint, frozen=True, kw_only=True):
    """A mount point whose volume may still have to be made."""

    anonymous: bool = False
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}
    must_exist: bool = False


def resolve(
    config: Config,
    host: HostConfig,
    *,
    inherited: Callable[[str], Container],
    new_name: Callable[[], str],
    exists: Callable[[str], bool | None],
) -> list[Wanted]:
    """All mounts of a new container, by destination; later sources win as in Docker:
    the image's volumes, volumes-from, binds, mounts, tmpfs.

    ``exists`` says whether a host path is there. Raises InvalidParameter with Docker's texts.
    """
    result: dict[str, Wanted] = {}
    explicit: set[str] = set()

    def claim(mount: Wanted) -> None:
        if mount.destination in explicit:
            raise InvalidParameter(f"Duplicate mount point: {mount.destination}")
        explicit.add(mount.destination)
        result[mount.destination] = mount

    for source in host.volumes_from:
        for mount in _from_container(source, inherited):
            result[mount.destination] = mount
    for text in host.binds:
        claim(parse_bind(text, host.volume_driver))
    for request in host.mounts:
        claim(_from_request(request, new_name, exists))
    for path, mode in host.tmpfs.items():
        claim(Wanted(type="tmpfs", source="", destination=_destination(path, path), mode=mode))
    for path in config.volumes:
        destination = _destination(path, path)
        if destination not in result:
            result[destination] = Wanted(
                type="volume",
                source="",
                destination=destination,
                name=new_name(),
                driver=host.volume_driver or "local",
                copy_up=True,
                anonymous=True,
            )
    return [result[d] for d in sorted(result)]


def parse_bind(text: str, driver: str = "") -> Wanted:
    """``source:destination[:options]``; a source without a slash is a volume's name, for ``driver``."""
    parts = text.split(":")
    if not 2 <= len(parts) <= 3 or not parts[0] or not parts[1]:
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    source, destination = parts[0], _destination(parts[1], text)
    options = _options(parts[2], text) if len(parts) == 3 else []
    read_only = "ro" in options
    propagation = next((o for o in options if o in _PROPAGATION), "")
    mode = ",".join(options)
    if source.startswith("/"):
        return Wanted(
            type="bind",
            source=posixpath.normpath(source),
            destination=destination,
            read_only=read_only,
            propagation=propagation or "rprivate",
            mode=mode,
        )
    if not VOLUME_NAME.fullmatch(source):
        raise InvalidParameter(
            f"invalid volume specification: '{text}': {source!r} includes invalid characters for a local "
            'volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, "
            "use absolute path"
        )
    return Wanted(
        type="volume",
        source="",
        destination=destination,
        name=source,
        driver=driver or "local",
        read_only=read_only,
        mode=mode or "z",
        copy_up="nocopy" not in options,
    )


def _options(text: str, whole: str) -> list[str]:
    options = text.split(",")
    for option in options:
        if option not in _MODES and option not in _PROPAGATION:
            raise InvalidParameter(f"invalid volume specification: '{whole}': invalid mode: {text}")
    if "ro" in options and "rw" in options:
        raise InvalidParameter(f"invalid volume specification: '{whole}': invalid mode: {text}")
    return options


def _destination(path: str, whole: str) -> str:
    if not path.startswith("/"):
        raise InvalidParameter(
            f"invalid volume specification: '{whole}': invalid mount config for type \"bind\": "
            f"invalid mount path: '{path}' mount path must be absolute"
        )
    clean = "/" + posixpath.normpath(path).lstrip("/")
    if clean == "/":
        raise InvalidParameter(f"invalid volume specification: '{whole}': destination can't be '/'")
    return clean


def _from_request(
    request: MountRequest, new_name: Callable[[], str], exists: Callable[[str], bool | None]
) -> Wanted:
    def wrong(why: str) -> InvalidParameter:
        return InvalidParameter(f'invalid mount config for type "{request.type}": {why}')

    if not request.target:
        raise wrong("field Target must not be empty")
    if not request.target.startswith("/"):
        raise wrong(f"invalid mount path: '{request.target}' mount path must be absolute")
    destination = _destination(request.target, request.target)
    match request.type:
        case "bind":
            if not request.source:
                raise wrong("field Source must not be empty")
            if not request.source.startswith("/"):
                raise wrong(f"invalid mount path: '{request.source}' mount path must be absolute")
            options = request.bind_options
            if exists(request.source) is None and not (options and options.create_mountpoint):
                raise wrong(f"bind source path does not exist: {request.source}")
            return Wanted(
                type="bind",
                source=posixpath.normpath(request.source),
                destination=destination,
                read_only=request.read_only,
                propagation=(options.propagation if options else "") or "rprivate",
            )
        case "volume":
            volume = request.volume_options
            if volume and volume.subpath:
                raise wrong("VolumeOptions.Subpath is not supported by this engine")
            driver = volume.driver_config if volume else None
            return Wanted(
                type="volume",
                source="",
                destination=destination,
                name=request.source or new_name(),
                driver=(driver.name if driver else "") or "local",
                read_only=request.read_only,
                copy_up=not (volume and volume.no_copy),
                anonymous=not request.source,
                mode="z",
                driver_options=driver.options if driver else {},
                labels=volume.labels if volume else {},
            )
        case "tmpfs":
            if request.source:
                raise wrong("field Source must not be specified")
            return Wanted(type="tmpfs", source="", destination=destination, mode=_tmpfs_mode(request))
        case _:
            raise wrong("this engine mounts bind, volume and tmpfs")


def _tmpfs_mode(request: MountRequest) -> str:
    options, words = request.tmpfs_options, ["ro"] if request.read_only else []
    if options and options.size_bytes:
        words.append(f"size={options.size_bytes}")
    if options and options.mode:
        words.append(f"mode={options.mode:o}")
    return ",".join(words)


def _from_container(source: str, inherited: Callable[[str], Container]) -> Iterable[Wanted]:
    reference, _, mode = source.partition(":")
    if mode and mode not in ("ro", "rw", "z", "Z"):
        raise InvalidParameter(f"invalid mode: {mode}")
    for mount in inherited(reference).mounts:
        if mount.type != "tmpfs":
            fields = {name: getattr(mount, name) for name in MountPoint.__struct_fields__}
            yield Wanted(**{**fields, "read_only": mount.read_only or mode == "ro", "copy_up": False})


def settled(mounts: Sequence[Wanted], sources: dict[str, str]) -> tuple[MountPoint, ...]:
    """Mount points with the directories of their volumes filled in; ``sources`` maps names to them."""
    result = []
    for mount in mounts:
        fields = {name: getattr(mount, name) for name in MountPoint.__struct_fields__}
        if mount.type == "volume":
            fields["source"] = sources[mount.name]
        result.append(MountPoint(**fields))
    return tuple(result)
