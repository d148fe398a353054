"""The API over TCP: with client certificates only, and not at all in the clear beyond loopback."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import NODE_IP, Host

pytestmark = pytest.mark.root
_COMMANDS = f"""
set -e
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority
for name in server client; do
  openssl req -newkey rsa:2048 -nodes -keyout $name-key.pem -out $name.csr -subj /CN=$name
  printf 'subjectAltName=IP:{NODE_IP},IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' >$name.ext
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 \\
    -extfile $name.ext -out $name.pem
done
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(["bash", "-c", _COMMANDS], cwd=directory, check=True, capture_output=True)
    made = Host(directory)
    try:
        made.start_daemon(
            f"--host=tcp://{NODE_IP}:2376",
            "--host=tcp://127.0.0.1:2376",
            "--tlsverify",
            *(
                f"--tls{kind}={directory}/{file}.pem"
                for kind, file in (("cacert", "ca"), ("cert", "server"), ("key", "server-key"))
            ),
        )
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("client", ["docker", "fairway"])
@pytest.mark.parametrize("address", [NODE_IP, "127.0.0.1"])
def test_with_a_certificate(host: Host, client: str, address: str) -> None:
    files = " ".join(
        f"--tls{kind} {host.directory}/{file}.pem"
        for kind, file in (("cacert", "ca"), ("cert", "client"), ("key", "client-key"))
    )
    listed = host.ok(f"{client} -H tcp://{address}:2376 --tlsverify {files} network ls")
    assert "bridge" in listed


@pytest.mark.parametrize("how", ["", "--cacert ca.pem"])
def test_without_one(host: Host, how: str) -> None:
    scheme = "https" if how else "http"
    done = host.run(f"cd {host.directory}; curl -sS -m 5 {how} {scheme}://{NODE_IP}:2376/_ping")
    assert done.returncode != 0
    assert "OK" not in done.stdout


def test_in_the_clear_only_on_loopback(tmp_path: Path) -> None:
    made = Host(tmp_path)
    try:
        with pytest.raises(AssertionError, match="use a loopback address or --tlsverify"):
            made.start_daemon(f"--host=tcp://{NODE_IP}:2375")
        made.start_daemon("--host=tcp://127.0.0.1:2375")
        assert made.ok("curl -sS http://127.0.0.1:2375/_ping") == "OK"
    finally:
        made.close()
