"""Options about networks: from the command line or the file to typed values, with dockerd's texts."""

import json
from pathlib import Path
from typing import Any

import pytest

from fairway.daemon import config
from fairway.daemon.flags import BY_NAME
from fairway.daemon.networking import FLAGS, Networking
from fairway.engine.settings import DefaultBridge, Settings
from fairway.model.errors import Fault


def read(tmp_path: Path, document: dict[str, Any], *words: str) -> Networking:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(document))
    return config.read([f"--config-file={path}", *words]).networking


WORDS = (
    *("--bip=192.168.1.5/24", "--bip6=fd00:1::1/64", "--fixed-cidr=192.168.1.128/25"),
    *("--fixed-cidr-v6=fd00:1::80/121", "--default-gateway=192.168.1.9", "--default-gateway-v6=fd00:1::9"),
    *("--icc=false", "--ip=127.0.0.1", "--ip-forward=false", "--ip-masq=false", "--ipv6"),
    *("--host-gateway-ip=10.0.0.1", "--host-gateway-ip=fd00::1"),
    *("--default-network-opt=bridge=com.docker.network.driver.mtu=1234",),
    *("--default-network-opt=bridge=com.docker.network.bridge.enable_icc=false",),
)
DOCUMENT = {
    "bip": "192.168.1.5/24",
    "bip6": "fd00:1::1/64",
    "fixed-cidr": "192.168.1.128/25",
    "fixed-cidr-v6": "fd00:1::80/121",
    "default-gateway": "192.168.1.9",
    "default-gateway-v6": "fd00:1::9",
    "icc": False,
    "ip": "127.0.0.1",
    "ip-forward": False,
    "ip-masq": False,
    "ipv6": True,
    "host-gateway-ips": ["10.0.0.1", "fd00::1"],
    "default-network-opts": {
        "bridge": {
            "com.docker.network.driver.mtu": "1234",
            "com.docker.network.bridge.enable_icc": "false",
        }
    },
}


def test_flags_and_keys_mean_the_same(tmp_path: Path) -> None:
    found = read(tmp_path, {}, *WORDS)
    assert found == read(tmp_path, DOCUMENT)
    assert found == Networking(
        default_bridge=DefaultBridge(
            addresses={4: "192.168.1.5/24", 6: "fd00:1::1/64"},  # type: ignore[dict-item]
            ranges={4: "192.168.1.128/25", 6: "fd00:1::80/121"},  # type: ignore[dict-item]
            gateways={4: "192.168.1.9", 6: "fd00:1::9"},  # type: ignore[dict-item]
            icc=False,
            masquerade=False,
            ipv6=True,
        ),
        host_address="127.0.0.1",  # type: ignore[arg-type]
        host_gateways=("10.0.0.1", "fd00::1"),  # type: ignore[arg-type]
        ip_forward=False,
        default_network_options=DOCUMENT["default-network-opts"],  # type: ignore[arg-type]
    )


def test_nothing_given(tmp_path: Path) -> None:
    assert read(tmp_path, {}) == Networking() == read(tmp_path, {}, "--ip=0.0.0.0")


def test_the_settings_have_a_place_for_each() -> None:
    assert set(Networking.__struct_fields__) <= set(Settings.__struct_fields__)


def test_the_bridge(tmp_path: Path) -> None:
    assert read(tmp_path, {}, "-b", "br0").default_bridge == DefaultBridge(device="br0")
    assert not read(tmp_path, {"bridge": "none"}).default_bridge.enabled


def test_without_iptables_nothing_is_masqueraded(tmp_path: Path) -> None:
    found = read(tmp_path, {"iptables": False, "ip6tables": False})
    assert not (found.iptables or found.ip6tables or found.default_bridge.masquerade)


def test_the_earlier_key_of_host_gateways(tmp_path: Path) -> None:
    assert read(tmp_path, {"host-gateway-ip": "10.0.0.1"}).host_gateways == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["-b", "br0", "--bip=10.0.0.1/24"],
            "You specified -b & --bip, mutually exclusive options. Please specify only one",
        ),
        (
            ["-b", "br0", "--bip6=fd00::1/64"],
            "You specified -b & --bip6, mutually exclusive options. Please specify only one",
        ),
        (
            ["--icc=false", "--iptables=false"],
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. "
            "Please set --icc or --iptables to true",
        ),
        (
            ["--icc=false", "--ip6tables=false", "--ipv6"],
            "You specified --ip6tables=false with --icc=false. ICC=false uses ip6tables to function. "
            "Please set --icc or --ip6tables to true",
        ),
        (["--bip=10.0.0.1"], "parse bip failed: invalid CIDR address: 10.0.0.1"),
        (["--bip=fd00::1/64"], "parse bip failed: invalid CIDR address: fd00::1/64"),
        (["--bip6=fe80::1%x/64"], "parse bip6 failed: invalid CIDR address: fe80::1%x/64"),
        (["--ip=fe80::1%x"], 'invalid argument "fe80::1%x" for "--ip" flag: fe80::1%x is not an ip address'),
        (["--bip6=x"], "parse bip6 failed: invalid CIDR address: x"),
        (["--fixed-cidr=10.0.0.0/33"], "parse fixed-cidr failed: invalid CIDR address: 10.0.0.0/33"),
        (["--ip=localhost"], 'invalid argument "localhost" for "--ip" flag: localhost is not an ip address'),
        (["--default-gateway=fd00::1"], "invalid --default-gateway: fd00::1 is not an IPv4 address"),
        (
            ["--host-gateway-ip=10.0.0.1", "--host-gateway-ip=10.0.0.2"],
            "only one IPv4 and one IPv6 address can be given as --host-gateway-ip",
        ),
        (
            ["--default-network-opt=bridge"],
            "invalid value 'bridge' for map option, should be driver=option=value",
        ),
        (["--default-network-opt=bridge=a=b"], "unknown driver option 'a'"),
        (["--default-network-opt=nosuch=a=b"], 'plugin "nosuch" not found'),
    ],
)
def test_refusals(tmp_path: Path, words: list[str], text: str) -> None:
    with pytest.raises(Fault) as caught:
        read(tmp_path, {}, *words)
    assert text in caught.value.message


def test_options_of_networks_in_the_file_are_objects_of_texts(tmp_path: Path) -> None:
    for wrong in ({"bridge": "x"}, {"bridge": {"com.docker.network.driver.mtu": 1400}}):
        with pytest.raises(Fault, match=r"Go struct field Config\.default-network-opts"):
            read(tmp_path, {"default-network-opts": wrong})


def test_every_flag_is_read_here_or_elsewhere() -> None:
    assert all(BY_NAME[name].standing == "supported" for name in FLAGS)
