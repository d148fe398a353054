"""Links on the default bridge, with packets: what they open when its containers may not talk (icc off)."""

from collections.abc import Iterator

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root
OPTIONS = ("--icc=false", "--ipv6", "--fixed-cidr-v6=fd00:17::/64")
SERVE = "httpd -f -p 80 -h / & httpd -f -p [::]:81 -h / & httpd -f -p 82 -h /"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("links"), *OPTIONS) as host:
        yield host


@pytest.fixture
def host(closed: Host) -> Iterator[Host]:
    """With a target ``db`` that exposes 80 and 81, serves 82 as well, and a linker ``web``."""
    serve(closed)
    closed.ok("docker run -d --name web --link db:store busybox sleep 3600")
    yield closed
    closed.ok("docker ps -aq | xargs -r docker rm -f")


def serve(host: Host) -> None:
    host.ok(f"docker run -d --name db --expose 80-81 busybox sh -c '{SERVE}'")


def addresses(host: Host, name: str) -> tuple[str, str]:
    form = "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.GlobalIPv6Address}}"
    ipv4, ipv6 = host.ok(f"docker inspect -f '{form}' {name}").split()
    return ipv4, ipv6


def reaches(host: Host, source: str, address: str, port: int) -> bool:
    at = f"[{address}]" if ":" in address else address
    command = f"docker exec {source} timeout 1 wget -q -O /dev/null http://{at}:{port}/etc/hosts"
    return host.run(command).returncode == 0


def wait_for_server(host: Host) -> None:
    """All three ports listen."""
    host.ok(
        "for i in $(seq 100); do docker exec db netstat -tln | grep -c ':8[012] ' | grep -q 3 && exit; "
        "done; exit 1"
    )


def test_what_is_exposed_is_open_to_the_linker_only(host: Host) -> None:
    wait_for_server(host)
    host.ok("docker run -d --name other busybox sleep 3600")
    ipv4, ipv6 = addresses(host, "db")
    expected = {("web", ipv4, 80): True, ("web", ipv6, 81): True, ("web", "store", 80): True}
    expected |= {("web", ipv4, 82): False, ("other", ipv4, 80): False, ("other", ipv6, 81): False}
    assert {case: reaches(host, *case) for case in expected} == expected
    assert not reaches(host, "db", addresses(host, "web")[0], 80)


def test_it_follows_the_target_and_outlives_the_daemon(host: Host) -> None:
    host.ok("docker stop -t 0 db; docker run -d --name filler busybox sleep 3600; docker start db")
    wait_for_server(host)
    assert reaches(host, "web", "store", 80)
    host.stop_daemon()
    host.start_daemon(*OPTIONS)
    assert reaches(host, "web", "store", 80)
    assert not reaches(host, "web", "store", 82)


def test_a_target_made_anew_is_not_linked(host: Host) -> None:
    host.ok("docker rm -f db")
    serve(host)
    wait_for_server(host)
    assert not reaches(host, "web", addresses(host, "db")[0], 80)
    assert "store" not in host.ok("docker exec web cat /etc/hosts")


def test_a_link_can_be_removed(host: Host) -> None:
    wait_for_server(host)
    assert host.ok("docker inspect -f '{{.Name}}' web/store /web/store") == "/db\n/db\n"
    assert host.ok("fairway inspect -f '{{.Name}}' web/store /web/store") == "/db\n/db\n"
    assert "db,web/store" in host.ok("docker ps --no-trunc --format '{{.Names}}'").splitlines()
    host.ok("docker rm --link web/store")
    assert not reaches(host, "web", addresses(host, "db")[0], 80)
    assert host.run("docker rm --link web/store").stdout.strip().endswith("No such container: web/store")
