"""The endpoint option for sysctls of one interface: ``net.ipv4.conf.IFNAME.log_martians=1``, comma separated.

``IFNAME`` stands for the interface's name inside; the CLI writes options in lower case. Text as Docker's.
"""

import re
from collections.abc import Iterator, Mapping

from fairway.model.errors import InvalidParameter

OPTION = "com.docker.network.endpoint.sysctls"
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.([a-z]+)\.(?:IFNAME|ifname)\.([a-z0-9_]+)=(.+)")


def interface_sysctls(options: Mapping[str, str], interface: str) -> Iterator[tuple[str, str]]:
    """Keys with slashes (``net/ipv4/conf/eth0/log_martians``) and values. Raises InvalidParameter."""
    for text in options.get(OPTION, "").split(",") if OPTION in options else ():
        found = _SYSCTL.fullmatch(text)
        if not found:
            raise InvalidParameter(
                f"invalid endpoint settings:\nunrecognised network interface sysctl '{text}'; represent "
                "'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        family, group, name, value = found.groups()
        yield f"net/{family}/{group}/{interface}/{name}", value
