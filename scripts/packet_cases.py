"""The scenarios of the packet pages: what is asked, and why one might want to know."""

from dataclasses import dataclass

from fairway.kernel.trace import OUTSIDE, Packet, Protocol
from fairway.model.address import Address
from fairway.plan import HOST
from packet_scene import (
    CALLER,
    CLIENT,
    DATABASE,
    FRIEND,
    HIDDEN,
    LEGACY,
    OTHER,
    ROGUE,
    SERVER,
    STRANGER,
    Container,
)

HOST_ADDRESS = {4: Address("192.0.2.10"), 6: Address("2001:db8::10")}
LOOPBACK = {4: Address("127.0.0.1"), 6: Address("::1")}


@dataclass(frozen=True)
class Case:
    title: str
    explanation: str
    packet: Packet
    bridged: bool = False
    """Whether br_netfilter passes frames of all bridges to the rules (``bridge-nf-call-iptables`` is 1)."""
    published: bool = True
    """Whether the containers' ports are still published."""


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    cases: tuple[Case, ...]


def _from_outside(destination: Address, port: int, protocol: Protocol = "tcp") -> Packet:
    caller = CALLER[6 if ":" in destination else 4]
    return Packet(OUTSIDE, destination, protocol, port, caller)


def _from_host(destination: Address, port: int) -> Packet:
    return Packet(HOST, destination, "tcp", port)


def _from(container: Container, destination: Address, port: int, protocol: Protocol = "tcp") -> Packet:
    return Packet(container.name, destination, protocol, port)


PAGES = (
    Page(
        "published-port-from-outside",
        "From outside to a published port",
        (
            Case(
                "A port published on all addresses",
                "`--publish 8080:80`. The container sees the caller's own address.",
                _from_outside(HOST_ADDRESS[4], 8080),
            ),
            Case(
                "The same over IPv6",
                "One `--publish` publishes on both families.",
                _from_outside(HOST_ADDRESS[6], 8080),
            ),
            Case(
                "A port published on one address",
                "`--publish 192.0.2.10:8443:443`. This map is looked up first.",
                _from_outside(HOST_ADDRESS[4], 8443),
            ),
            Case(
                "IPv6 to a container that has only IPv4",
                "No kernel translates between the families: the port holder accepts the connection and makes "
                "another. The container sees its gateway.",
                _from_outside(HOST_ADDRESS[6], 8085),
            ),
            Case(
                "A port that nobody published",
                "It reaches the host, as if there were no containers.",
                _from_outside(HOST_ADDRESS[4], 9999),
            ),
        ),
    ),
    Page(
        "from-the-host",
        "From the host to containers and published ports",
        (
            Case(
                "To a container's own address",
                "Every port, published or not; of internal and closed networks, too.",
                _from_host(HIDDEN.address(), 80),
            ),
            Case(
                "To a published port on an address of the host",
                "The host's own packets pass `output` instead of `prerouting`.",
                _from_host(HOST_ADDRESS[4], 8080),
            ),
        ),
    ),
    Page(
        "published-port-on-127.0.0.1",
        "To a published port on 127.0.0.1",
        (
            Case(
                "From the host",
                "No process copies bytes: the kernel forwards. `route_localnet` of the bridge lets it.",
                _from_host(LOOPBACK[4], 8080),
            ),
            Case(
                "A port published on 127.0.0.1 only",
                "`--publish 127.0.0.1:9090:80`.",
                _from_host(LOOPBACK[4], 9090),
            ),
            Case(
                "That port from outside",
                "Nobody listens on the host's other addresses.",
                _from_outside(HOST_ADDRESS[4], 9090),
            ),
            Case(
                "From a neighbour on the wire that sends to 127.0.0.1",
                "A host may route 127.0.0.0/8 to this one. Nothing is translated, and the kernel refuses it.",
                _from_outside(LOOPBACK[4], 9090),
            ),
        ),
    ),
    Page(
        "published-port-on-ipv6-loopback",
        "To a published port on ::1",
        (
            Case(
                "From the host",
                "Linux has no `route_localnet` for IPv6: the port holder listens there, and connects on.",
                _from_host(LOOPBACK[6], 8080),
            ),
        ),
    ),
    Page(
        "published-port-from-a-container",
        "From a container to a port that another one publishes",
        (
            Case(
                "From another network",
                "Networks are isolated, but publishing opens a port to everybody.",
                _from(OTHER, HOST_ADDRESS[4], 8080),
            ),
            Case(
                "From a neighbour in the same network",
                "It comes back to the bridge from which it came. Its source becomes the bridge's address, or "
                "the answer would go straight to the neighbour, which never asked that address.",
                _from(CLIENT, HOST_ADDRESS[4], 8080),
            ),
            Case(
                "The same where br_netfilter passes bridged frames to the rules",
                "With `net.bridge.bridge-nf-call-iptables=1` the frame is translated inside the bridge and "
                "never routed. The answer passes there as well, so the source can stay.",
                _from(CLIENT, HOST_ADDRESS[4], 8080),
                bridged=True,
            ),
        ),
    ),
    Page(
        "hairpin",
        "From a container to a port that it publishes itself",
        (
            Case(
                "Through the host's address",
                "Its own address would come back as a source that cannot be true.",
                _from(SERVER, HOST_ADDRESS[4], 8080),
            ),
            Case(
                "The same where br_netfilter passes bridged frames to the rules",
                "The bridge has to send the frame back out of the port by which it came: hairpin mode, which "
                "is on for ports of containers that publish.",
                _from(SERVER, HOST_ADDRESS[4], 8080),
                bridged=True,
            ),
            Case("Over IPv6", "Likewise.", _from(SERVER, HOST_ADDRESS[6], 8080)),
        ),
    ),
    Page(
        "isolation",
        "Between containers",
        (
            Case(
                "In the same network",
                "The bridge carries the frame. Of the rules it meets only those for "
                "[frames](README.md#frames-between-containers).",
                _from(CLIENT, SERVER.address(), 80),
            ),
            Case(
                "The same where br_netfilter passes bridged frames to the rules",
                "They let it pass.",
                _from(CLIENT, SERVER.address(), 80),
                bridged=True,
            ),
            Case(
                "In different networks",
                "Whatever the port, published or not.",
                _from(OTHER, SERVER.address(), 80),
            ),
            Case(
                "To the host",
                "A network's gateway is the host. No rule concerns what the host itself offers.",
                _from(CLIENT, Address("172.18.0.1"), 22),
            ),
        ),
    ),
    Page(
        "internal",
        "Internal networks",
        (
            Case(
                "To the outside",
                "`--internal`. The container has no default route.",
                _from(HIDDEN, CALLER[4], 443),
            ),
            Case(
                "To the outside, with a default route of its own",
                "A container that may configure its interfaces gives itself one.",
                _from(ROGUE, CALLER[4], 443),
            ),
            Case(
                "To a port that another network publishes",
                "By way of its gateway, which is an address of the host.",
                _from(HIDDEN, Address("172.20.0.1"), 8080),
            ),
            Case(
                "To one that the port holder proxies",
                "The proxy must not be a way out either.",
                _from(HIDDEN, Address("fd00:20::1"), 8085),
            ),
            Case(
                "To the host",
                "The host stays reachable, in both directions.",
                _from(HIDDEN, Address("172.20.0.1"), 22),
            ),
            Case(
                "From outside, routed by hand to the container's address",
                "",
                _from_outside(HIDDEN.address(), 80),
            ),
        ),
    ),
    Page(
        "icc-off-and-links",
        "Networks without inter-container communication, and links",
        (
            Case(
                "Between two containers",
                "`-o com.docker.network.bridge.enable_icc=false`, or `fairwayd --icc=false` for the default "
                "bridge. The bridge asks for its frames to be passed to the rules.",
                _from(STRANGER, DATABASE.address(), 5432),
            ),
            Case(
                "From a container with a link",
                "A link opens what its target exposes, here 5432/tcp, and nothing else.",
                _from(FRIEND, DATABASE.address(), 5432),
            ),
            Case("The same container, another port", "", _from(FRIEND, DATABASE.address(), 22)),
            Case("A ping through the link", "", _from(FRIEND, DATABASE.address(), 0, "icmp")),
        ),
    ),
    Page(
        "outbound",
        "From a container to the outside",
        (
            Case("Masqueraded", "It leaves with the host's address.", _from(CLIENT, CALLER[4], 443)),
            Case("Over IPv6", "Likewise.", _from(CLIENT, CALLER[6], 443)),
            Case(
                "From a network that is not masqueraded",
                "`-o com.docker.network.bridge.enable_ip_masquerade=false`. Others need a route back.",
                _from(OTHER, CALLER[4], 443),
            ),
        ),
    ),
    Page(
        "direct-routing",
        "From outside, routed straight to a container's address",
        (
            Case(
                "To a port that is not published",
                "A neighbour of the host may route there.",
                _from_outside(CLIENT.address(), 80),
            ),
            Case(
                "To the port behind a published one",
                "What is published is the host's port, not the container's.",
                _from_outside(SERVER.address(), 80),
            ),
            Case("Over IPv6", "Likewise.", _from_outside(SERVER.address(6), 80)),
        ),
    ),
    Page(
        "after-unpublishing",
        "When a port is published no more",
        (
            Case(
                "From outside",
                "The element is gone, and the tracked connections that came through it: what comes now is "
                "the first packet of a connection with the host.",
                _from_outside(HOST_ADDRESS[4], 8080),
                published=False,
            ),
            Case(
                "From a container",
                "",
                _from(LEGACY, HOST_ADDRESS[4], 8080),
                published=False,
            ),
        ),
    ),
)
