"""Telling the service manager how far we are: sd_notify(3), protocol only."""

import socket
from collections.abc import Mapping


def notify(state: str, environment: Mapping[str, str]) -> bool:
    """Send e.g. ``READY=1``; False without a service manager. A manager that went away is no error."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # the abstract namespace of unix(7)
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return False
    return True
