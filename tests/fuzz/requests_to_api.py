"""Requests for a host of tests: the specification's, led to objects that exist and to values that get far.

A body in which everything is random is refused at its first member. So a creation starts from one that
works, and takes over a few members; and some texts are words that mean something somewhere. What would reach
beyond the test's own namespaces (cgroups, host paths, registries) or end only after hours is kept out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from fuzz import specification

Known = Mapping[str, Sequence[str]]
"""Kind of object (``container``, ``network`` …) → names and ids that exist."""

WORDS = (
    "busybox", "busybox:latest", "bridge", "host", "none", "default", "container:fuzz-a", "fuzz-a", "fuzz-b", "fuzz-net",
    "fuzz-vol", "172.30.0.0/16", "172.30.0.1", "172.30.0.300", "fd00:1::/64", "fd00:1::5", "fe80::1%eth0", "0.0.0.0",
    "::", "::ffff:1.2.3.4", "224.0.0.1", "127.0.0.1", "0.0.0.0/0", "::/0", "10.0.0.0/33", "80/tcp", "80", "0/tcp", "65536",
    "8000-8010/tcp", "53/sctp", "80/icmp", "-1", "0", "1", "true", "999999999999999999999", "1e9", "NaN", "\0", "a\0b", "..",
    "../../etc", "/", "//", "/tmp", "/proc", "/proc/self/ns/net", "/sys", "/dev/null", "a" * 300, "a/b", "%", "%2e%2e", "\n",
    "SIGTERM", "KILL", "SIGRTMIN+40", "64", "1000:1000", "nobody", "root:nosuch", "4294967295", "-1:-1", "02:42:ac:11:00:02",
    "ff:ff:ff:ff:ff:ff", "net.ipv4.ip_forward", "net.core.somaxconn", "kernel.msgmax", "size=10m", "size=1000g,uid=x", "rw,exec",
    "com.docker.network.bridge.name", "com.docker.network.driver.mtu", "docker0", "eth0", "lo", "com.docker.network.endpoint.ifname",
    "seccomp=unconfined", "seccomp=[]", "no-new-privileges", "apparmor=x", "label=disable", "ALL", "NET_ADMIN", "CAP_X", "c 1:3 rwm",
    "nofile", "memlock", "{}", "[]", '{"label":{"a":true}}', '{"name":["("]}', '{"until":["1e400s"]}', "sleep", "ctrl-p,ctrl-q", "ctrl-",
    "2024-01-01T00:00:00Z", "0001-01-01T00:00:00", "9223372036854775807", "99999999999h", "all", "pid,comm", "-ef", "x" * 129 + ":y",
    "sha256:" + "a" * 64, "localhost:1/a:b", "on-failure", "always", "private", "volume", "bind", "tmpfs", "image", "local", "journald",
    "ENV a=b", "CMD [", "EXPOSE 99999999", "USER", "LABEL", "NONE", "CMD-SHELL", "CMD", "\ud800".encode("utf-8", "replace").decode(),
)  # fmt: skip

_KINDS = {
    "containers": "container",
    "exec": "exec",
    "networks": "network",
    "images": "image",
    "volumes": "volume",
}
_CONTAINER: dict[str, Any] = {"Image": "busybox", "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL"}
_BODIES: dict[str, dict[str, Any]] = {
    "/containers/create": _CONTAINER,
    "/containers/{id}/exec": {"Cmd": ["true"], "AttachStdout": True},
    "/networks/{id}/connect": {"Container": "fuzz-a"},
    "/networks/{id}/disconnect": {"Container": "fuzz-a"},
}
_OFTEN = (
    *tuple(_BODIES),
    "/networks/create",
    "/volumes/create",
    "/containers/{id}/update",
    "/exec/{id}/start",
)
_UNBOUND = (
    "CgroupParent",
    "Cmd",
    "Entrypoint",
    "StopSignal",
    "StopTimeout",
    "Devices",
    "OomScoreAdj",
    "Privileged",
)
"""Members that are taken from the example that works: they would reach the machine's cgroups, devices or other
processes, run something that does not end, or make a stop wait."""


class Request(NamedTuple):
    method: str
    path: str
    """``{container}`` and its kin stand for one of those that exist when the request is sent."""
    choice: int
    """Which one."""
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Any
    """Anything that is JSON; None: no body."""

    def resolved(self, known: Known) -> str:
        """The path to what exists now."""
        path = self.path
        for kind, names in known.items():
            if names:
                path = path.replace(f"{{{kind}}}", names[self.choice % len(names)])
        return path


def requests(directory: str) -> st.SearchStrategy[Request]:
    """``directory`` is where the host's files that containers ask for lie."""
    operations = specification.operations()
    often = [each for each in operations if each.method == "post" and each.path in _OFTEN]
    supported = [
        each
        for each in operations
        if each.path.split("/")[1] in {*_KINDS, "events", "info", "system", "commit"}
    ]
    choice = st.one_of(st.sampled_from(supported), st.sampled_from(often), st.sampled_from(operations))
    return choice.flatmap(lambda operation: _request(operation, directory))


@st.composite
def _request(draw: st.DrawFn, operation: Any, directory: str) -> Request:
    case = draw(operation.as_strategy())
    kind = _KINDS.get(operation.path.split("/")[1], "")
    path = operation.path
    for name, value in (case.path_parameters or {}).items():
        if kind and draw(st.integers(0, 9)):
            value = f"{{{kind}}}"
        path = path.replace(f"{{{name}}}", str(value))
    query = _query(operation.path, draw(_spiced(dict(case.query or {}))))
    body = case.body if isinstance(case.body, dict) else None
    if body is not None:
        body = draw(_body(operation.path, body, directory))
    choice = draw(st.integers(0, 11))
    return Request(operation.method.upper(), path, choice, query, dict(case.headers or {}), body)


def _query(path: str, query: dict[str, Any]) -> dict[str, Any]:
    if path.endswith(("/stop", "/restart")):
        query |= {"t": 1, "signal": "SIGKILL"}
    if path == "/images/create":  # no registry answers here; one that refuses at once does as well
        query.pop("fromImage", None)
        query |= {"fromSrc": "-"}
    return query


@st.composite
def _body(draw: st.DrawFn, path: str, generated: dict[str, Any], directory: str) -> dict[str, Any]:
    few = _few(draw, draw(_spiced(generated)), 3)
    if isinstance(few.get("HostConfig"), dict):
        few["HostConfig"] = _few(draw, few["HostConfig"], 3)
    return _BODIES.get(path, {}) | _harmless(few, directory)


def _few(draw: st.DrawFn, given: dict[str, Any], most: int) -> dict[str, Any]:
    names = sorted(set(given) - set(_UNBOUND))
    chosen = draw(st.lists(st.sampled_from(names), max_size=most, unique=True)) if names else []
    return {name: given[name] for name in chosen}


def _harmless(body: dict[str, Any], directory: str) -> dict[str, Any]:
    """Host paths lie below ``directory``."""
    host = body.get("HostConfig")
    if isinstance(host, dict):
        if isinstance(host.get("Binds"), list):
            host["Binds"] = [re.sub(r"^/+", f"{directory}/", str(each)) for each in host["Binds"]]
        for mount in host.get("Mounts") or ():
            if isinstance(mount, dict) and str(mount.get("Source") or "").startswith("/"):
                mount["Source"] = f"{directory}/{mount['Source']}"
    return body


@st.composite
def _spiced(draw: st.DrawFn, value: Any) -> Any:
    """The value, where texts (keys of maps included) are now and then words that mean something."""
    if isinstance(value, dict):
        return {key: draw(_spiced(each)) for key, each in value.items()}
    if isinstance(value, list):
        return [draw(_spiced(each)) for each in value[:4]]
    if isinstance(value, str) and draw(st.booleans()):
        return draw(st.sampled_from(WORDS))
    return value
