"""A load of TCP connections, or of bytes; run in the network namespace that shall be its end.

    python tcp_load.py serve 80 81           port 80 answers one byte and is done, port 81 swallows everything
    python tcp_load.py rate 10.0.0.1 80 2    connections per second, for two seconds
    python tcp_load.py wait 10.0.0.1 80 2    median microseconds of one connection after another
    python tcp_load.py flow 10.0.0.1 81 2    bytes per second on one connection

Several connections are under way at a time, by one epoll loop: on two cores client and server have one each.
"""

import contextlib
import select
import socket
import statistics
import struct
import sys
import time

UNDER_WAY = 32
PATIENCE = 5.0
"""Seconds without any progress that end a load with an error."""
CHUNK = 1 << 18
ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER that resets: nothing stays behind in TIME_WAIT."""


def serve(short: int, long: int) -> None:
    """Until the process is ended."""
    poll = select.epoll()
    listeners = {}
    for port in (short, long):
        listener = socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096
        )
        listener.setblocking(False)
        poll.register(listener, select.EPOLLIN)
        listeners[listener.fileno()] = (listener, port == short)
    open_: dict[int, socket.socket] = {}
    buffer = bytearray(CHUNK)
    print("ready", flush=True)
    while True:
        for number, _ in poll.poll():
            if number in listeners:
                listener, answers = listeners[number]
                connection, _ = listener.accept()
                if answers:
                    with contextlib.suppress(ConnectionError):  # a client whose time was over
                        connection.send(b"!")
                open_[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            try:
                more = open_[number].recv_into(buffer)
            except ConnectionError:
                more = 0
            if not more:
                open_.pop(number).close()


def rate(address: str, port: int, seconds: float) -> float:
    """Connections per second: open, one byte, reset."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    poll = select.epoll()
    open_: dict[int, socket.socket] = {}

    def begin() -> None:
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        connection.connect_ex((address, port))
        open_[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)

    for _ in range(UNDER_WAY):
        begin()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        ready = poll.poll(PATIENCE)
        if not ready:
            raise TimeoutError(f"no connection to {address}:{port} came about for {PATIENCE} s")
        for number, _ in ready:
            connection = open_.pop(number)
            if connection.recv(1) != b"!":
                raise ConnectionError(f"{address}:{port} did not answer")
            connection.close()
            done += 1
            begin()
    return done / (time.perf_counter() - start)


def wait(address: str, port: int, seconds: float) -> float:
    """Median microseconds from opening a connection to its first byte, one at a time."""
    samples = []
    until = time.perf_counter() + seconds
    while (start := time.perf_counter()) < until:
        with socket.create_connection((address, port), PATIENCE) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            if connection.recv(1) != b"!":
                raise ConnectionError(f"{address}:{port} did not answer")
            samples.append(time.perf_counter() - start)
    return statistics.median(samples) * 1e6


def flow(address: str, port: int, seconds: float) -> float:
    """Bytes per second."""
    data, sent = bytes(CHUNK), 0
    with socket.create_connection((address, port), PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            sent += connection.send(data)
        return sent / (time.perf_counter() - start)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), int(sys.argv[3]))
    else:
        load = {"rate": rate, "wait": wait, "flow": flow}[sys.argv[1]]
        print(load(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
