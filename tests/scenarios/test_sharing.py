"""``--network container:`` on a real host: peers keep their network whatever happens to the owner."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("sharing")) as found:
        yield found


def serving(host: Host) -> str:
    """A client of the shop that never ends, and the owner of the network of the server it talks to."""
    host.ok("fairway network create shop")
    host.ok("fairway run -d --name owner --network shop -p 8080:80 busybox sleep 600")
    host.ok("fairway run -d --name server --network container:owner busybox httpd -f -p 80 -h /etc")
    host.ok("fairway run -d --name client --network shop busybox sleep 600")
    return address(host)


def address(host: Host) -> str:
    return host.ok("fairway exec server ip -o -4 addr show eth0").split("inet ")[1].split()[0]


@pytest.fixture
def shop(host: Host) -> Iterator[str]:
    yield serving(host)
    host.ok("fairway rm -f owner server client; fairway network rm shop")


def test_the_owner_stops_and_starts(host: Host, shop: str) -> None:
    host.ok("fairway stop -t 0 owner")
    assert address(host) == shop
    assert host.ok("fairway exec client timeout 5 wget -qO- http://owner/hostname")
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8080/hostname")
    host.ok("fairway start owner")
    assert host.ok("fairway exec owner ip -o -4 addr show eth0").split("inet ")[1].split()[0] == shop
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8080/hostname")
    host.ok("fairway restart -t 0 owner")
    assert host.ok("fairway exec client timeout 5 wget -qO- http://owner/hostname")


def test_the_owner_is_made_anew(host: Host, shop: str) -> None:
    host.ok("fairway rm -f owner")
    assert address(host) == shop
    refused = host.run("curl -sS --max-time 1 http://192.168.56.101:8080/hostname")
    assert refused.returncode != 0, "the removed container's port is free"
    host.ok("fairway run -d --name owner --network shop -p 8081:80 busybox sleep 600")
    assert host.ok("fairway exec owner ip -o -4 addr show eth0").split("inet ")[1].split()[0] == shop
    assert host.ok("fairway exec client timeout 5 wget -qO- http://owner/hostname")
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8081/hostname")
    host.ok("fairway restart -t 0 server")
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8081/hostname")


def test_everybody_ends(host: Host, tmp_path: Path) -> None:
    serving(host)
    host.ok("fairway stop -t 0 owner")
    assert "192" not in host.ok("fairway ps -q")
    host.ok("fairway rm -f server client")
    for _ in range(50):
        if host.run("fairway network rm shop").returncode == 0:
            break
    else:
        raise AssertionError("the stopped owner kept its network although nobody ran in it")
    host.ok("fairway rm owner")


def test_the_new_owner_wants_more_than_the_old_one_had(host: Host, shop: str) -> None:
    """A network that the way out leads through then, and a port; the first attempt fails."""
    host.ok("fairway network create annex")
    host.ok("fairway rm -f owner")
    listener = "busybox nc -l -p 8082 & until grep -q :1F92 /proc/net/tcp*; do :; done; "
    create = "fairway run -d --name owner --network shop --network annex -p 8082:80 -p 81 busybox sleep 600"
    refused = host.run(f"{listener} {create}; code=$?; kill %1; exit $code")
    assert "address already in use" in refused.stdout, refused.stdout
    assert address(host) == shop
    assert "eth1" not in host.ok("fairway exec server ip link")
    host.ok("fairway start owner")
    assert address(host) == shop
    assert "dev eth1" in host.ok("fairway exec server ip route show default")
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8082/hostname")
    host.ok("fairway rm -f owner; fairway network disconnect annex server; fairway network rm annex")


def test_ports_of_an_owner_that_does_not_run(host: Host, shop: str) -> None:
    host.ok("fairway stop -t 0 owner && fairway port add owner 8085:80 && fairway port rm owner 8080:80")
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8085/hostname")
    assert host.run("curl -sS --max-time 1 http://192.168.56.101:8080/hostname").returncode
    host.stop_daemon()
    host.start_daemon()
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8085/hostname")
    host.ok("fairway start owner")
    assert host.ok("curl -sS --max-time 3 http://192.168.56.101:8085/hostname")
    assert host.ok("fairway port owner") == "80/tcp -> 0.0.0.0:8085\n80/tcp -> [::]:8085\n"
