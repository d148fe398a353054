"""The table in the terms of iptables, for those who read ``iptables -nL``: what holds, not how it is stored.

One look-up of ours stands for as many lines as the set has elements. Where a line cannot say what we do, it
says the nearest thing that is true:

    MASQUERADE  ours goes by the bridge that a packet came in by, which POSTROUTING cannot see: its subnet
    spt of a    replies pass because they belong to the connection, not by the line; a packet that only
    link        pretends by its source port does not pass
    DOCKER-USER the administrator's rules are nft rules in ``user_forward`` and are counted, not translated

Lines show the counter of their element. One counter that stands for several lines is marked ``shared``; what
is not counted has None. Counters of networks include both address families.
"""

from fairway.firewall.iptables.text import printed
from fairway.firewall.iptables.translation import tables

__all__ = ["printed", "tables"]
