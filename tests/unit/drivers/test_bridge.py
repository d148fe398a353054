"""The bridge driver's facts, options and routes."""

import re

import pytest

from fairway.drivers import find
from fairway.drivers.bridge import bridge_mac, endpoint_mac, host_mac
from fairway.drivers.routes import default_routes
from fairway.drivers.sysctls import interface_sysctls
from fairway.model.address import Address, Cidr, Mac
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.network import BridgeOptions, Endpoint, EndpointRequest, Network, Pool
from fairway.model.request import NetworkRequest
from fairway.plan import HOST, Bridge, Element, Fact, Flows, Sysctl, Veth
from fairway.plan import Address as AddressFact

ID = "0123456789abcdef" * 4
GUARD = {"guarded", "taken_mac", "taken_ip"}


def objects(facts: tuple[Fact, ...]) -> set[str]:
    """Sets and maps that have elements."""
    return {fact.table_object for fact in facts if isinstance(fact, Element)}


def network(name: str = "web", **changes: object) -> Network:
    fields: dict[str, object] = {
        "id": ID,
        "name": name,
        "driver": "bridge",
        "created": 0,
        "pools": (Pool(subnet=Cidr("172.18.0.0/16"), gateway=Address("172.18.0.1")),),
        "bridge": BridgeOptions(bridge="br-0123456789ab"),
    }
    return Network(**{**fields, **changes})  # type: ignore[arg-type]


def endpoint(**changes: object) -> Endpoint:
    fields: dict[str, object] = {
        "id": "f" * 64,
        "network_id": ID,
        "container_id": "c" * 64,
        "addresses": (Cidr("172.18.0.2/16"),),
        "gateways": (Address("172.18.0.1"),),
        "mac": Mac("02:42:ac:12:00:02"),
        "interface": "eth0",
        "host_interface": "vethfffffff",
    }
    return Endpoint(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_network_is_a_bridge_with_the_gateways_address() -> None:
    facts = find("bridge").network(network())
    assert facts[0] == Bridge("br-0123456789ab", Mac("02:42:01:23:45:67"), 1500)
    assert facts[1] == AddressFact(HOST, "br-0123456789ab", Cidr("172.18.0.1/16"))
    assert Sysctl(HOST, "net/ipv4/ip_forward", "1") in facts
    assert Sysctl(HOST, "net/ipv6/conf/br-0123456789ab/accept_ra", "0") in facts
    assert objects(facts) == {"bridges", "same", "masqueraded", *GUARD}


@pytest.mark.parametrize(
    ("changes", "sets"),
    [
        ({"internal": True}, {"bridges", "same", "internal"}),
        ({"bridge": BridgeOptions(bridge="b", icc=False)}, {"bridges", "same", "closed", "masqueraded"}),
        ({"bridge": BridgeOptions(bridge="b", masquerade=False)}, {"bridges", "same"}),
    ],
)
def test_options_are_set_elements(changes: dict[str, object], sets: set[str]) -> None:
    facts = find("bridge").network(network("web", **changes))
    assert objects(facts) == {*sets, *GUARD}


@pytest.mark.parametrize("icc", [True, False])
def test_closed_networks_need_bridged_frames_to_be_filtered(icc: bool) -> None:
    facts = find("bridge").network(network(bridge=BridgeOptions(bridge="b", icc=icc)))
    assert [f.filtered for f in facts if isinstance(f, Bridge)] == [not icc]


def test_the_administrators_bridge_is_left_alone() -> None:
    facts = find("bridge").network(network(bridge=BridgeOptions(bridge="b", foreign=True)))
    assert not [f for f in facts if isinstance(f, Bridge | AddressFact)]
    assert Sysctl(HOST, "net/ipv4/ip_forward", "1") in facts
    assert objects(facts) == {"bridges", "same", "masqueraded", "guarded", "taken_ip"}
    closed = find("bridge").network(network(bridge=BridgeOptions(bridge="b", foreign=True, icc=False)))
    assert set(closed) - set(facts) == {
        Sysctl(HOST, "net/bridge/bridge-nf-call-iptables", "1"),
        Element("closed", ("b",)),
    }


def test_an_endpoint_is_a_veth_pair() -> None:
    flows, veth, *rest = find("bridge").endpoint(network(), endpoint(), "/run/x/netns/1")
    assert flows == Flows(Address("172.18.0.2"))
    assert veth == Veth(
        "vethfffffff",
        host_mac("f" * 64),
        "br-0123456789ab",
        "/run/x/netns/1",
        "eth0",
        Mac("02:42:ac:12:00:02"),
        1500,
        0x20123456,
    )
    assert rest[:2] == [
        Sysctl("/run/x/netns/1", "net/ipv6/conf/eth0/disable_ipv6", "1"),
        AddressFact("/run/x/netns/1", "eth0", Cidr("172.18.0.2/16")),
    ]
    assert {(e.table_object, e.key) for e in rest[2:] if isinstance(e, Element)} == {
        ("port_mac", ("vethfffffff", "02:42:ac:12:00:02")),
        ("taken_mac", ("538063958", "02:42:ac:12:00:02")),
        ("bound", ("vethfffffff", "02:42:ac:12:00:02", "172.18.0.2")),
        ("port_ip", ("vethfffffff", "172.18.0.2")),
        ("taken_ip", ("538063958", "172.18.0.2")),
    }


def test_a_network_without_the_guard() -> None:
    open_ = network(bridge=BridgeOptions(bridge="b", spoof_guard=False))
    facts = find("bridge").network(open_)
    assert objects(facts) == {"bridges", "same", "masqueraded"}
    facts = find("bridge").endpoint(open_, endpoint(), "/n")
    assert [f.group for f in facts if isinstance(f, Veth)] == [0xFA1]
    assert not [f for f in facts if isinstance(f, Element)]


def test_the_guard_knows_the_addresses_that_the_kernel_gives_itself() -> None:
    """Link-local ones, of endpoints and of the bridge; and those that a user adds."""
    pools = (
        Pool(subnet=Cidr("172.18.0.0/16"), gateway=Address("172.18.0.1")),
        Pool(subnet=Cidr("fd00::/64"), gateway=Address("fd00::1")),
    )
    both = network(ipv6=True, pools=pools)
    one = endpoint(
        addresses=(Cidr("172.18.0.2/16"), Cidr("fd00::2/64")),
        request=EndpointRequest(link_local=(Address("169.254.7.7"),)),
    )
    facts = (*find("bridge").network(both), *find("bridge").endpoint(both, one, "/n"))
    taken = {e.key[1] for e in facts if isinstance(e, Element) and e.table_object.startswith("taken_ip")}
    assert taken == {
        *("172.18.0.1", "172.18.0.2", "169.254.7.7"),
        *("0xfd000000000000000000000000000001", "0xfd000000000000000000000000000002"),
        "0xfe800000000000000000000000000001",
        "0xfe80000000000000004201fffe234567",
        "0xfe800000000000000042acfffe120002",
    }


def test_link_local_addresses_are_added() -> None:
    request = EndpointRequest(link_local=(Address("169.254.7.7"),))
    facts = find("bridge").endpoint(network(), endpoint(request=request), "/n")
    assert AddressFact("/n", "eth0", Cidr("169.254.7.7/16")) in facts


def test_macs() -> None:
    assert bridge_mac(ID) == "02:42:01:23:45:67"
    assert endpoint_mac(endpoint(mac=None)) == "02:42:ac:12:00:02"
    assert (
        endpoint_mac(endpoint(request=EndpointRequest(mac=Mac("02:00:00:00:00:09")))) == "02:00:00:00:00:09"
    )
    first = int(host_mac("ab" * 32)[:2], 16)
    assert first & 0x01 == 0, "multicast"
    assert first & 0x02, "locally administered"
    assert not host_mac("02" * 32).startswith("02:42")


def test_known_options_are_parsed() -> None:
    options = {
        "com.docker.network.bridge.name": "s12br",
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.bridge.enable_ip_masquerade": "0",
        "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
        "com.docker.network.container_iface_prefix": "lan",
        "fairway.spoof_guard": "false",
    }
    parsed = find("bridge").options(NetworkRequest(name="n", options=options), ID)
    assert parsed == BridgeOptions(
        bridge="s12br",
        mtu=1400,
        icc=False,
        masquerade=False,
        host_binding_ipv4=Address("127.0.0.1"),
        interface_prefix="lan",
        spoof_guard=False,
    )


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("com.docker.network.driver.mtu", "67", "68 to 65535"),
        ("com.docker.network.driver.mtu", "big", "68 to 65535"),
        ("com.docker.network.bridge.enable_icc", "maybe", "true or false"),
        ("fairway.spoof_guard", "off", "'off' for fairway.spoof_guard: use true or false"),
        ("com.docker.network.bridge.name", "a" * 16, "1 to 15"),
        ("com.docker.network.bridge.name", "a/b", "1 to 15"),
        ("com.docker.network.bridge.host_binding_ipv4", "1.2.3", "not an IP address"),
        ("com.docker.network.nosuch", "1", "known are: .*bridge.enable_icc"),
    ],
)
def test_bad_options_are_named(key: str, value: str, text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        find("bridge").options(NetworkRequest(name="n", options={key: value}), ID)


def test_unknown_driver() -> None:
    with pytest.raises(NotFound, match='plugin "nosuch" not found'):
        find("nosuch")


def test_default_route_goes_by_priority_then_name() -> None:
    app = network("app", id="1" * 64), endpoint(network_id="1" * 64, interface="eth1")
    web = network("web"), endpoint()
    assert [r.link for r in default_routes([web, app], "/n")] == ["eth1"]
    preferred = web[0], endpoint(request=EndpointRequest(gw_priority=1))
    assert [r.link for r in default_routes([app, preferred], "/n")] == ["eth0"]
    internal = network("app", internal=True), app[1]
    assert [r.link for r in default_routes([web, internal], "/n")] == ["eth0"]
    assert default_routes([(network(internal=True), endpoint(gateways=()))], "/n") == ()


def test_sysctls_of_one_interface() -> None:
    option = "com.docker.network.endpoint.sysctls"
    asked = {option: "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.app_solicit=2"}
    made = endpoint(interface="web0", request=EndpointRequest(driver_options=asked))
    facts = find("bridge").endpoint(network(), made, "/netns/a")
    own = [f for f in facts if isinstance(f, Sysctl) and "disable_ipv6" not in f.key]
    assert own == [
        Sysctl("/netns/a", "net/ipv4/conf/web0/log_martians", "1"),
        Sysctl("/netns/a", "net/ipv6/neigh/web0/app_solicit", "2"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "net.ipv4.conf.eth0.log_martians=1",
        "net.core.conf.IFNAME.x=1",
        "net.ipv4.conf.IFNAME.x",
        "net.ipv4.conf.IFNAME./../all/x=1",
        "kernel.ipv4.conf.IFNAME.x=1",
    ],
)
def test_sysctls_that_are_no_interfaces(text: str) -> None:
    with pytest.raises(InvalidParameter, match=f"unrecognised network interface sysctl '{re.escape(text)}'"):
        tuple(interface_sysctls({"com.docker.network.endpoint.sysctls": text}, "eth0"))
