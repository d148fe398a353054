"""The default network follows the options at each start, and other programs' bridges are left alone."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from fairway.engine.settings import DefaultBridge
from fairway.firewall import ruleset
from fairway.kernel.fake import FakeKernel
from fairway.model.address import Address, Cidr
from fairway.model.container import Config, HostConfig
from fairway.model.errors import Fault
from fairway.model.network import EndpointRequest, Network
from fairway.model.request import ContainerRequest, NetworkRequest, PoolRequest
from fairway.plan import HOST, Bridge, Element, Namespace, Route, Veth
from fairway.plan import Address as AddressFact
from unit.engine.world import OBJECTS, World

FOREIGN = {"bridge0": [Cidr("192.168.5.1/24"), Cidr("fe80::1/64"), Cidr("fd05::1/64")]}


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """Not started yet, on a host with a bridge of its administrator's."""
    made = World(kernel=FakeKernel(foreign=FOREIGN, objects=OBJECTS))
    yield made
    await made.engine.close()


async def start(world: World, bridge: DefaultBridge | None = None, **settings: object) -> Network | None:
    """Start, or stop and start again, with these options; the default network then."""
    world.settings = msgspec.structs.replace(
        world.settings, default_bridge=bridge or DefaultBridge(), **settings
    )
    await world.restart()
    return next((n for n in world.engine.networks.all() if n.name == "bridge"), None)


async def on_bridges(world: World) -> dict[str, list[str]]:
    """Bridges of ours, with their addresses."""
    facts = await world.kernel.facts()
    names = [f.name for f in facts if isinstance(f, Bridge)]
    return {
        name: [
            f.address for f in facts if isinstance(f, AddressFact) and (f.namespace, f.link) == (HOST, name)
        ]
        for name in names
    }


async def test_all_options_of_the_bridge(world: World) -> None:
    made = await start(
        world,
        DefaultBridge(
            addresses={4: Cidr("192.168.1.5/24")},
            ranges={4: Cidr("192.168.1.128/25")},
            gateways={4: Address("192.168.1.250")},
            icc=False,
            masquerade=False,
        ),
        mtu=1400,
        host_address=Address("127.0.0.1"),
    )
    assert made
    assert made.options == {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.bridge.enable_ip_masquerade": "false",
        "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
        "com.docker.network.bridge.name": "docker0",
        "com.docker.network.driver.mtu": "1400",
    }
    pool = made.pools[0]
    assert (pool.subnet, pool.gateway, pool.ip_range) == ("192.168.1.0/24", "192.168.1.5", "192.168.1.128/25")
    assert pool.auxiliary == {"DefaultGatewayIPv4": "192.168.1.250"}
    assert await on_bridges(world) == {"docker0": ["192.168.1.5/24"]}
    await world.run("c1")
    assert world.address("c1", "bridge") == "192.168.1.128/24"
    facts = await world.kernel.facts()
    assert [r.gateway for r in facts if isinstance(r, Route)] == ["192.168.1.250"]
    assert not [e for e in facts if isinstance(e, Element) and e.table_object == ruleset.MASQUERADE]


async def test_the_first_container_gets_the_lowest_address(world: World) -> None:
    await start(world, DefaultBridge(addresses={4: Cidr("192.168.1.5/24")}))
    await world.run("c1")
    assert world.address("c1", "bridge") == "192.168.1.1/24"


async def test_a_fixed_range_alone_is_the_subnet(world: World) -> None:
    made = await start(
        world, DefaultBridge(ranges={4: Cidr("10.20.0.0/16"), 6: Cidr("fd20::/64")}, ipv6=True)
    )
    assert made
    assert [(p.subnet, p.gateway) for p in made.pools] == [
        ("10.20.0.0/16", "10.20.0.1"),
        ("fd20::/64", "fd20::1"),
    ]


async def test_ipv6_without_a_subnet_gets_one_of_our_own(world: World) -> None:
    made = await start(world, DefaultBridge(ipv6=True))
    assert made
    assert made.pools[1].subnet.startswith("fd")
    assert (await start(world, DefaultBridge(ipv6=True))) == made
    assert [p.subnet for p in (await start(world) or made).pools] == ["172.17.0.0/16"]


async def test_no_address_of_an_earlier_start_comes_back(world: World) -> None:
    first = await start(world, DefaultBridge(addresses={4: Cidr("172.20.0.9/16")}))
    assert await on_bridges(world) == {"docker0": ["172.20.0.9/16"]}
    second = await start(world)
    assert await on_bridges(world) == {"docker0": ["172.17.0.1/16"]}
    assert first and second and first.id == second.id
    third = await start(world, DefaultBridge(device="bridge0"))
    assert third and third.id == first.id
    assert await on_bridges(world) == {}
    await start(world)
    assert await on_bridges(world) == {"docker0": ["172.17.0.1/16"]}


async def test_a_subnet_that_was_chosen_stays(world: World) -> None:
    await start(world)
    await world.engine.networks.create(NetworkRequest(name="web"))
    world.kernel._foreign["eth9"] = [Cidr("172.17.3.4/24")]
    made = await start(world, mtu=1300)
    assert made and made.pools[0].subnet == "172.17.0.0/16"
    assert world.engine.networks.find("web").pools[0].subnet == "172.18.0.0/16"
    assert world.engine.networks.find("web").bridge.mtu == 1500  # type: ignore[union-attr]


async def test_while_containers_run_the_network_stays(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await start(world)
    await world.run("c1")
    changed = DefaultBridge(addresses={4: Cidr("10.1.0.1/24")})
    assert await start(world, changed) == before
    assert "there are running containers, updated network configuration will not take affect" in (
        capsys.readouterr().out
    )
    assert await start(world, DefaultBridge(enabled=False)) == before
    await world.engine.containers.stop("c1", 0, "")
    after = await start(world, changed)
    assert after and after.pools[0].subnet == "10.1.0.0/24"
    await world.engine.containers.start("c1")
    assert world.address("c1", "bridge") == "10.1.0.2/24"


async def test_it_stays_for_those_who_share_a_network_whose_owner_has_ended(world: World) -> None:
    before = await start(world)
    await world.run("owner")
    await world.run("peer", "container:owner")
    await world.engine.containers.stop("owner", 0, "")
    address = world.address("owner", "bridge")
    for changed in (DefaultBridge(addresses={4: Cidr("10.1.0.1/24")}), DefaultBridge(enabled=False)):
        assert await start(world, changed) == before
        assert world.address("owner", "bridge") == address
    await world.engine.containers.start("owner")
    assert world.address("owner", "bridge") == address


async def test_what_only_seems_to_run_does_not_keep_it(world: World) -> None:
    """After a reboot, or when a process died with the daemon."""
    await start(world)
    await world.run("c1")
    world.runtime.ends.clear()
    after = await start(world, DefaultBridge(addresses={4: Cidr("10.1.0.1/24")}))
    await world.settle()
    assert after and after.pools[0].subnet == "10.1.0.0/24"
    assert world.engine.containers.find("c1").state.status == "exited"
    await world.run("c2")
    assert world.address("c2", "bridge") == "10.1.0.2/24"


async def test_the_administrators_bridge(world: World) -> None:
    made = await start(world, DefaultBridge(device="bridge0", ipv6=True))
    assert made
    assert [(p.subnet, p.gateway) for p in made.pools] == [
        ("192.168.5.0/24", "192.168.5.1"),
        ("fd05::/64", "fd05::1"),
    ]
    assert made.options["com.docker.network.bridge.name"] == "bridge0"
    await world.run("c1")
    assert world.address("c1", "bridge") == "192.168.5.2/24"
    facts = await world.kernel.facts()
    assert not [f for f in facts if isinstance(f, Bridge)]
    assert not [f for f in facts if isinstance(f, AddressFact) and f.link == "bridge0"]
    assert [v.bridge for v in facts if isinstance(v, Veth)] == ["bridge0"]


@pytest.mark.parametrize(
    ("foreign", "bridge", "text"),
    [
        ({}, DefaultBridge(device="br0"), "bridge device with non default name br0 must be created manually"),
        ({"br0": []}, DefaultBridge(device="br0"), "bridge br0 has no IPv4 address: give it one"),
        (
            {"br0": [Cidr("10.0.0.1/24"), Cidr("fe80::1/64")]},
            DefaultBridge(device="br0", ipv6=True),
            "bridge br0 has no IPv6 address: give it one",
        ),
        (
            {"br0": [Cidr("10.0.0.1/24"), Cidr("fd01::1/64")]},
            DefaultBridge(device="br0", ipv6=True, ranges={6: Cidr("fd02::/80")}),
            "fixed-cidr-v6=fd02::/80 is outside any subnet implied by addresses on the user-managed",
        ),
        (
            {},
            DefaultBridge(addresses={4: Cidr("10.0.0.1/24")}, ranges={4: Cidr("10.0.1.0/25")}),
            "invalid ip-range 10.0.1.0/25: it is outside of subnet 10.0.0.0/24",
        ),
        (
            {},
            DefaultBridge(addresses={4: Cidr("10.0.0.1/24")}, gateways={4: Address("10.0.1.1")}),
            "invalid auxiliary address DefaultGatewayIPv4 10.0.1.1: it is outside of subnet 10.0.0.0/24",
        ),
        ({}, DefaultBridge(addresses={4: Cidr("10.0.0.0/24")}), "it is the network address of 10.0.0.0/24"),
    ],
)
async def test_what_stops_the_daemon(
    foreign: dict[str, list[Cidr]], bridge: DefaultBridge, text: str
) -> None:
    world = World(kernel=FakeKernel(foreign=foreign, objects=OBJECTS))
    with pytest.raises(Fault) as caught:
        await start(world, bridge)
    await world.engine.close()
    assert caught.value.message.startswith(
        'Error initializing network controller: error creating default "bridge" network: '
    )
    assert text in caught.value.message


async def test_a_subnet_of_another_network_stops_the_daemon(world: World) -> None:
    await start(world)
    await world.engine.networks.create(
        NetworkRequest(name="web", pools=(PoolRequest(subnet=Cidr("10.1.0.0/16")),))
    )
    with pytest.raises(Fault, match="Pool overlaps with other one on this address space"):
        await start(world, DefaultBridge(addresses={4: Cidr("10.1.2.1/24")}))


async def test_without_default_network_there_is_loopback_only(world: World) -> None:
    await start(world)
    await world.run("c1")
    await world.engine.containers.stop("c1", 0, "")
    assert await start(world, DefaultBridge(enabled=False)) is None
    assert await on_bridges(world) == {}
    await world.engine.containers.start("c1")
    await world.run("c2", request=EndpointRequest())
    for name in ("c1", "c2"):
        container = world.engine.containers.find(name)
        assert container.sandbox
        assert not world.engine.containers.endpoints(container.id)
    facts = await world.kernel.facts()
    assert len([f for f in facts if isinstance(f, Namespace)]) == 2
    assert not [f for f in facts if isinstance(f, Veth)]
    await world.engine.containers.stop("c1", 0, "")
    await world.engine.containers.stop("c2", 0, "")
    await start(world)
    await world.engine.containers.start("c1")
    assert world.address("c1", "bridge") == "172.17.0.2/16"


async def test_forwarding_is_the_administrators(world: World) -> None:
    await start(world, ip_forward=False)
    assert await world.kernel.sysctl(HOST, "net/ipv4/ip_forward") == "0"
    container, warnings = await create(world)
    assert warnings == ["IPv4 forwarding is disabled. Networking will not work."]
    await world.engine.containers.remove(container, volumes=False, force=False, link=False)
    await start(world, ip_forward=True)
    assert await world.kernel.sysctl(HOST, "net/ipv4/ip_forward") == "1"
    assert (await create(world))[1] == []


async def create(world: World) -> tuple[str, list[str]]:
    made, warnings = await world.engine.containers.create(
        ContainerRequest(name="c1", config=Config(image="busybox"), host=HostConfig(network_mode="bridge"))
    )
    return made.id, list(warnings)


@pytest.mark.parametrize("iptables", [True, False])
async def test_loopback_is_only_routed_where_rules_keep_containers_off_it(
    world: World, iptables: bool
) -> None:
    await start(world, iptables=iptables)
    key = "net/ipv4/conf/docker0/route_localnet"
    assert ((HOST, key) in world.kernel._sysctls) is iptables


async def test_options_of_networks_by_default(world: World) -> None:
    await start(
        world,
        default_network_options={
            "bridge": {
                "com.docker.network.driver.mtu": "1234",
                "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
                "com.docker.network.enable_ipv6": "true",
            }
        },
    )
    bridge = world.engine.networks.find("bridge").bridge
    assert bridge and bridge.mtu == 1500
    web, _ = await world.engine.networks.create(
        NetworkRequest(name="web", options={"com.docker.network.driver.mtu": "1400"})
    )
    assert web.bridge and (web.bridge.mtu, web.bridge.host_binding_ipv4) == (1400, "127.0.0.1")
    assert web.ipv6
    assert web.options["com.docker.network.bridge.host_binding_ipv4"] == "127.0.0.1"
    plain, _ = await world.engine.networks.create(NetworkRequest(name="plain", ipv6=False))
    assert not plain.ipv6


@pytest.mark.parametrize(
    ("network", "given", "expected"),
    [
        ("bridge", (), ["192.168.1.5", "fd01::1"]),
        ("none", (), ["192.168.1.5", "fd01::1"]),
        ("web", (), ["192.168.1.5", "fd01::1"]),
        ("inner", (), ["192.168.1.5", "fd01::1"]),
        ("web", ("10.0.0.9", "fd00::9"), ["10.0.0.9", "fd00::9"]),
    ],
)
async def test_what_host_gateway_means(
    world: World, network: str, given: tuple[Address, ...], expected: list[str]
) -> None:
    bridge = DefaultBridge(
        addresses={4: Cidr("192.168.1.5/24"), 6: Cidr("fd01::1/64")},
        gateways={4: Address("192.168.1.250")},
        ipv6=True,
    )
    await start(world, bridge, host_gateways=given)
    await world.engine.networks.create(NetworkRequest(name="web"))
    await world.engine.networks.create(NetworkRequest(name="inner", internal=True))
    container = await world.run("c1", network, extra_hosts=("far:192.0.2.7", "here:host-gateway"))
    lines = [line.split() for line in world.files.texts[container.id, "hosts"].splitlines()]
    assert [address for address, *names in lines if names == ["here"]] == expected
    assert ["192.0.2.7", "far"] in lines
