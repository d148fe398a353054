"""The base ruleset: one table, written once at start, changed afterwards only by set and map elements.

A packet's way through ``inet fairway``, however many networks exist:

    forward     user_forward (the administrator's), then
                a reply to something already allowed → accept
                from a bridge of ours → chain ``from_network``
                to a bridge of ours → drop: an address behind a bridge is not reachable from outside
    from_network
                to the same bridge: drop if the network is in ``closed`` (icc off), else accept
                to another bridge of ours → drop: networks are isolated
                to anywhere else: drop if the network is in ``internal``, else accept
    postrouting to a bridge of ours → unchanged: containers see who calls them
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

USER_CHAINS = ("user_forward",)
"""Left to the administrator: created empty, visited first, never changed."""

RULESET = f"""
table {FAMILY} {TABLE} {{
    set {BRIDGES} {{ type ifname; }}
    set {CLOSED} {{ type ifname; }}
    set {INTERNAL} {{ type ifname; }}
    set {MASQUERADE} {{ type ifname; }}
    set {SAME} {{ type ifname . ifname; }}

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

    chain forward {{
        type filter hook forward priority filter; policy accept;
        jump user_forward
        ct state established,related accept
        iifname @{BRIDGES} goto from_network
        oifname @{BRIDGES} drop
    }}

    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname @{BRIDGES} return
        iifname @{MASQUERADE} masquerade
    }}

}}
"""
