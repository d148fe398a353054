"""Warnings about other programs' filters: who gets them, and when they are logged."""

import pytest

from fairway.model.errors import System
from fairway.model.foreign import ForeignFilters, ForeignTable
from fairway.model.request import NetworkRequest
from unit.engine.world import World

DROPS = ForeignFilters(
    (ForeignTable("iptables", (4,), "ip filter", {"FORWARD": "drop"}, {"FORWARD": ()}),), {4: "eth0"}
)
REMEDY = "iptables -I FORWARD -i {0} -j ACCEPT; iptables -I FORWARD -o {0} -j ACCEPT"
PROBLEM = (
    "IPv4: the policy (drop) of chain FORWARD in table ip filter (iptables) stops what leaves and what comes "
    "for published ports. To let it pass: "
)


async def test_each_network_and_all_of_them(world: World) -> None:
    assert await world.engine.system.warnings() == []
    world.kernel.filters = DROPS
    bridge = world.engine.networks.find("bridge")
    assert await world.engine.networks.warnings(bridge) == [PROBLEM + REMEDY.format("docker0")]
    inner, warning = await world.engine.networks.create(NetworkRequest(name="inner", internal=True))
    assert warning == ""
    assert await world.engine.networks.warnings(inner) == []
    assert await world.engine.networks.warnings(world.engine.networks.find("host")) == []
    assert await world.engine.system.warnings() == [f"bridge: {PROBLEM}{REMEDY.format('docker0')}"]
    for name in ("n1", "n2", "n3"):
        made, warning = await world.engine.networks.create(NetworkRequest(name=name))
        assert made.bridge and warning == PROBLEM + REMEDY.format(made.bridge.bridge)
    (text,) = await world.engine.system.warnings()
    assert text.startswith("bridge, n1, n2 and 1 more network (network inspect says what to do): IPv4")


async def test_what_appears_is_logged_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    def told() -> int:
        return capsys.readouterr().out.count("chain FORWARD in table ip filter")

    await world.engine.system.warnings()
    assert told() == 0
    world.kernel.filters = DROPS
    await world.engine.system.warnings()
    assert told() == 1
    await world.engine.system.warnings()
    assert told() == 0
    world.kernel.filters = ForeignFilters()
    await world.engine.system.warnings()
    world.kernel.filters = DROPS
    await world.engine.system.warnings()
    assert told() == 1


async def test_filters_that_cannot_be_read_are_told_and_break_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> ForeignFilters:
        raise System("no iptables-legacy-save")

    monkeypatch.setattr(world.kernel, "foreign_filters", fail)
    text = "cannot look at other programs' packet filters: no iptables-legacy-save"
    assert await world.engine.system.warnings() == [text]
    assert (await world.engine.networks.create(NetworkRequest(name="web")))[1] == text
