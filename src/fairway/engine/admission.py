"""What a new container may ask for: checked wholly before anything is made. Texts are Docker's."""

import re

import msgspec

from fairway.engine.links import WARNING as LINKS_DEPRECATED
from fairway.engine.signals import parse_signal
from fairway.model.address import parse_address, parse_mac
from fairway.model.container import Config, HostConfig, RestartPolicy
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.image import Image
from fairway.model.network import EndpointRequest
from fairway.model.number import decimal
from fairway.model.request import ContainerRequest

_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_HOSTNAME = re.compile(
    r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*\.?"
)
_MINIMUM_MEMORY = 6 * 1024 * 1024
_IPC = re.compile(r"(none|private|shareable|host|container:.+)?")
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm"}
"""Other names of architectures → those that images use (containerd, ``platforms``)."""
_PID = re.compile(r"(host|container:.+)?")


def check_name(name: str) -> str:
    """The name without leading slash. Raises InvalidParameter."""
    if not _NAME.fullmatch(name):
        raise InvalidParameter(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")


def check_platform(request: ContainerRequest, image: Image) -> None:
    """The platform asked for, ``os[/architecture[/variant]]``, must be the image's.

    Raises NotFound, at which the CLI pulls the image for that platform.
    """
    if not request.platform:
        return
    given = request.platform.lower().split("/")
    if len(given) > 3 or not all(re.fullmatch(r"[a-z0-9_.-]+", part) for part in given):
        raise InvalidParameter(f'invalid platform "{request.platform}": use os/architecture[/variant]')
    wanted = [_ARCHITECTURES.get(part, part) for part in given]
    own = [str(image.config.get(key) or "") for key in ("os", "architecture", "variant")]
    if any(mine and part != mine for part, mine in zip(wanted, own, strict=False)):
        raise NotFound(
            f"image with reference {request.config.image} was found but does not provide the specified "
            f"platform ({request.platform})"
        )


def normalise(request: ContainerRequest) -> ContainerRequest:
    """The request with its network mode spelled out: "default" and nothing mean bridge."""
    mode = request.host.network_mode
    if mode in ("", "default"):
        mode = "none" if request.config.network_disabled else "bridge"
    endpoints = {
        mode if name in ("default", request.host.network_mode) else name: settings
        for name, settings in request.endpoints.items()
    }
    mac = request.config.mac_address
    if mac and not mode.startswith("container:") and mode not in ("host", "none"):
        own = endpoints.get(mode)
        parsed = parse_mac(mac, "mac-address")
        if own is None or own.mac is None:
            endpoints[mode] = msgspec.structs.replace(own or EndpointRequest(), mac=parsed)
    return msgspec.structs.replace(
        request, host=msgspec.structs.replace(request.host, network_mode=mode), endpoints=endpoints
    )


def check(request: ContainerRequest) -> list[str]:
    """Raises InvalidParameter (or Unsupported) for what no container can have; returns warnings."""
    _check_texts(request.config, request.host)
    _check_config(request.config)
    _check_network_mode(request)
    _check_host(request.host)
    warnings = _check_resources(request.host)
    if request.host.network_mode == "host" and request.host.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    if request.host.network_mode == "bridge" and request.host.links:
        warnings.append(LINKS_DEPRECATED)
    return warnings


def check_update(changes: HostConfig) -> list[str]:
    """Raises InvalidParameter for what no container can be changed to; returns warnings."""
    _check_restart(changes.restart_policy)
    return _check_resources(changes, update=True)


def _check_texts(config: Config, host: HostConfig) -> None:
    """What ends up as the argument of a system call, where a null byte would end it."""
    for what, texts in (
        ("command", (*(config.entrypoint or ()), *(config.cmd or ()))),
        ("working directory", (config.working_dir,)),
        ("volume", (*config.volumes, *host.binds)),
        ("mount", (text for mount in host.mounts for text in (mount.source, mount.target))),
        ("tmpfs", (text for pair in host.tmpfs.items() for text in pair)),
        ("sysctl", (text for pair in host.sysctls.items() for text in pair)),
    ):
        if any("\0" in text for text in texts):
            raise InvalidParameter(f"invalid {what}: it contains a null byte")


def _check_config(config: Config) -> None:
    hostname = config.hostname
    if hostname and (len(hostname) > 63 or not _HOSTNAME.fullmatch(hostname)):
        raise InvalidParameter(f"invalid hostname format: {hostname}")
    if not re.fullmatch(r"[!-~]{0,253}", config.domainname):
        raise InvalidParameter(f"invalid domainname {config.domainname!r}: use one printable word")
    for entry in config.env:
        if not entry.partition("=")[0] or "\0" in entry:
            raise InvalidParameter(f"invalid environment variable: {entry}")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    if config.stop_signal:
        parse_signal(config.stop_signal)
    if config.stop_timeout is not None and config.stop_timeout < -1:
        raise InvalidParameter(
            f"invalid stop timeout {config.stop_timeout}: use seconds, or -1 to wait for ever"
        )
    for port in config.exposed_ports:
        number, _, protocol = port.partition("/")
        if not decimal(number, 65535) or protocol not in ("", "tcp", "udp", "sctp"):
            raise InvalidParameter(f"invalid exposed port: {port}")
    health = config.healthcheck
    if health:
        for field in ("interval", "timeout", "start_period", "start_interval"):
            value = getattr(health, field)
            if value < 0 or 0 < value < 1_000_000:
                raise InvalidParameter(
                    f"{field.replace('_', ' ').capitalize()} in Healthcheck cannot be less than 1ms"
                )
        if health.retries < 0:
            raise InvalidParameter("Retries in Healthcheck cannot be negative")


def _check_network_mode(request: ContainerRequest) -> None:
    mode, config, host = request.host.network_mode, request.config, request.host
    if mode in ("container", "container:"):
        raise InvalidParameter("invalid network mode: invalid container format container:<name|id>")
    if mode.startswith("container:"):
        for given, what in (
            (config.hostname, "hostname and the network mode"),
            (
                host.links,
                "container type network can't be used with links. This would result in undefined behavior",
            ),
            (host.dns, "dns and the network mode"),
            (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
            (config.mac_address, "mac-address and the network mode"),
            (
                host.port_bindings or host.publish_all_ports,
                "port publishing and the container type network mode",
            ),
            (config.exposed_ports, "port exposing and the container type network mode"),
        ):
            if given:
                raise InvalidParameter(f"conflicting options: {what}")
    if mode == "host" and host.links:
        raise InvalidParameter(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    if request.endpoints and mode in ("host", "none") and set(request.endpoints) - {mode}:
        raise InvalidParameter(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )


def _check_host(host: HostConfig) -> None:
    for server in host.dns:
        parse_address(server, "DNS server")
    for what, words in (("DNS search domain", host.dns_search), ("DNS option", host.dns_options)):
        for word in words:
            if not re.fullmatch(r"[!-~]{1,255}", word):
                raise InvalidParameter(f"invalid {what} {word!r}: use one printable word")
    for entry in host.extra_hosts:
        name, _, address = entry.partition(":")
        if not re.fullmatch(r"[!-~]+", name) or not address:
            raise InvalidParameter(f"invalid IP address in add-host: {entry!r}: use name:address")
        if address != "host-gateway":
            parse_address(address.strip("[]"), "IP address in add-host")
    policy = host.restart_policy
    _check_restart(policy)
    if host.auto_remove and policy.name not in ("", "no"):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
    if not _IPC.fullmatch(host.ipc_mode):
        raise InvalidParameter(f"invalid IPC mode: {host.ipc_mode}")
    if not _PID.fullmatch(host.pid_mode):
        raise InvalidParameter(f"invalid PID mode: {host.pid_mode}")
    if host.uts_mode not in ("", "host"):
        raise InvalidParameter(f"invalid UTS mode: {host.uts_mode}")
    if host.log_config.type not in ("", "json-file", "local", "none"):
        raise InvalidParameter(f"logger: no log driver named '{host.log_config.type}' is registered")
    for request in host.device_requests:
        driver, wanted = request.get("Driver") or "", request.get("Capabilities") or []
        kinds = "] [".join(" ".join(str(c) for c in group) for group in wanted)
        raise InvalidParameter(f'could not select device driver "{driver}" with capabilities: [[{kinds}]]')
    if host.isolation not in ("", "default"):
        raise InvalidParameter(f"invalid isolation {host.isolation!r} on Linux: use default")
    if host.userns_mode not in ("", "host"):
        raise InvalidParameter(f"invalid userns mode: {host.userns_mode}")


def _check_restart(policy: RestartPolicy) -> None:
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidParameter(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if policy.maximum_retry_count < 0:
        raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")


def _check_resources(host: HostConfig, *, update: bool = False) -> list[str]:
    warnings = []
    if 0 < host.memory < _MINIMUM_MEMORY or host.memory < 0:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if host.memory_swap < -1:
        raise InvalidParameter(f"invalid memoryswap limit {host.memory_swap}: use bytes, or -1 for no limit")
    if host.memory and host.memory_swap > 0 and host.memory_swap < host.memory:
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not host.memory and host.memory_swap > 0 and not update:
        raise InvalidParameter(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if host.memory and host.memory_reservation > host.memory:
        raise InvalidParameter(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    if host.nano_cpus and (host.cpu_quota or host.cpu_period):
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if host.nano_cpus < 0:
        raise InvalidParameter("range of CPUs is from 0.01: value is negative")
    if host.cpu_period and not 1_000 <= host.cpu_period <= 1_000_000:
        raise InvalidParameter(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < host.cpu_quota < 1_000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.oom_score_adj < -1000 or host.oom_score_adj > 1000:
        raise InvalidParameter(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    for limit in host.ulimits:
        if limit.soft > limit.hard >= 0:
            raise InvalidParameter(
                f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}"
            )
    if host.oom_kill_disable and not host.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the "
            "system running out of resources."
        )
    return warnings
