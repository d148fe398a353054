"""The base ruleset: one table, written once at start, changed afterwards only by set and map elements.

A packet's way through ``inet fairway``, however many networks, endpoints and ports exist:

    spoofed     from a bridge of ours to or as 127.0.0.0/8 → drop: loopback services stay out of reach, and
                believe no container, although ``route_localnet`` lets published ports answer on 127.0.0.1
    prerouting  ``user_prerouting`` (the administrator's), then
                to an address of this host, but not its loopback: published there or on all addresses → the
                container's address. A packet from outside to 127.0.0.0/8 is left for the kernel to refuse
    output      likewise for the host's own connections, 127.0.0.0/8 included. [::1] and link-local addresses
                cannot be forwarded and are left to the port holder; not so from internal networks, to which
                the port holder would be a way out
    input       from an internal network to a port that the port holder proxies → drop: it leads outside. So
                does UDP to all hosts (broadcast, multicast): the port holder hears that on every port
    forward     ``user_forward`` (the administrator's), then
                not from an internal network → chain ``routed``
                within one bridge → chain ``within``
                from an internal network → drop
    routed      goes on with a connection to a published port → accept
                between two bridges of ours → chain ``between``
                to an internal network → drop
                goes on with something already allowed → accept
                to a published port → accept
                from a bridge of ours to anywhere else → accept
                to a bridge of ours → drop: an address behind a bridge is not reachable from outside
    between     within one bridge → chain ``within``
                to an internal network → drop
                to a published port, or its answer → accept; else drop: networks are isolated
    within      the network is in ``closed`` (icc off) → accept what is published or linked, answers, and what
                asks for a neighbour's MAC, as ARP does for IPv4; drop the rest. Else accept
    postrouting ``user_postrouting`` (the administrator's), then
                from a container to itself by way of its published port, or routed back into its own network,
                or from the host's loopback → the bridge's address, so that the answer comes back through here
                to a bridge of ours → unchanged: containers see who calls them
                from a network in ``masqueraded`` → the address of the interface it leaves by

Traffic between two ports of one bridge meets this table only where br_netfilter passes it up. ``closed``
needs that, and such a bridge asks for it by itself (``plan.Bridge.filtered``).

That a connection was allowed says nothing about who goes on with it: a container may take another's address,
or that of its peer, and connection tracking does not look at interfaces. So what internal networks send, and
what goes from one network to another, is never accepted for that alone; of the rest, published ports come
first. Measured: a connection from another host costs as much CPU as with "established" first, 75 µs with both
its ends; to ask ``same`` and both directions of ``internal`` of each packet would cost 6 % more.

Sets hold interface names or addresses and are hash sets: a look-up costs the same with one or a thousand
networks. Elements with counters count the packets, or connections where the chain is a NAT chain, that they
decided; those of ``same`` merely what they matched. ``!=`` never counts, so ``within`` and ``forward`` drop
by a second look at ``closed`` and ``internal``. ``accept`` ends this table only; other tables of the host
still decide. Policies are never touched.

Rejected: a rule (or a chain) per network, whose cost grows with each; sets of prefixes with ``flags
interval``, whose updates slow down with size; keying by subnet, which a spoofed source address defeats.
"""

TABLE = "fairway"
FAMILY = "inet"

BRIDGES = "bridges"
"""Bridges of all networks."""
CLOSED = "closed"
"""Bridges whose containers may not talk to each other (enable_icc=false)."""
INTERNAL = "internal"
"""Bridges of internal networks."""
MASQUERADE = "masqueraded"
"""Bridges whose traffic leaves the host under the host's address."""
SAME = "same"
"""Pairs of each bridge with itself: nft cannot compare iifname with oifname."""

LINKED = {4: "linked", 6: "linked6"}
"""What links open in closed networks: source . destination . protocol . port, by address family."""
OWN = {4: "own", 6: "own6"}
"""Pairs of each publishing container's address with itself, by address family."""
PUBLISH = {4: "publish", 6: "publish6"}
"""Published on all addresses of the host: protocol . port → container's address . port, by address family."""
PUBLISH_AT = {4: "publish_at", 6: "publish6_at"}
"""Published on one address of the host: address . protocol . port → container's address . port."""
PROXIED = {4: "proxied", 6: "proxied6"}
"""protocol . port that the port holder serves, because the container has no address of that family."""
PROXIED_AT = {4: "proxied_at", 6: "proxied6_at"}
"""Likewise on one address of the host: address . protocol . port."""

OBJECTS = (
    *(BRIDGES, CLOSED, INTERNAL, MASQUERADE, SAME),
    *(names[k] for names in (LINKED, OWN, PUBLISH, PUBLISH_AT, PROXIED, PROXIED_AT) for k in (4, 6)),
)
"""All sets and maps."""

SPOOFED, ISOLATED, UNPUBLISHED = "spoofed", "isolated", "unpublished"
"""Comments on the rules that count for all networks together."""

USER_CHAINS = ("user_prerouting", "user_forward", "user_postrouting")
"""Left to the administrator: created empty, visited first, never changed."""


def ruleset(*, ipv4: bool = True, ipv6: bool = True) -> str:
    """The table as nft reads it; empty if it shall rule neither family (dockerd ``--iptables``,
    ``--ip6tables``)."""
    if not (ipv4 or ipv6):
        return ""
    skip = "" if ipv4 and ipv6 else f"meta nfproto ipv{6 if ipv4 else 4} accept\n        "
    return f"""
table {FAMILY} {TABLE} {{
    set {BRIDGES} {{ type ifname; }}
    set {CLOSED} {{ type ifname; counter; }}
    set {INTERNAL} {{ type ifname; counter; }}
    set {MASQUERADE} {{ type ifname; counter; }}
    set {SAME} {{ type ifname . ifname; counter; }}
    set {LINKED[4]} {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; counter; }}
    set {LINKED[6]} {{ type ipv6_addr . ipv6_addr . inet_proto . inet_service; counter; }}
    set {OWN[4]} {{ type ipv4_addr . ipv4_addr; counter; }}
    set {OWN[6]} {{ type ipv6_addr . ipv6_addr; counter; }}
    set {PROXIED[4]} {{ type inet_proto . inet_service; }}
    set {PROXIED[6]} {{ type inet_proto . inet_service; }}
    set {PROXIED_AT[4]} {{ type ipv4_addr . inet_proto . inet_service; }}
    set {PROXIED_AT[6]} {{ type ipv6_addr . inet_proto . inet_service; }}
    map {PUBLISH[4]} {{ type inet_proto . inet_service : ipv4_addr . inet_service; counter; }}
    map {PUBLISH[6]} {{ type inet_proto . inet_service : ipv6_addr . inet_service; counter; }}
    map {PUBLISH_AT[4]} {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; counter; }}
    map {PUBLISH_AT[6]} {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; counter; }}

    chain user_prerouting {{
    }}

    chain user_forward {{
    }}

    chain user_postrouting {{
    }}

    chain to_container {{
        dnat ip to ip daddr . meta l4proto . th dport map @{PUBLISH_AT[4]}
        dnat ip to meta l4proto . th dport map @{PUBLISH[4]}
        dnat ip6 to ip6 daddr . meta l4proto . th dport map @{PUBLISH_AT[6]}
        dnat ip6 to meta l4proto . th dport map @{PUBLISH[6]}
    }}

    chain within {{
        iifname != @{CLOSED} accept
        ct state established,related accept
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
        ct status dnat accept
        ip saddr . ip daddr . meta l4proto . th dport @{LINKED[4]} accept
        ip6 saddr . ip6 daddr . meta l4proto . th dport @{LINKED[6]} accept
        iifname @{CLOSED} drop
    }}

    chain routed {{
        ct status dnat ct state established,related accept
        iifname @{BRIDGES} oifname @{BRIDGES} goto between
        oifname @{INTERNAL} drop
        ct state established,related accept
        ct status dnat accept
        iifname @{BRIDGES} accept
        oifname @{BRIDGES} counter drop comment "{UNPUBLISHED}"
    }}

    chain between {{
        iifname . oifname @{SAME} goto within
        oifname @{INTERNAL} drop
        ct status dnat accept
        counter drop comment "{ISOLATED}"
    }}

    chain spoofed {{
        type filter hook prerouting priority raw; policy accept;
        {skip}ip daddr 127.0.0.0/8 iifname @{BRIDGES} goto loopback
        ip saddr 127.0.0.0/8 iifname @{BRIDGES} goto loopback
    }}

    chain loopback {{
        counter drop comment "{SPOOFED}"
    }}

    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        {skip}jump user_prerouting
        ip daddr 127.0.0.0/8 return
        ip6 daddr fe80::/10 iifname != @{INTERNAL} return
        fib daddr type local goto to_container
    }}

    chain output {{
        type nat hook output priority -100; policy accept;
        {skip}ip6 daddr {{ ::1, fe80::/10 }} return
        fib daddr type local goto to_container
    }}

    chain input {{
        type filter hook input priority filter; policy accept;
        {skip}iifname != @{BRIDGES} accept
        ip daddr . meta l4proto . th dport @{PROXIED_AT[4]} iifname @{INTERNAL} drop
        meta nfproto ipv4 meta l4proto . th dport @{PROXIED[4]} iifname @{INTERNAL} drop
        ip6 daddr . meta l4proto . th dport @{PROXIED_AT[6]} iifname @{INTERNAL} drop
        meta nfproto ipv6 meta l4proto . th dport @{PROXIED[6]} iifname @{INTERNAL} drop
        meta l4proto udp fib daddr type {{ broadcast, multicast }} iifname @{INTERNAL} drop
    }}

    chain forward {{
        type filter hook forward priority filter; policy accept;
        {skip}jump user_forward
        iifname != @{INTERNAL} goto routed
        iifname . oifname @{SAME} goto within
        iifname @{INTERNAL} drop
    }}

    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        {skip}jump user_postrouting
        ip saddr . ip daddr @{OWN[4]} masquerade
        ip6 saddr . ip6 daddr @{OWN[6]} masquerade
        iifname . oifname @{SAME} ct status dnat masquerade
        ip saddr 127.0.0.0/8 oifname @{BRIDGES} masquerade
        oifname @{BRIDGES} return
        iifname @{MASQUERADE} masquerade
    }}

}}
"""


RULESET = ruleset()
"""The table for both families."""
