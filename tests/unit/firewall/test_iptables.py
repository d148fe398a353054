"""The table in iptables' notation: golden texts of a host with every kind of network."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from fairway.firewall.iptables import printed, tables
from fairway.firewall.links import opened
from fairway.firewall.networks import elements
from fairway.firewall.publish import published
from fairway.firewall.ruleset import CLOSED, MASQUERADE, PUBLISH, RULESET, SPOOFED
from fairway.model.address import Address, Cidr
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.network import PortMapping
from fairway.plan import Count, Counted, Element

GOLDEN = Path(__file__).parent / "golden"
WEB, PEER = Address("172.17.0.2"), Address("172.17.0.3")
SUBNETS: dict[str, Sequence[Cidr]] = {
    "docker0": [Cidr("172.17.0.0/16")],
    "br-open": [Cidr("172.18.0.0/16"), Cidr("fd00:18::/64")],
    "br-back": [Cidr("172.19.0.0/16")],
}
PORTS = (
    PortMapping(container_port=80, host_port=8080),
    PortMapping(container_port=80, host_port=81, host_address=Address("127.0.0.1")),
    PortMapping(container_port=53, host_port=53, protocol="udp"),
)
FACTS = (
    *elements("docker0", icc=False, internal=False, masquerade=True),
    *elements("br-open", icc=True, internal=False, masquerade=True),
    *elements("br-back", icc=True, internal=True, masquerade=True),
    *published(PORTS, {4: WEB}),
    *published([PortMapping(container_port=80, host_port=80, host_address=Address("::"))], {4: WEB}),
    *published(
        [PortMapping(container_port=80, host_port=82, host_address=Address("::"))],
        {6: Address("fd00:18::2")},
    ),
    *opened(PEER, WEB, [("tcp", 80)]),
)
COUNTS = {
    Element(CLOSED, ("docker0",)): Count(7, 588),
    Element(MASQUERADE, ("docker0",)): Count(3, 180),
    Element(PUBLISH[4], ("tcp", "8080"), f"{WEB} . 80"): Count(2, 120),
}
HOST = Counted(
    installed=True,
    elements={fact: COUNTS.get(fact) for fact in FACTS if isinstance(fact, Element)},
    rules={SPOOFED: Count(1, 60)},
    user={"user_prerouting": 0, "user_forward": 2, "user_postrouting": 0},
)


def show(*, kind: int = 4, **options: object) -> str:
    family = 6 if kind == 6 else 4
    return printed(tables(HOST, SUBNETS, family), family, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["filter", "nat"])
def test_as_commands(table: str) -> None:
    assert show(form="commands", table=table) == (GOLDEN / f"iptables-{table}.txt").read_text()


def test_one_chain_as_a_list() -> None:
    assert show(table="nat", chain="DOCKER") == (
        "Chain DOCKER (2 references)\n"
        "target     prot opt source               destination         \n"
        "DNAT       tcp  --  0.0.0.0/0            127.0.0.1            tcp dpt:81 to:172.17.0.2:80\n"
        "DNAT       tcp  --  0.0.0.0/0            0.0.0.0/0            tcp dpt:8080 to:172.17.0.2:80\n"
        "DNAT       udp  --  0.0.0.0/0            0.0.0.0/0            udp dpt:53 to:172.17.0.2:53\n"
    )


def test_counters() -> None:
    assert show(table="raw", verbose=True) == (
        "Chain PREROUTING (policy ACCEPT)\n"
        " pkts bytes target     prot opt in     out     source               destination         \n"
        "    1    60 DROP       all  --  br-back *       0.0.0.0/0            127.0.0.0/8          "
        "/* shared count */\n"
        "    1    60 DROP       all  --  br-back *       127.0.0.0/8          0.0.0.0/0            "
        "/* shared count */\n"
        "    1    60 DROP       all  --  br-open *       0.0.0.0/0            127.0.0.0/8          "
        "/* shared count */\n"
        "    1    60 DROP       all  --  br-open *       127.0.0.0/8          0.0.0.0/0            "
        "/* shared count */\n"
        "    1    60 DROP       all  --  docker0 *       0.0.0.0/0            127.0.0.0/8          "
        "/* shared count */\n"
        "    1    60 DROP       all  --  docker0 *       127.0.0.0/8          0.0.0.0/0            "
        "/* shared count */\n"
        "\n"
        "Chain OUTPUT (policy ACCEPT)\n"
        " pkts bytes target     prot opt in     out     source               destination         \n"
    )
    shown = show(verbose=True, chain="FORWARD")
    assert "\n    7   588 DROP       all  --  docker0 docker0  0.0.0.0/0            0.0.0.0/0  " in shown
    assert "\n    -     - ACCEPT     all  --  br-open br-open  0.0.0.0/0            0.0.0.0/0  " in shown
    assert "-o docker0 -c 7 588 -j DROP" in show(form="commands", verbose=True, chain="FORWARD")


def test_ipv6_has_its_own_addresses() -> None:
    assert show(kind=6, table="nat", form="commands", chain="DOCKER").splitlines() == [
        "-N DOCKER",
        "-A DOCKER -p tcp -m tcp --dport 82 -j DNAT --to-destination [fd00:18::2]:80",
    ]
    postrouting = show(kind=6, table="nat", form="commands", chain="POSTROUTING")
    assert "-s fd00:18::/64 ! -o br-open -j MASQUERADE" in postrouting
    assert "172." not in postrouting
    assert "RETURN     all  --  ::/0                 ::1   " in show(kind=6, table="nat", chain="OUTPUT")
    link_local = "-A PREROUTING -d fe80::/10 -i br-back -m addrtype --dst-type LOCAL -j DOCKER\n"
    assert link_local in show(kind=6, table="nat", form="commands")
    neighbour = "-i docker0 -o docker0 -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT"
    assert neighbour in show(kind=6, form="commands")
    assert show(kind=6, table="raw", form="commands") == "-P PREROUTING ACCEPT\n-P OUTPUT ACCEPT\n"


def test_every_rule_is_translated() -> None:
    """The rules that the translation was written for: change both together."""
    lines = (line.strip() for line in RULESET.splitlines())
    rules = [line for line in lines if re.search(r"accept$|drop|return|masquerade$|dnat ip|goto|jump", line)]
    assert "".join(f"{rule}\n" for rule in rules) == (GOLDEN / "translated-rules.txt").read_text()


def test_without_the_table_there_are_policies_only() -> None:
    nothing = tables(Counted(), SUBNETS, 4)
    assert printed(nothing, 4) == "\n".join(
        f"Chain {chain} (policy ACCEPT)\ntarget     prot opt source               destination         \n"
        for chain in ("INPUT", "FORWARD", "OUTPUT")
    )
    assert printed(nothing, 4, form="save") == ""


def test_save_holds_the_tables_in_use() -> None:
    saved = show(form="save")
    assert [line for line in saved.splitlines() if line[0] in "*C"] == [
        *("*raw", "COMMIT"),
        *("*nat", "COMMIT"),
        *("*filter", "COMMIT"),
    ]
    assert ":DOCKER - [0:0]\n" in saved
    assert show(form="save", table="mangle").startswith("*mangle\n:PREROUTING ACCEPT [0:0]\n")


def test_what_is_not_there() -> None:
    with pytest.raises(InvalidParameter, match="table 'foo' does not exist"):
        show(table="foo")
    with pytest.raises(NotFound, match="No chain/target/match by that name"):
        show(chain="NOSUCH")
