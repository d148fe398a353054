"""A container's configuration: what was asked for, completed by what the image says.

Docker's rules: the command and entrypoint given replace the image's (an entrypoint given also drops the
image's command); environment, labels, ports and volumes are added to, the container's own winning.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fairway.model.container import Config, Healthcheck
from fairway.model.errors import InvalidParameter
from fairway.model.image import Image

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image_config(image: Image) -> Config:
    """The image's ``config`` member, typed; nulls mean absent."""
    raw: Mapping[str, Any] = image.config.get("config") or {}
    return msgspec.convert({k: v for k, v in raw.items() if v is not None}, Config, strict=False)


def merge(asked: Config, base: Config) -> Config:
    """The configuration that the container gets.

    Raises InvalidParameter when there is no command at all.
    """
    entrypoint, cmd = asked.entrypoint, asked.cmd
    if not entrypoint:
        if not cmd:
            cmd = base.cmd
        entrypoint = base.entrypoint if entrypoint is None else ()
    merged = msgspec.structs.replace(
        asked,
        entrypoint=tuple(entrypoint) if entrypoint else None,
        cmd=tuple(cmd) if cmd else None,
        env=environment(asked.env, base.env),
        labels={**base.labels, **asked.labels},
        exposed_ports={**base.exposed_ports, **asked.exposed_ports},
        volumes={**base.volumes, **asked.volumes},
        user=asked.user or base.user,
        working_dir=asked.working_dir or base.working_dir,
        stop_signal=asked.stop_signal or base.stop_signal,
        shell=asked.shell or base.shell,
        on_build=(),
        healthcheck=_healthcheck(asked.healthcheck, base.healthcheck),
    )
    if not merged.entrypoint and not merged.cmd:
        raise InvalidParameter("no command specified")
    return merged


def environment(asked: Sequence[str], base: Sequence[str]) -> tuple[str, ...]:
    """The container's own first; the image's for names it does not set. A name alone unsets it."""
    named = {e.partition("=")[0] for e in asked}
    kept = [e for e in base if e.partition("=")[0] not in named]
    return (*asked, *kept)


def _healthcheck(asked: Healthcheck | None, base: Healthcheck | None) -> Healthcheck | None:
    if asked is None or base is None:
        return asked or base
    fields = {name: getattr(asked, name) or getattr(base, name) for name in Healthcheck.__struct_fields__}
    return Healthcheck(**fields)
