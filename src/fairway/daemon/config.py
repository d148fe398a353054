"""The daemon's configuration: command line and file, merged by dockerd's rules, checked, typed.

A key may be given in one place only; a key that nobody knows, and an option that is not offered, stop the
daemon. The file is JSON (``daemon.json``, dockerd reference).
"""

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fairway.api import gojson
from fairway.daemon import arguments, networking
from fairway.daemon.flags import BY_KEY, BY_NAME, Flag
from fairway.daemon.networking import Networking
from fairway.ipam.subnets import DEFAULT_POOLS
from fairway.model.address import parse_address
from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal
from fairway.model.system import AddressPool

DEFAULT_FILE = "/etc/fairway/daemon.json"
DEFAULT_HOST = "unix:///run/fairway/fairway.sock"
LEVELS = ("debug", "info", "warn", "error", "fatal")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of the daemon. ``notes`` are for the log: options accepted without effect."""

    hosts: tuple[str, ...] = (DEFAULT_HOST,)
    config_file: str = DEFAULT_FILE
    data_root: str = "/var/lib/fairway"
    exec_root: str = "/run/fairway"
    pidfile: str = "/run/fairway.pid"
    log_level: str = "info"
    debug: bool = False
    labels: tuple[str, ...] = ()
    group: str | None = None
    """None: ``fairway`` or ``docker`` if there is such a group, else root."""
    address_pools: tuple[AddressPool, ...] = DEFAULT_POOLS
    shutdown_timeout: int = 15
    tls: bool = False
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    default_runtime: str = ""
    mtu: int = 1500
    networking: Networking = Networking()
    notes: tuple[str, ...] = ()


_FIELDS = {
    "host": "hosts",
    "label": "labels",
    "dns-opt": "dns_options",
    "insecure-registry": "insecure_registries",
    "default-address-pool": "address_pools",
}
"""Fields of ``Config`` whose name is not the flag's."""


def field_of(flag: Flag) -> str:
    """The field of ``Config`` that holds a supported option."""
    if flag.name in networking.FLAGS:
        return "networking"
    return _FIELDS.get(flag.name, flag.name.replace("-", "_"))


def read(words: Sequence[str]) -> Config:
    """From the command line, and the file that it names or the default one if that exists.

    Raises InvalidParameter with dockerd's texts.
    """
    given = arguments.parse(words)
    path = Path(given.get("config-file", [DEFAULT_FILE])[-1])
    explicit = "config-file" in given
    try:
        document = _load(path, explicit)
        values = _from_file(document)
        _check_conflicts(given, values)
    except InvalidParameter as fault:
        raise InvalidParameter(
            f"unable to configure the Docker daemon with file {path}: {fault.message}"
        ) from None
    for name, texts in given.items():
        values[name] = _from_words(BY_NAME[name], texts)
    return _build({**values, "config-file": str(path)})


def _load(path: Path, explicit: bool) -> dict[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        if explicit:
            raise InvalidParameter(f"open {path}: no such file or directory") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"open {path}: {error}") from None
    if not text.strip():
        return {}
    try:
        document = msgspec.json.decode(text.encode())
    except RecursionError:
        raise InvalidParameter("exceeded max depth") from None
    except msgspec.DecodeError as error:
        raise InvalidParameter(gojson.explain(text) or str(error)) from None
    if not isinstance(document, dict):
        raise InvalidParameter("json: cannot unmarshal value into Go value of type map[string]interface {}")
    return document


def _from_file(document: Mapping[str, Any]) -> dict[str, Any]:
    """Values by flag name."""
    unknown = sorted(key for key in document if key not in BY_KEY)
    if unknown:
        raise InvalidParameter(
            f"the following directives don't match any configuration option: {', '.join(unknown)}"
        )
    values = {}
    for key, value in document.items():
        if value is not None:
            values[BY_KEY[key].name] = _checked(BY_KEY[key], key, value)
    return values


def _checked(flag: Flag, key: str, value: Any) -> Any:
    go = {"bool": "bool", "string": "string", "int": "int", "list": "[]string", "map": "map[string]string"}
    python = {"bool": bool, "string": str, "int": int, "list": list, "map": dict}
    fits = isinstance(value, python[flag.kind]) and (flag.kind != "int" or not isinstance(value, bool))
    if key == flag.old_key and isinstance(value, str):
        value, fits = [value], True
    if flag.name == "default-network-opt" and fits:
        fits = all(_is_map_of_texts(each) for each in value.values())
    if flag.kind == "list" and fits and flag.name != "default-address-pool":
        fits = all(isinstance(each, str) for each in value)
    if not fits and flag.standing != "refused":
        raise InvalidParameter(
            f"json: cannot unmarshal into Go struct field Config.{key} of type {go[flag.kind]}"
        )
    if flag.name == "default-address-pool":
        return tuple(_pool_from_file(each) for each in value)
    return tuple(value) if isinstance(value, list) else value


def _is_map_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _pool_from_file(value: Any) -> AddressPool:
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("base"), str)
        or not isinstance(value.get("size"), int)
    ):
        raise InvalidParameter("invalid default address pool: base and size are needed")
    return _pool(value["base"], value["size"])


def _check_conflicts(given: Mapping[str, Sequence[str]], values: Mapping[str, Any]) -> None:
    both = [BY_NAME[name] for name in sorted(set(given) & set(values))]
    conflicts = [
        f"{flag.file_key}: (from flag: {_go(flag, given[flag.name])}, "
        f"from file: {_go_value(values[flag.name])})"
        for flag in both
    ]
    if conflicts:
        raise InvalidParameter(
            "the following directives are specified both as a flag and in the configuration file: "
            + ", ".join(conflicts)
        )


def _go(flag: Flag, texts: Sequence[str]) -> str:
    return f"[{' '.join(texts)}]" if flag.kind in ("list", "map") else texts[-1]


def _go_value(value: Any) -> str:
    """Go's ``%v``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{' '.join(_go_value(each) for each in value)}]"
    if isinstance(value, AddressPool):
        return f"map[base:{value.base} size:{value.size}]"
    return str(value)


def _from_words(flag: Flag, texts: Sequence[str]) -> Any:
    if flag.kind == "bool":
        return arguments.boolean(flag, texts[-1])
    if flag.kind == "int":
        return arguments.integer(flag, texts[-1])
    if flag.name == "default-address-pool":
        return tuple(_pool_from_words(text) for text in texts)
    return tuple(texts) if flag.kind in ("list", "map") else texts[-1]


def _pool_from_words(text: str) -> AddressPool:
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    size = decimal(parts.get("size", ""))
    if set(parts) != {"base", "size"} or size is None:
        raise InvalidParameter(
            f'invalid argument "{text}" for "--default-address-pool" flag: use base=…,size=…'
        )
    return _pool(parts["base"], size)


def _pool(base: str, size: int) -> AddressPool:
    try:
        network = ipaddress.ip_network(base, strict=False)
    except ValueError:
        raise InvalidParameter(f"invalid base pool {base!r}: invalid CIDR address: {base}") from None
    if not network.prefixlen <= size <= network.max_prefixlen:
        raise InvalidParameter(
            f"invalid pools provided: base {base} cannot be cut into subnets of size {size}"
        )
    return AddressPool(base=str(network), size=size)


def _build(values: Mapping[str, Any]) -> Config:
    refused = [BY_NAME[name] for name in sorted(values) if BY_NAME[name].standing == "refused"]
    if refused:
        raise InvalidParameter("\n".join(f"--{flag.name}: {flag.help}" for flag in refused))
    notes = tuple(
        f"--{name}: {BY_NAME[name].help}" for name in sorted(values) if BY_NAME[name].standing == "noted"
    )
    fields = {
        field_of(BY_NAME[name]): value
        for name, value in values.items()
        if BY_NAME[name].standing == "supported"
    }
    fields["networking"] = networking.read(values)
    known = {name: value for name, value in fields.items() if name in Config.__struct_fields__}
    config = Config(**known, notes=notes)
    return _valid(config)


def _valid(config: Config) -> Config:
    """Checks that need the whole. Raises InvalidParameter."""
    if config.log_level not in LEVELS:
        raise InvalidParameter(f"invalid logging level: {config.log_level}")
    for label in config.labels:
        if "=" not in label:
            raise InvalidParameter(f"bad attribute format: {label}")
    for server in config.dns:
        parse_address(server, "DNS address")
    for registry in config.insecure_registries:
        _check_registry(registry)
    if config.default_runtime not in ("", "crun", "runc"):
        raise InvalidParameter(f"specified default runtime '{config.default_runtime}' does not exist")
    if not 68 <= config.mtu <= 65535:
        raise InvalidParameter(f"invalid default MTU: {config.mtu}")
    if config.shutdown_timeout < -1:
        raise InvalidParameter(f"invalid shutdown timeout: {config.shutdown_timeout}")
    _check_tls(config)
    return config


def _check_registry(text: str) -> None:
    """A host, host:port, or a subnet of hosts."""
    try:
        if "/" in text:
            ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidParameter(
            f"insecure registry {text} is not valid: use a host, host:port or a subnet such as 10.0.0.0/8"
        ) from None


def _check_tls(config: Config) -> None:
    secured = config.tls or config.tlsverify
    if secured and not (config.tlscert and config.tlskey):
        raise InvalidParameter("TLS needs --tlscert and --tlskey")
    if config.tlsverify and not config.tlscacert:
        raise InvalidParameter("--tlsverify needs --tlscacert")
    for host in config.hosts:
        scheme, separator, rest = host.partition("://")
        if not separator or scheme not in ("unix", "tcp", "fd"):
            raise InvalidParameter(f"Invalid bind address format: {host}")
        if scheme == "tcp" and not config.tlsverify and not _loopback(rest):
            raise InvalidParameter(
                f"{host}: anybody who reaches this address would be root on this host: "
                "use a loopback address or --tlsverify"
            )


def _loopback(address: str) -> bool:
    name = address.rpartition(":")[0].strip("[]") if ":" in address else address
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
