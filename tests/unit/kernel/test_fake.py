"""What only the fake has: injected faults, foreign interfaces, losses."""

import pytest

from fairway.kernel.fake import FakeKernel
from fairway.model.address import Cidr, Mac
from fairway.model.errors import Conflict, Fault, System
from fairway.plan import HOST, Address, Bridge, Element, Step, difference, establish

BRIDGE = Bridge("br-1", Mac("02:00:00:00:00:01"), 1500)
FACTS = (BRIDGE, Address(HOST, "br-1", Cidr("10.1.0.1/16")), Element("bridges", ("br-1",)))


@pytest.mark.parametrize("number", range(3))
async def test_failing_at_any_step_leaves_nothing(number: int) -> None:
    def fail(step: Step) -> Fault | None:
        return System("injected") if step == Step(FACTS[number]) else None

    kernel = FakeKernel(fail=fail)
    with pytest.raises(System, match="injected"):
        await kernel.apply(establish(FACTS))
    assert await kernel.facts() == frozenset()
    kernel.fail = None
    await kernel.apply(establish(FACTS))
    assert await kernel.facts() == set(FACTS)


async def test_foreign_interfaces_are_in_the_way() -> None:
    kernel = FakeKernel(
        foreign={"br-1": [Cidr("10.9.0.4/16"), Cidr("fd00::1/64")], "lo": [Cidr("127.0.0.1/8")]}
    )
    with pytest.raises(Conflict, match="br-1"):
        await kernel.apply(establish(FACTS))
    assert await kernel.occupied() == ["10.9.0.0/16", "fd00::/64"]
    assert await kernel.interfaces() == {"lo": False, "br-1": False}


async def test_a_lost_link_takes_its_addresses_along_and_comes_back() -> None:
    kernel = FakeKernel()
    await kernel.apply(establish(FACTS))
    kernel.lose(BRIDGE)
    assert await kernel.facts() == {FACTS[2]}
    await kernel.apply(difference(FACTS, await kernel.facts()))
    assert await kernel.facts() == set(FACTS)
