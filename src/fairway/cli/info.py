"""``info``: the daemon's state and settings, in Docker's order and words.

``--format`` sees the API's answer with ``ClientInfo`` added, as Docker's does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from fairway import __version__
from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import FAILED, OK, TEMPLATE, Exit, describe
from fairway.cli.output import inspect_format
from fairway.cli.template import Struct, Template, TemplateFailed, TemplateSyntax
from fairway.cli.units import human_bytes
from fairway.model.errors import Fault

_MAPS = ("Runtimes",)
"""What is a map, not a struct, in Docker's type."""


def _info(given: Invocation) -> int:
    form = given.options.text("format")
    fault: Fault | None = None
    found: dict[str, Any] = {}
    try:
        found = given.client.get("/info")
    except Fault as error:
        fault = error
    if form:
        _formatted(given, form, found)
    else:
        _print_client(given)
        given.line("Server:")
        if fault is None:
            for line in _lines(found):
                given.line(f" {line}")
            given.line("")
            for warning in found.get("Warnings") or ():
                given.warn(warning)
    if fault is not None:
        sys.stdout.flush()
        raise Exit(FAILED, describe(fault) if form else f"{describe(fault)}\nerrors pretty printing info")
    return OK


def _formatted(given: Invocation, form: str, found: dict[str, Any]) -> None:
    client = {"Debug": False, "Version": __version__, "Context": "default", "Plugins": [], "Warnings": None}
    fields = {name: _ordered(value) if name not in _MAPS else value for name, value in found.items()}
    data = Struct({**fields, "ClientInfo": _ordered(client)}, type_name="system.dockerInfo")
    try:
        template = Template("{{json .}}" if form == "json" else form)
    except TemplateSyntax as error:
        raise Exit(TEMPLATE, f"template parsing error: {error}") from error
    try:
        given.line(template.render(data))
    except TemplateFailed as error:
        given.line("")
        raise Exit(FAILED, str(error)) from error


def _ordered(value: Any) -> Any:
    """Objects as Go structs, whose fields keep the daemon's order."""
    if isinstance(value, dict):
        return Struct({name: _ordered(item) for name, item in value.items()})
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _print_client(given: Invocation) -> None:
    given.line(f"Client:\n Version:    {__version__}\n Context:    default\n Debug Mode: false\n")


def _lines(info: dict[str, Any]) -> Iterator[str]:
    yield f"Containers: {info.get('Containers', 0)}"
    for state in ("Running", "Paused", "Stopped"):
        yield f" {state}: {info.get(f'Containers{state}', 0)}"
    yield f"Images: {info.get('Images', 0)}"
    yield from _line(info, "Server Version", "ServerVersion")
    yield from _line(info, "Storage Driver", "Driver")
    for pair in info.get("DriverStatus") or ():
        yield f" {pair[0]}: {pair[1]}"
    yield from _line(info, "Logging Driver", "LoggingDriver")
    yield from _line(info, "Cgroup Driver", "CgroupDriver")
    yield from _line(info, "Cgroup Version", "CgroupVersion")
    yield from _plugins(info.get("Plugins") or {})
    yield from _swarm(info.get("Swarm") or {})
    yield from _runtimes(info)
    yield from _host(info)
    yield from _settings(info)


def _line(info: dict[str, Any], title: str, key: str) -> Iterator[str]:
    if info.get(key):
        yield f"{title}: {info[key]}"


def _plugins(plugins: dict[str, Any]) -> Iterator[str]:
    yield "Plugins:"
    for kind in ("Volume", "Network", "Authorization", "Log"):
        names = plugins.get(kind) or []
        if names or kind in ("Volume", "Network", "Log"):
            yield f" {kind}: {' '.join(names)}"


def _swarm(swarm: dict[str, Any]) -> Iterator[str]:
    yield f"Swarm: {swarm.get('LocalNodeState', 'inactive')}"
    if swarm.get("LocalNodeState") not in (None, "", "inactive", "locked"):
        yield f" NodeID: {swarm.get('NodeID', '')}"
        if swarm.get("Error"):
            yield f" Error: {swarm['Error']}"
        manager = bool(swarm.get("ControlAvailable"))
        yield f" Is Manager: {str(manager).lower()}"
        if manager:
            yield f" ClusterID: {(swarm.get('Cluster') or {}).get('ID', '')}"
            yield f" Managers: {swarm.get('Managers', 0)}"
            yield f" Nodes: {swarm.get('Nodes', 0)}"
        yield f" Node Address: {swarm.get('NodeAddr', '')}"
        yield " Manager Addresses:"
        for peer in sorted(peer["Addr"] for peer in swarm.get("RemoteManagers") or ()):
            yield f"  {peer}"


def _runtimes(info: dict[str, Any]) -> Iterator[str]:
    if info.get("Runtimes"):
        yield f"Runtimes: {' '.join(sorted(info['Runtimes']))}"
        yield f"Default Runtime: {info.get('DefaultRuntime', '')}"
    if info.get("OSType") == "linux":
        yield f"Init Binary: {info.get('InitBinary', '')}"
        for title, key in (
            ("containerd", "ContainerdCommit"),
            ("runc", "RuncCommit"),
            ("init", "InitCommit"),
        ):
            yield f"{title} version: {(info.get(key) or {}).get('ID', '')}"
        if info.get("SecurityOptions"):
            yield "Security Options:"
            for text in info["SecurityOptions"]:
                yield from _security(text)


def _security(text: str) -> Iterator[str]:
    """``name=seccomp,profile=builtin``."""
    fields = [part.partition("=") for part in text.split(",")]
    for key, _, value in fields:
        if key == "name":
            yield f" {value}"
        elif key == "profile":
            yield f"  Profile: {value}"
        else:
            yield f"  {key}: {value}"


def _host(info: dict[str, Any]) -> Iterator[str]:
    for title, key in (
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
    ):
        yield from _line(info, title, key)
    yield f"CPUs: {info.get('NCPU', 0)}"
    yield f"Total Memory: {human_bytes(info.get('MemTotal', 0))}"
    for title, key in (("Name", "Name"), ("ID", "ID")):
        yield from _line(info, title, key)
    yield f"Docker Root Dir: {info.get('DockerRootDir', '')}"
    yield f"Debug Mode: {str(bool(info.get('Debug'))).lower()}"
    if info.get("Debug"):
        yield f" File Descriptors: {info.get('NFd', 0)}"
        yield f" Goroutines: {info.get('NGoroutines', 0)}"
        yield f" System Time: {info.get('SystemTime', '')}"
        yield f" EventsListeners: {info.get('NEventsListener', 0)}"


def _settings(info: dict[str, Any]) -> Iterator[str]:
    for title, key in (("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy")):
        yield from _line(info, title, key)
    if info.get("Labels"):
        yield "Labels:"
        for label in info["Labels"]:
            yield f" {label}"
    yield f"Experimental: {str(bool(info.get('ExperimentalBuild'))).lower()}"
    registry = info.get("RegistryConfig") or {}
    insecure = [
        n for n, c in sorted((registry.get("IndexConfigs") or {}).items()) if not c.get("Secure", True)
    ]
    if insecure or registry.get("InsecureRegistryCIDRs"):
        yield "Insecure Registries:"
        for name in [*insecure, *(registry.get("InsecureRegistryCIDRs") or ())]:
            yield f" {name}"
    if registry.get("Mirrors"):
        yield "Registry Mirrors:"
        for mirror in registry["Mirrors"]:
            yield f" {mirror}"
    yield f"Live Restore Enabled: {str(bool(info.get('LiveRestoreEnabled'))).lower()}"
    yield from _line(info, "Product License", "ProductLicense")
    if info.get("DefaultAddressPools"):
        yield "Default Address Pools:"
        for pool in info["DefaultAddressPools"]:
            yield f"  Base: {pool['Base']}, Size: {pool['Size']}"
    if firewall := info.get("FirewallBackend"):
        yield f"Firewall Backend: {firewall.get('Driver', '')}"
        for pair in firewall.get("Info") or ():
            yield f" {pair[0]}: {pair[1]}"


INFO = Command(_info, "[OPTIONS]", "Display system-wide information", NONE, (inspect_format(),))
