"""From the kernel's files to a sample, for both versions of cgroups."""

from fairway.model.usage import BlockCount, InterfaceCount
from fairway.runtime import usage

HOST = usage.Host(cpu_time=100, cpus=2, memory=1 << 30)

DIVIDED = {
    ("cpuacct", "cpuacct.usage"): "5000000000\n",
    ("cpuacct", "cpuacct.usage_percpu"): "3000000000 2000000000 \n",
    ("cpuacct", "cpuacct.stat"): "user 300\nsystem 200\n",
    ("cpu", "cpu.stat"): "nr_periods 5\nnr_throttled 2\nthrottled_time 77\n",
    ("memory", "memory.usage_in_bytes"): "1000\n",
    ("memory", "memory.max_usage_in_bytes"): "2000\n",
    ("memory", "memory.failcnt"): "3\n",
    ("memory", "memory.limit_in_bytes"): "9223372036854771712\n",
    ("memory", "memory.stat"): "cache 10\ntotal_inactive_file 4\n",
    ("blkio", "blkio.throttle.io_service_bytes_recursive"): "8:0 Read 4096\n8:0 Write 1\nTotal 4097\n",
    ("blkio", "blkio.throttle.io_serviced_recursive"): "8:0 Read 1\nTotal 1\n",
    ("pids", "pids.current"): "4\n",
    ("pids", "pids.max"): "max\n",
}
UNIFIED = {
    "cpu.stat": "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 5\nthrottled_usec 7\n",
    "memory.current": "1000\n",
    "memory.max": "67108864\n",
    "memory.events": "low 0\noom 2\n",
    "memory.stat": "anon 5\ninactive_file 4\n",
    "io.stat": "8:0 rbytes=4096 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n",
    "pids.current": "4\n",
    "pids.max": "20\n",
}
BLOCKS = (BlockCount(8, 0, "read", 4096), BlockCount(8, 0, "write", 1))


def test_version_1() -> None:
    found = usage.parse_divided(lambda controller, name: DIVIDED.get((controller, name), ""), HOST)
    assert (found.cpu.total, found.cpu.user, found.cpu.kernel) == (5 * 10**9, 3 * 10**9, 2 * 10**9)
    assert found.cpu.per_cpu == (3 * 10**9, 2 * 10**9)
    assert (found.cpu.periods, found.cpu.throttled_periods, found.cpu.throttled_time) == (5, 2, 77)
    assert (found.cpu.system, found.cpu.online) == (100, 2)
    assert (found.memory.usage, found.memory.peak, found.memory.failures) == (1000, 2000, 3)
    assert found.memory.limit == HOST.memory  # none of its own
    assert found.memory.details == {"cache": 10, "total_inactive_file": 4}
    assert (found.block_bytes, found.block_operations) == (BLOCKS, (BlockCount(8, 0, "read", 1),))
    assert (found.processes, found.process_limit) == (4, 0)


def test_version_2() -> None:
    found = usage.parse_unified(lambda _, name: UNIFIED.get(name, ""), HOST)
    assert (found.cpu.total, found.cpu.user, found.cpu.kernel) == (5_000_000, 3_000_000, 2_000_000)
    assert (found.cpu.per_cpu, found.cpu.throttled_time) == ((), 7000)
    assert (found.memory.usage, found.memory.limit, found.memory.failures) == (1000, 64 << 20, 2)
    assert (found.block_bytes, found.block_operations) == (BLOCKS, None)
    assert (found.processes, found.process_limit) == (4, 20)


def test_a_kernel_that_counts_nothing() -> None:
    for parse in (usage.parse_divided, usage.parse_unified):
        found = parse(lambda controller, name: "", HOST)
        assert (found.cpu.total, found.memory.usage, found.memory.limit) == (0, 0, HOST.memory)


def test_the_host() -> None:
    stat = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n"
    found = usage.parse_host(stat, "MemTotal:        2048 kB\nMemFree:  1 kB\n")
    assert found == usage.Host(cpu_time=36 * 10_000_000, cpus=2, memory=2 << 20)


def test_interfaces() -> None:
    titles = (
        "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|…\n"
    )
    text = f"{titles}    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n eth0:0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    found = usage.parse_interfaces(text)
    assert list(found) == ["lo", "eth0"]
    assert found["lo"] == InterfaceCount(
        rx_bytes=1,
        rx_packets=2,
        rx_errors=3,
        rx_dropped=4,
        tx_bytes=9,
        tx_packets=10,
        tx_errors=11,
        tx_dropped=12,
    )
    assert usage.parse_interfaces("") == {}
