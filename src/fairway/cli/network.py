"""``network create``, ``connect``, ``disconnect`` and ``rm``.

Each is one request; what Docker's command checks before it asks the daemon is checked here, with its texts.
"""

from __future__ import annotations

from fairway.api.client import ApiError, quote
from fairway.cli.command import ONE, SOME, TWO, Command, Invocation
from fairway.cli.endpoint import endpoint_settings
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.flags import Flag
from fairway.cli.ipam_config import ipam_config
from fairway.cli.kinds import BOOL, INT, LIST, MAP, STRING, STRINGS
from fairway.cli.labels import label_pairs
from fairway.cli.run_kinds import LINKS


def _create(given: Invocation) -> int:
    options = given.options
    config_from = options.text("config-from")
    answer = given.client.post(
        "/networks/create",
        body={
            "Name": given.args[0],
            "Driver": options.text("driver"),
            "Scope": options.text("scope"),
            "EnableIPv4": options.flag("ipv4") if options.given("ipv4") else None,
            "EnableIPv6": options.flag("ipv6") if options.given("ipv6") else None,
            "IPAM": {
                "Driver": options.text("ipam-driver"),
                "Options": options.pairs("ipam-opt"),
                "Config": ipam_config(options),
            },
            "Internal": options.flag("internal"),
            "Attachable": options.flag("attachable"),
            "Ingress": options.flag("ingress"),
            "ConfigOnly": options.flag("config-only"),
            "ConfigFrom": {"Network": config_from} if config_from else None,
            "Options": options.pairs("opt"),
            "Labels": label_pairs(options.items("label")),
        },
    )
    if warning := answer.get("Warning"):
        given.warn(f"WARNING: {warning}")
    given.line(answer["Id"])
    return OK


def _connect(given: Invocation) -> int:
    options = given.options
    settings = endpoint_settings(
        ipv4=options.text("ip"),
        ipv6=options.text("ip6"),
        link_local=options.items("link-local-ip"),
        links=options.items("link"),
        aliases=options.items("alias"),
        driver_options=_driver_options(options.items("driver-opt")),
        gateway_priority=options.number("gw-priority"),
    )
    body = {"Container": given.args[1], "EndpointConfig": settings}
    given.client.request("POST", f"/networks/{quote(given.args[0])}/connect", body=body).read()
    return OK


def _driver_options(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise Exit(FAILED, "invalid key value pair format in driver options")
        found[key.strip().lower()] = value.strip()
    return found


def _disconnect(given: Invocation) -> int:
    body = {"Container": given.args[1], "Force": given.options.flag("force")}
    given.client.request("POST", f"/networks/{quote(given.args[0])}/disconnect", body=body).read()
    return OK


def _rm(given: Invocation) -> int:
    status = OK
    for name in given.args:
        try:
            given.client.request("DELETE", f"/networks/{quote(name)}").read()
        except ApiError as error:
            if error.status == 404 and given.options.flag("force"):
                continue
            given.warn(describe(error))
            status = FAILED
            continue
        given.line(name)
    return status


CREATE = Command(
    _create,
    "[OPTIONS] NETWORK",
    "Create a network",
    ONE,
    (
        Flag("attachable", BOOL, "Enable manual container attachment"),
        Flag("aux-address", MAP, "Auxiliary IPv4 or IPv6 addresses used by Network driver"),
        Flag("config-from", STRING, "The network from which to copy the configuration"),
        Flag("config-only", BOOL, "Create a configuration only network"),
        Flag("driver", STRING, "Driver to manage the Network", short="d", default="bridge"),
        Flag("gateway", STRINGS, "IPv4 or IPv6 Gateway for the master subnet"),
        Flag("ingress", BOOL, "Create swarm routing-mesh network"),
        Flag("internal", BOOL, "Restrict external access to the network"),
        Flag("ip-range", STRINGS, "Allocate container ip from a sub-range"),
        Flag("ipam-driver", STRING, "IP Address Management Driver", default="default"),
        Flag("ipam-opt", MAP, "Set IPAM driver specific options"),
        Flag("ipv4", BOOL, "Enable or disable IPv4 address assignment", default=True),
        Flag("ipv6", BOOL, "Enable or disable IPv6 address assignment"),
        Flag("label", LIST, "Set metadata on a network"),
        Flag("opt", MAP, "Set driver specific options", short="o"),
        Flag("scope", STRING, "Control the network's scope"),
        Flag("subnet", STRINGS, "Subnet in CIDR format that represents a network segment"),
    ),
)

CONNECT = Command(
    _connect,
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    TWO,
    (
        Flag("alias", STRINGS, "Add network-scoped alias for the container"),
        Flag("driver-opt", STRINGS, "driver options for the network"),
        Flag(
            "gw-priority",
            INT,
            "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
        ),
        Flag("ip", STRING, 'IPv4 address (e.g., "172.30.100.104")'),
        Flag("ip6", STRING, 'IPv6 address (e.g., "2001:db8::33")'),
        Flag("link", LINKS, "Add link to another container"),
        Flag("link-local-ip", STRINGS, "Add a link-local address for the container"),
    ),
    complete="networks containers",
)

DISCONNECT = Command(
    _disconnect,
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    TWO,
    (Flag("force", BOOL, "Force the container to disconnect from a network", short="f"),),
    complete="networks containers",
)

RM = Command(
    _rm,
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    SOME,
    (Flag("force", BOOL, "Do not error if the network does not exist", short="f"),),
    complete="networks",
)
