"""Netlink sockets by namespace: the host's for good, a sandbox's for the length of one plan.

Opening one inside a namespace costs 0.06 ms; keeping it longer would keep the namespace alive. Link indices
are looked up per plan too, never remembered: names and indices are reused.
"""

import os
from collections.abc import Iterable

from fairway.kernel.namespaces import Namespaces, open_namespace
from fairway.kernel.netlink import Channel, Message
from fairway.kernel.rtnetlink import Link, get_link, read_link
from fairway.plan import HOST


class Visits:
    """Channels into namespaces. Only for the worker thread."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._channels = {HOST: Channel()}
        self.senders = {self.host.number}
        """Port numbers of all sockets so far: in sandboxes mostly the same one."""
        self._files: dict[str, int] = {}

    @property
    def host(self) -> Channel:
        return self._channels[HOST]

    def channel(self, namespace: str) -> Channel:
        """The socket in that namespace. Raises FileNotFoundError when there is no such namespace."""
        if namespace not in self._channels:
            with self._namespaces.inside(namespace):
                self._channels[namespace] = Channel()
            self.senders.add(self._channels[namespace].number)
        return self._channels[namespace]

    def file(self, namespace: str) -> int:
        """A descriptor of the namespace, valid until it is left. Raises FileNotFoundError."""
        if namespace not in self._files:
            self._files[namespace] = open_namespace(namespace)
        return self._files[namespace]

    def links(self, namespace: str, names: Iterable[str]) -> dict[str, Link]:
        """The links of these names that exist, in one exchange. Raises FileNotFoundError."""
        wanted = [name for name in dict.fromkeys(names) if name]
        answers = self.channel(namespace).exchange([get_link(name) for name in wanted])
        found = {}
        for name, answer in zip(wanted, answers, strict=True):
            if answer.objects:
                found[name] = read_link(answer.objects[0])
        return found

    def send(self, namespace: str, message: Message) -> str:
        """One message; the error text, empty on success."""
        (answer,) = self.channel(namespace).exchange([message])
        return str(answer) if answer.code else ""

    def leave(self, namespace: str) -> None:
        """Close what is open in one sandbox: the namespace must be able to die."""
        if namespace != HOST and (channel := self._channels.pop(namespace, None)):
            channel.close()
        if (fd := self._files.pop(namespace, None)) is not None:
            os.close(fd)

    def leave_all(self) -> None:
        """At the end of a plan: leave every sandbox."""
        for namespace in {*self._channels, *self._files} - {HOST}:
            self.leave(namespace)

    def close(self) -> None:
        self.leave_all()
        self.host.close()
