"""The drawing of networks in text."""

from typing import Any

import topology


def network(
    name: str, subnet: str = "", members: dict[str, str] | None = None, *, internal: bool = False
) -> dict[str, Any]:
    """As ``GET /networks/{id}`` tells it."""
    pool = {"Subnet": subnet, "Gateway": subnet.replace("0/", "1/").partition("/")[0]}
    return {
        "Name": name,
        "Internal": internal,
        "IPAM": {"Config": [pool] if subnet else []},
        "Containers": {
            str(i): {"Name": who, "IPv4Address": f"{address}/16"}
            for i, (who, address) in enumerate((members or {}).items())
        },
    }


WEB = network("web", "172.18.0.0/16", {"web_container": "172.18.0.2"})
APP = network("app", "172.19.0.0/16", {"app_container": "172.19.0.2", "web_container": "172.19.0.3"})


def test_the_picture_in_the_docstring_is_what_is_drawn() -> None:
    indented = "".join(f"    {line}".rstrip() + "\n" for line in topology.draw([WEB, APP]).splitlines())
    assert indented in (topology.__doc__ or "")


def test_a_line_passes_networks_that_it_is_not_attached_to() -> None:
    apart = network("app", "172.19.0.0/16", {"app_container": "172.19.0.2"})
    assert topology.draw([WEB, apart]).splitlines()[5] == ("web_container ───│────────────────●─ 172.18.0.2")


def test_order_does_not_matter() -> None:
    assert topology.draw([APP, WEB]) == topology.draw([WEB, APP])


def test_without_networks_there_is_nothing_to_draw() -> None:
    assert topology.draw([]) == ""


def test_networks_without_addresses_are_left_out() -> None:
    none = network("none", members={"lonely": ""})
    assert topology.draw([none]) == ""
    assert topology.draw([none, WEB]) == topology.draw([WEB])


def test_only_internal_networks_lead_nowhere() -> None:
    inside = network("inside", "10.0.0.0/24", {"c": "10.0.0.2"}, internal=True)
    assert "outside" not in topology.draw([inside])
    assert "outside" in topology.draw([inside, WEB])
    assert "●═ 10.0.0.1" in topology.draw([inside])


def test_an_empty_network_has_the_host_only() -> None:
    assert topology.draw([network("web", "172.18.0.0/16")]) == (
        "       web\n       172.18.0.0/16\n       │\nhost ══●═ 172.18.0.1 ═▶ outside\n"
    ).replace("       ", "        ").replace("══●", "═══●")


def test_two_subnets_stand_below_each_other_and_the_first_gateway_counts() -> None:
    both = network("dual", "10.0.0.0/24", {"c": "10.0.0.2"})
    both["IPAM"]["Config"].append({"Subnet": "fd00::/64", "Gateway": "fd00::1"})
    lines = topology.draw([both]).splitlines()
    assert [line.strip() for line in lines[:3]] == ["dual", "10.0.0.0/24", "fd00::/64"]
    assert lines[-1].endswith("10.0.0.1 ═▶ outside")


def test_an_ipv6_only_member_is_shown_with_its_address() -> None:
    six = network("six", "fd00::/64")
    six["IPAM"]["Config"] = [{"Subnet": "fd00::/64", "Gateway": "fd00::1/64"}]
    six["Containers"] = {"1": {"Name": "c", "IPv4Address": "", "IPv6Address": "fd00::2/64"}}
    assert "c ──────●─ fd00::2" in topology.draw([six])


def test_many_networks_line_up() -> None:
    many = [network(f"n{i}", f"10.{i}.0.0/16", {"c": f"10.{i}.0.2"}) for i in range(9)]
    lines = topology.draw(many).splitlines()
    across, host = next(x for x in lines if x.startswith("c ")), lines[-1]
    places = [i for i, mark in enumerate(across) if mark == "●"]
    assert len(places) == 9
    assert places == [i for i, mark in enumerate(host) if mark == "●"]
    assert not any(line.endswith(" ") for line in lines)
