"""Which parts of the kernel this host lacks, found by trying them out in a namespace that nobody sees.

Rejected: reading /proc/config.gz or /lib/modules, which often are not there and do not tell what works.
"""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairway.kernel import libc, translation, watch
from fairway.kernel.conntrack import Table
from fairway.kernel.links import BRIDGE_NETFILTER
from fairway.kernel.namespaces import Namespaces
from fairway.kernel.netlink import Channel, Message, failed
from fairway.kernel.nft import Nft, NftError
from fairway.kernel.rtnetlink import new_bridge, new_veth
from fairway.model.address import Mac
from fairway.model.errors import System
from fairway.model.network import SPOOF_GUARD

_MAC = Mac("02:42:00:00:00:01")
_EXPRESSIONS = (
    (
        "address translation in nftables",
        "CONFIG_NFT_NAT, CONFIG_NFT_MASQ and CONFIG_NF_NAT",
        "nft_chain_nat nft_nat nft_masq",
        """chain before { type nat hook prerouting priority dstnat; dnat ip to 192.0.2.1; }
        chain after { type nat hook postrouting priority srcnat; masquerade; }""",
    ),
    (
        "matching connections in nftables",
        "CONFIG_NFT_CT and CONFIG_NF_CONNTRACK",
        "nft_ct",
        "chain middle { type filter hook forward priority filter; ct state established accept; }",
    ),
    (
        "matching the host's addresses in nftables",
        "CONFIG_NFT_FIB_INET",
        "nft_fib_inet",
        "chain first { type filter hook prerouting priority filter; fib daddr type local accept; }",
    ),
)
"""What the rules are made of (see ``firewall/ruleset.py``), each in modules of its own."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A feature that does not work here: what it needs, why it failed, and how to get it.

    Without one that is ``optional``, the daemon still runs; ``feature`` says what is missed then.
    """

    feature: str
    needs: str
    reason: str
    remedy: str
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.feature} does not work ({self.reason}): it needs {self.needs}; {self.remedy}"


def probe(namespaces: Namespaces) -> tuple[Missing, ...]:
    """What is missing of veth, bridge, overlay, nftables and its surroundings. Runs in the worker thread."""
    with namespaces.scratch():
        return tuple(_probe())


def _probe() -> Iterator[Missing]:
    tries: tuple[tuple[str, str, str, Callable[[], str]], ...] = (
        ("bridge", "CONFIG_BRIDGE", "try: modprobe bridge", _bridge),
        ("veth", "CONFIG_VETH", "try: modprobe veth", _veth),
        ("overlay", "CONFIG_OVERLAY_FS", "try: modprobe overlay", _overlay),
        (
            "nftables",
            "CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET and libnftables.so.1",
            "try: modprobe nf_tables; apt-get install libnftables1",
            lambda: _nftables("inet", "set names { type ifname; counter; }"),
        ),
    )
    found = [
        Missing(feature, needs, reason, remedy)
        for feature, needs, remedy, attempt in tries
        if (reason := attempt())
    ]
    yield from found
    if not any(missing.feature == "nftables" for missing in found):
        yield from _expressions()
    yield from _optional()


def _expressions() -> Iterator[Missing]:
    for feature, needs, modules, chains in _EXPRESSIONS:
        if reason := _nftables("inet", chains):
            yield Missing(feature, needs, reason, f"try: modprobe -a {modules}")


def _optional() -> Iterator[Missing]:
    connections = Table()
    try:
        if reason := connections.lacks():
            yield Missing(
                "forgetting the connections of containers that stop or unpublish",
                "CONFIG_NF_CT_NETLINK",
                reason,
                "try: modprobe nf_conntrack_netlink",
                optional=True,
            )
    finally:
        connections.close()
    if reason := translation.lacks():
        yield Missing(
            "keeping connections while somebody flushes nftables",
            "tables that have an owner and persist (Linux 6.9)",
            reason,
            "use a newer kernel",
            optional=True,
        )
    if not watch.hears_everything():
        yield Missing(
            "noticing what others change inside containers' namespaces",
            "CAP_NET_BROADCAST",
            "the daemon was started without it",
            "add it to its capabilities",
            optional=True,
        )
    if not BRIDGE_NETFILTER.exists():
        yield Missing(
            "separating the containers of one network (icc=false)",
            "CONFIG_BRIDGE_NETFILTER",
            f"there is no {BRIDGE_NETFILTER}",
            "try: modprobe br_netfilter",
            optional=True,
        )
    if reason := _nftables("bridge", "chain first { type filter hook prerouting priority dstnat; }"):
        yield Missing(
            f"keeping containers from posing as others of their network (driver option {SPOOF_GUARD})",
            "CONFIG_NF_TABLES_BRIDGE",
            reason,
            "no module adds it, choose a kernel that was built with it",
            optional=True,
        )


def _send(message: Message) -> str:
    channel = Channel()
    try:
        refusal = failed(channel.exchange([message]))
        return str(refusal) if refusal else ""
    finally:
        channel.close()


def _bridge() -> str:
    return _send(new_bridge("probe", _MAC, 0))


def _veth() -> str:
    with Path("/proc/thread-self/ns/net").open() as here:
        message = new_veth(
            "near", _MAC, 1500, master=0, group=0, peer="far", peer_mac=_MAC, namespace=here.fileno()
        )
        return _send(message)


def _overlay() -> str:
    try:
        with open(libc.open_filesystem("overlay"), closefd=True):  # noqa: PTH123 - a descriptor, not a path
            return ""
    except OSError as error:
        if error.errno == errno.ENOSYS:  # before Linux 5.2 only the list of loaded file systems tells
            listed = "overlay" in Path("/proc/filesystems").read_text().split()
            return "" if listed else "not in /proc/filesystems"
        return str(error.strerror)


def _nftables(family: str, content: str) -> str:
    """Why a table of the family cannot have this in it, empty if it can."""
    try:
        context = Nft()
    except System as fault:
        return fault.message
    try:
        context.run(f"table {family} probe {{\n{content}\n}}")
        return ""
    except NftError as error:
        return str(error)
    finally:
        context.close()
