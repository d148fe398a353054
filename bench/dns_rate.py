"""Queries per second that one resolver process answers for names that it knows: ``python bench/dns_rate.py``.

The sockets are on this host's loopback (any free port), so no root is needed. The load is ``dns_load``'s.
Also prints what a publication costs for a network of 200 sandboxes, and the resolver's memory.
"""

import asyncio
import socket
import statistics
import tempfile
import time
from pathlib import Path

from dns_load import rate

from fairway.dns.control import ResolverClient, SocketHandover
from fairway.dns.launch import Location
from fairway.model.address import Address
from fairway.model.dns import NetworkNames, Zone

SANDBOXES = 200
SECONDS = 4.0


def table(start: int) -> NetworkNames:
    """A network of 200 containers with three names each."""
    names: dict[str, tuple[Address, ...]] = {}
    for i in range(SANDBOXES):
        addresses = (Address(f"172.18.{start}.{i + 1}"),)
        names |= {f"app-{i}": addresses, f"{i:012x}": addresses, f"alias-{i}": addresses}
    return NetworkNames(id="net", name="net1", names=names)


def listening() -> tuple[socket.socket, socket.socket]:
    """(UDP, TCP) on free ports of the loopback."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    for sock in (udp, tcp):
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
    tcp.listen()
    return udp, tcp


def measure(address: tuple[str, int]) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(address)
        return rate(client, [f"app-{i}" for i in range(SANDBOXES)], SECONDS)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        location = Location(f"{folder}/socket", f"{folder}/state")
        client, handover = ResolverClient(location), SocketHandover(location)
        begin = time.perf_counter()
        await client.start()
        print(f"start            {(time.perf_counter() - begin) * 1000:8.1f} ms")
        try:
            await measure_all(client, handover)
        finally:
            handover.disconnect()
            await client.shutdown()


async def measure_all(client: ResolverClient, handover: SocketHandover) -> None:
    zones = [Zone(sandbox=f"s{i}", networks=("net",)) for i in range(SANDBOXES)]
    await client.publish([table(0)], zones)
    costs = []
    for i in range(50):
        begin = time.perf_counter()
        await client.publish([table(i)], zones[:1])
        costs.append(time.perf_counter() - begin)
    print(f"publish          {statistics.median(costs) * 1000:8.2f} ms (600 names, 200 sandboxes)")
    for sandbox, what in (("s1", "connect and open"), ("s0", "open")):
        udp, tcp = listening()
        address = udp.getsockname()
        begin = time.perf_counter()
        handover.open(sandbox, udp, tcp)
        print(f"{what:16} {(time.perf_counter() - begin) * 1000:8.2f} ms")
    before = cpu_seconds(client.pid)
    measured = await asyncio.to_thread(measure, address)
    share = (cpu_seconds(client.pid) - before) / SECONDS
    print(f"answers          {measured:8.0f} /s, at {share:.0%} of one core")
    status = Path(f"/proc/{client.pid}/status").read_text()
    print(f"memory           {int(status.split('VmRSS:')[1].split()[0]) / 1024:8.1f} MB")


asyncio.run(main())
