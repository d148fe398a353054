"""Connections go on being translated while the main table is away: a second table that nobody can flush.

With the table ``inet fairway`` go its hooks for address translation, and without any hook the kernel does not
translate established connections either: their packets reach the host itself, whose port holder resets them.
So a table of its own holds those hooks, empty, and connection tracking for both families:

    table inet fairway_nat { flags owner,persist
        chain prerouting  { type nat hook prerouting priority dstnat; ct state }
        chain input       { type nat hook input priority 100; }
        chain output      { type nat hook output priority -100; }
        chain postrouting { type nat hook postrouting priority srcnat; } }

An owned table is its socket's: others list it, but ``nft flush ruleset`` leaves it. The socket is given to
the port holder, which lives through a restart of the daemon and needs to know nothing of nftables. The main
table has no owner: administrators write to its user chains.

    daemon gone       nothing changes
    main table gone   established connections go on; new ones reach the port holder, or leave untranslated and
                      are forgotten once the elements are back, so that the next packet begins them anew
    port holder gone  the table stays, but has no owner until the next port is held, or ``install``

A packet of an established connection meets no rule more: chains of this kind see the first one only.

Rejected: an owner flag on the main table; a copy of the main table; an owned table that does not persist
(Linux 5.12 to 6.8): about a table with a single flag, libnftables writes JSON that is none (1.0.6), and what
other programs read would break.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator

from fairway.kernel import nfnetlink as nf
from fairway.kernel.holding import PortHolder
from fairway.kernel.netlink import (
    NETLINK_NETFILTER,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLMSG_ERROR,
    Answer,
    Channel,
    Message,
    nested,
    packets,
    read_error,
    text,
)
from fairway.model.errors import System

NAME = "fairway_nat"

_OWNER, _PERSIST = 2, 4
_CT_STATE, _REGISTER_1 = 0, 1
_HOOKS = (("prerouting", 0, -100), ("input", 1, 100), ("output", 3, -100), ("postrouting", 4, 100))


class Translation:
    """The table in the namespace of the thread that makes this. Only for that thread."""

    def __init__(self, holder: PortHolder, *, wanted: bool) -> None:
        self._holder = holder
        self._wanted = wanted
        self._channel: Channel | None = None
        self._unknown = False

    def ensure(self) -> bool:
        """Make the table, or own it again, or remove it if there shall be none; whether that was needed.

        Nothing on kernels that do not know how. Raises System.
        """
        if not self._wanted:
            return self.remove()
        if self._unknown:
            return False
        there, owned = self._look()
        if owned:
            return False
        owner = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        with contextlib.ExitStack() as failing:
            failing.callback(owner.close)
            owner.bind((0, 0))
            refusal = _transact(owner, [_DELETE, *_table()] if there else [*_table()])
            self._unknown = refusal.code in (errno.EOPNOTSUPP, errno.EINVAL)
            if self._unknown:
                return False
            if refusal.code:
                raise System(f"cannot make the nftables table inet {NAME}: {refusal}")
            self._holder.keep(owner)
            failing.pop_all()
        return True

    def remove(self) -> bool:
        """Remove the table if it is there; whether it was. Raises System."""
        there, owned = self._look()
        if owned:
            self._holder.keep(None)
        if there:
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as anyone:
                refusal = _transact(anyone, [_DELETE])
            if refusal.code:
                raise System(f"cannot remove the nftables table inet {NAME}: {refusal}")
        return there

    def close(self) -> None:
        """The table stays."""
        if self._channel is not None:
            self._channel.close()

    def _look(self) -> tuple[bool, bool]:
        """Whether the table is there, and whether a socket owns it."""
        if self._channel is None:
            self._channel = Channel(NETLINK_NETFILTER)
        (answer,) = self._channel.exchange([nf.get_table(NAME)])
        return not answer.code, any(nf.NFTA_TABLE_OWNER in nf.parts(body) for body in answer.objects)


def lacks() -> str:
    """Why the kernel cannot make the table, empty if it can. It is made in the thread's namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as owner:
        refusal = _transact(owner, [*_table()])
        return str(refusal) if refusal.code else ""


def _transact(sock: socket.socket, messages: list[Message]) -> Answer:
    """All or none of the messages, as changes that belong to the socket; the first error, if any."""
    parts = [nf.batch(nf.NFNL_MSG_BATCH_BEGIN, 0)]
    parts += [message.encode(number) for number, message in enumerate(messages, 1)]
    parts.append(nf.batch(nf.NFNL_MSG_BATCH_END, len(messages) + 1))
    sock.send(b"".join(parts))
    waiting = len(messages)
    while waiting:
        for kind, flags, _, body in packets(sock.recv(1 << 16)):
            if kind != NLMSG_ERROR:
                continue
            waiting -= 1
            answer = Answer()
            read_error(flags, body, answer)
            if answer.code:
                return answer
    return Answer()


def _table() -> Iterator[Message]:
    new = NLM_F_CREATE | NLM_F_EXCL
    flags = nf.number(nf.NFTA_TABLE_FLAGS, _OWNER | _PERSIST)
    yield nf.message(nf.NFT_MSG_NEWTABLE, new, text(nf.NFTA_TABLE_NAME, NAME) + flags)
    for name, number, priority in _HOOKS:
        place = nf.number(nf.NFTA_HOOK_HOOKNUM, number), nf.number(nf.NFTA_HOOK_PRIORITY, priority)
        body = text(nf.NFTA_CHAIN_TABLE, NAME) + text(nf.NFTA_CHAIN_NAME, name)
        body += nested(nf.NFTA_CHAIN_HOOK, *place) + text(nf.NFTA_CHAIN_TYPE, "nat")
        yield nf.message(nf.NFT_MSG_NEWCHAIN, new, body)
    state = nf.number(nf.NFTA_CT_DREG, _REGISTER_1), nf.number(nf.NFTA_CT_KEY, _CT_STATE)
    expression = text(nf.NFTA_EXPR_NAME, "ct") + nested(nf.NFTA_EXPR_DATA, *state)
    body = text(nf.NFTA_RULE_TABLE, NAME) + text(nf.NFTA_RULE_CHAIN, _HOOKS[0][0])
    body += nested(nf.NFTA_RULE_EXPRESSIONS, nested(nf.NFTA_LIST_ELEM, expression))
    yield nf.message(nf.NFT_MSG_NEWRULE, NLM_F_CREATE, body)


_DELETE = nf.message(nf.NFT_MSG_DELTABLE, 0, text(nf.NFTA_TABLE_NAME, NAME))
