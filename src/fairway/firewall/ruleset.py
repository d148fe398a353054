"""The base ruleset: one table, written once at start, changed afterwards only by set and map elements.

A packet's way through ``inet fairway``, however many networks exist:

    prerouting  from a bridge of ours to 127.0.0.0/8 → drop: loopback services stay out of reach, although
                ``route_localnet`` lets published ports answer on 127.0.0.1
                to an address of this host: published there or on all addresses → the container's address
    output      likewise, for the host's own connections
    forward     user_forward (the administrator's), then
                a reply to something already allowed → accept
                to a published port → accept
                from a bridge of ours → chain ``from_network``
                to a bridge of ours → drop: an address behind a bridge is not reachable from outside
    from_network
                to the same bridge: drop if the network is in ``closed`` (icc off), else accept
                to another bridge of ours → drop: networks are isolated
                to anywhere else: drop if the network is in ``internal``, else accept
    postrouting from a container to itself by way of its published port, or from the host's loopback
                → the bridge's address, so that the answer comes back through here
                to a bridge of ours → unchanged: containers see who calls them
                from a network in ``masqueraded`` → the address of the interface it leaves by

Traffic between two ports of one bridge only meets this table where br_netfilter passes it up (sysctl
``net/bridge/bridge-nf-call-iptables``); ``closed`` therefore needs it, and the bridge driver asks for it.

Sets hold interface names and are hash sets: a look-up costs the same with one or a thousand networks.
``accept`` ends this table only; other tables of the host still decide. Policies are never touched.

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

PUBLISH = "publish"
"""Published on all addresses of the host: protocol . port → container's address . port."""
PUBLISH_AT = "publish_at"
"""Published on one address of the host: address . protocol . port → container's address . port."""

USER_CHAINS = ("user_forward",)
"""Left to the administrator: created empty, visited first, never changed."""

RULESET = f"""
table {FAMILY} {TABLE} {{
    set {BRIDGES} {{ type ifname; }}
    set {CLOSED} {{ type ifname; }}
    set {INTERNAL} {{ type ifname; }}
    set {MASQUERADE} {{ type ifname; }}
    set {SAME} {{ type ifname . ifname; }}
    map {PUBLISH} {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map {PUBLISH_AT} {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}

    chain user_forward {{
    }}

    chain from_network {{
        iifname . oifname @{SAME} goto within
        oifname @{BRIDGES} drop
        iifname @{INTERNAL} drop
        accept
    }}

    chain within {{
        iifname @{CLOSED} drop
        accept
    }}

    chain spoofed {{
        type filter hook prerouting priority raw; policy accept;
        iifname @{BRIDGES} ip daddr 127.0.0.0/8 drop
    }}

    chain to_container {{
        dnat ip to ip daddr . meta l4proto . th dport map @{PUBLISH_AT}
        dnat ip to meta l4proto . th dport map @{PUBLISH}
    }}

    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local goto to_container
    }}

    chain output {{
        type nat hook output priority -100; policy accept;
        fib daddr type local goto to_container
    }}

    chain forward {{
        type filter hook forward priority filter; policy accept;
        jump user_forward
        ct state established,related accept
        ct status dnat accept
        iifname @{BRIDGES} goto from_network
        oifname @{BRIDGES} drop
    }}

    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        iifname . oifname @{SAME} ct status dnat masquerade
        ip saddr 127.0.0.0/8 oifname @{BRIDGES} masquerade
        oifname @{BRIDGES} return
        iifname @{MASQUERADE} masquerade
    }}

}}
"""
