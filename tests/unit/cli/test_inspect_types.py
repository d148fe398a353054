"""Objects as the Go types that templates see."""

from typing import Any

import pytest

from fairway.cli.shapes import decode
from fairway.cli.template import Template

NETWORK: dict[str, Any] = {
    "Name": "web",
    "Id": "abc",
    "Created": "2024-05-01T10:00:00Z",
    "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
    "Labels": {"a": "b"},
}
CONTAINER: dict[str, Any] = {
    "Id": "abc",
    "State": {"Running": True, "Health": {"Status": "healthy"}},
    "Config": {"ExposedPorts": {"80/tcp": {}}},
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "8"}], "81/tcp": None}},
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.ID}} {{.Name}} {{.Created}}", "abc web 2024-05-01 10:00:00 +0000 UTC"),
        ("{{.IPAM.Config}}", "[{172.18.0.0/16  172.18.0.1 map[]}]"),
        ("{{range .IPAM.Config}}{{.Subnet}}|{{.IPRange}}{{end}}", "172.18.0.0/16|"),
        (
            "{{json .IPAM}}",
            '{"Driver":"default","Options":null,"Config":[{"Subnet":"172.18.0.0/16","Gateway":"172.18.0.1"}]}',
        ),
        ('{{index .Labels "zz"}}|{{.Internal}}|{{.Containers}}|{{len .Options}}', "|false|map[]|0"),
        ("{{json .Created}}", '"2024-05-01T10:00:00Z"'),
    ],
)
def test_networks(source: str, text: str) -> None:
    assert Template(source).render(decode("network", NETWORK)) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.State.Health.Status}}{{with .State.Health}}!{{end}}", "healthy!"),
        (
            "{{.NetworkSettings.Ports}} {{.Config.ExposedPorts}}",
            "map[80/tcp:[{:: 8}] 81/tcp:[]] map[80/tcp:{}]",
        ),
        ("{{json .NetworkSettings.Ports}}", '{"80/tcp":[{"HostIp":"::","HostPort":"8"}],"81/tcp":null}'),
        ("{{.SizeRw}} {{.HostConfig}}", "<nil> <nil>"),
        ("{{.NetworkSettings.IPAddress}}|{{.RestartCount}}", "|0"),
    ],
)
def test_containers(source: str, text: str) -> None:
    assert Template(source).render(decode("container", CONTAINER)) == text


def test_absent_health_is_nil() -> None:
    decoded = decode("container", {"State": {}})
    assert Template("{{if .State.Health}}y{{else}}n{{end}} {{.State.Health}}").render(decoded) == "n <nil>"
