"""``python -m faults.daemon SOCKET``: starts daemons under test, each a fork of this process.

A fork has all modules loaded, so that a daemon is back in a third of a second: the harness restarts it a
thousand times. What runs in it is ``fairway.daemon.main`` and nothing else, behind ``boundaries``.

    {"start": [words], "log": path, "points": path, "roots": [paths], "limits": {…}}   → its pid
"""

import json
import os
import resource
import signal
import socket
import sys
from typing import Any, NoReturn

from fairway.daemon.main import main
from faults import boundaries
from faults.points import Points


def serve(path: str) -> None:
    """Until the other side closes. Children are nobody's to wait for; the harness watches their pids."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(1)
    connection, _ = listening.accept()
    with connection.makefile("rw") as stream:
        for line in stream:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                for each in (listening, connection):
                    os.close(each.fileno())
                run(order)
            stream.write(f"{pid}\n")
            stream.flush()


def run(order: dict[str, Any]) -> NoReturn:
    """Be the daemon."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(order["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for name, value in order.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    points = Points()
    boundaries.wrap(points, order["roots"])
    points.serve(order["points"])
    code = 1
    try:
        code = main(order["start"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
