"""Which daemon to talk to: ``-H``, ``FAIRWAY_HOST``, ``DOCKER_HOST``, else Fairway's own socket.

TLS follows Docker's rules: ``--tls*`` or ``DOCKER_TLS_VERIFY`` turn it on for ``tcp`` hosts, certificates
come from ``DOCKER_CERT_PATH`` or the configuration directory. ``DOCKER_API_VERSION`` pins the API's
version.
"""

from __future__ import annotations

import os

from fairway.api.client import DEFAULT_HOST, Client, Tls
from fairway.cli.exits import FAILED, Exit
from fairway.cli.flags import Flag, Options
from fairway.cli.kinds import BOOL, LIST, STRING

_CONFIG = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")  # noqa: PTH111 - pathlib costs 4 ms
_CERTS = os.environ.get("DOCKER_CERT_PATH") or _CONFIG
_TLS_FLAGS = ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey")

GLOBAL_FLAGS = (
    Flag("config", STRING, "Location of client config files", default=_CONFIG),
    Flag("debug", BOOL, "Enable debug mode", short="D"),
    Flag("host", LIST, "Daemon socket to connect to", short="H"),
    Flag(
        "log-level",
        STRING,
        'Set the logging level ("debug", "info", "warn", "error", "fatal")',
        short="l",
        default="info",
    ),
    Flag("tls", BOOL, "Use TLS; implied by --tlsverify"),
    Flag("tlscacert", STRING, "Trust certs signed only by this CA", default=f"{_CERTS}/ca.pem"),
    Flag("tlscert", STRING, "Path to TLS certificate file", default=f"{_CERTS}/cert.pem"),
    Flag("tlskey", STRING, "Path to TLS key file", default=f"{_CERTS}/key.pem"),
    Flag("tlsverify", BOOL, "Use TLS and verify the remote"),
    Flag("version", BOOL, "Print version information and quit", short="v"),
)


def connect(options: Options) -> Client:
    """A client for the host chosen; ``Exit`` when the choice makes no sense."""
    hosts = options.items("host")
    if len(hosts) > 1:
        raise Exit(FAILED, "specify only one -H")
    host = hosts[0] if hosts else ""
    host = host or os.environ.get("FAIRWAY_HOST") or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    verify = options.flag("tlsverify") or bool(os.environ.get("DOCKER_TLS_VERIFY"))
    secured = verify or any(options.given(name) for name in _TLS_FLAGS)
    tls = None
    if secured and not host.startswith("unix://"):
        tls = Tls(options.text("tlscacert"), options.text("tlscert"), options.text("tlskey"), verify)
    return Client(_normal(host, tls is not None), tls, os.environ.get("DOCKER_API_VERSION", ""))


def _normal(host: str, secured: bool) -> str:
    """``/path`` and ``host:port`` are taken for what they mean; a missing port is Docker's."""
    if host.startswith("/"):
        return f"unix://{host}"
    if "://" not in host:
        host = f"tcp://{host}"
    kind, _, address = host.partition("://")
    if kind == "tcp" and ":" not in address.rpartition("]")[2]:
        return f"tcp://{address}:{2376 if secured else 2375}"
    return host
