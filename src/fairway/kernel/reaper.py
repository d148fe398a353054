"""Links that go: out of sight at once, deleted a moment later in a thread of their own.

Measured (6.18): deleting a veth pair takes 15–20 ms, 50 of them in one send 800 ms, a bridge 37 ms, a whole
group of links 16–40 ms however many; setting a link down 0.25 ms, renaming it 0.17 ms. While veths are being
deleted other requests proceed (the wait is outside the kernel's rtnl lock); for a bridge they wait 30 ms.

So a link that is withdrawn is set down (no packet passes any more), renamed (its name is free at once, and
nobody who looks sees it under its old name) and put into a group, all in one send of 0.5 ms; the reaper then
deletes the group in one message. What is withdrawn before that begins joins the group, up to a limit: with
100 bridges and no limit somebody else waited 600 ms, with four at a time 95 ms. Group numbers start at random
per process: nobody else's links are in them. The links keep Fairway's alias, so that after a crash they are
found and withdrawn again like any other surplus.

Rejected: deleting in the worker (everybody waits); waiting for the dying namespace to take its veths along
(a lingering process or socket keeps it alive, and with it the host's end).
"""

import secrets
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from fairway.kernel.netlink import Channel, absent, failed
from fairway.kernel.rtnetlink import Link, delete_group, set_link
from fairway.kernel.visits import Visits
from fairway.model.errors import System

LIMIT = 4
"""Links per deletion: bounds how long it keeps others from the kernel's rtnl lock."""


class Reaper:
    """Made in the worker thread: its socket is in that thread's namespace."""

    def __init__(self, visits: Visits) -> None:
        self._host = visits.host
        self._channel = Channel()
        self._group = self._first = 1 << 30 | secrets.randbits(28)
        self._members = 0
        self._pool = ThreadPoolExecutor(1, "kernel-reaper")
        self._pool.submit(int)  # its thread is there from now on; later the host may have none left
        self._last: Future[None] | None = None
        self._failures: dict[int, str] = {}
        """By group; tried again with each later deletion, and when somebody waits."""

    def doom(self, links: Sequence[Link]) -> list[str]:
        """Make the links disappear from sight and delete them soon. An error text per link, empty if well."""
        refusals: list[str] = []
        for start in range(0, len(links), LIMIT):
            refusals += self._doom(links[start : start + LIMIT])
        return refusals

    def going(self, link: Link) -> bool:
        """Whether the link is doomed and not deleted yet. May be asked from any thread."""
        return self._first <= link.group <= self._group

    def pending(self) -> bool:
        return self._last is not None and not self._last.done()

    def settle(self) -> None:
        """Wait until everything doomed so far is deleted. Raises System if something could not be."""
        if self._failures and not self.pending():
            self._last = self._pool.submit(self._reap, self._group)
        if self._last is not None:
            self._last.result()
        if self._failures:
            raise System("; ".join(self._failures.values()))

    def close(self) -> None:
        """Finish and stop. Raises System if a deletion failed."""
        try:
            self.settle()
        finally:
            self._pool.shutdown()
            self._channel.close()

    def _doom(self, links: Sequence[Link]) -> list[str]:
        self._choose_group(len(links))
        messages = []
        for link in links:
            # Down first: before Linux 6.2 a link that is up cannot be renamed. The group comes even before
            # that, so that who hears of it knows why (see ``changes``).
            messages.append(set_link(index=link.index, up=False, group=self._group))
            messages.append(set_link(index=link.index, rename=f"gone-{link.index}"))
        answers = self._host.exchange(messages)
        self._last = self._pool.submit(self._reap, self._group)
        pairs = [answers[i : i + 2] for i in range(0, len(answers), 2)]
        refusals = [failed(a for a in pair if not absent(a)) for pair in pairs]
        return [str(r) if r else "" for r in refusals]

    def _choose_group(self, joining: int) -> None:
        """The last group if its deletion has not begun (then it is called off for now) and there is room."""
        if self._members + joining <= LIMIT and self._last is not None and self._last.cancel():
            self._members += joining
        else:
            self._group += 1
            self._members = joining

    def _reap(self, group: int) -> None:
        for each in (*self._failures, group):
            try:
                (answer,) = self._channel.exchange([delete_group(each)])
                failure = str(answer) if answer.code and not absent(answer) else ""
            except OSError as error:
                failure = error.strerror or str(error)
            self._failures.pop(each, None)
            if failure:
                self._failures[each] = f"cannot delete links of group {each:#x}: {failure}"
