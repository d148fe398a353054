"""What Fairway talks about: networks, endpoints, sandboxes, containers, images, errors. Frozen data.

Addresses are strings in canonical form (``172.17.0.2``, ``fd00::2``), interfaces and subnets carry a
prefix length (``172.17.0.2/16``); they are parsed and normalised once, at the edge. The family follows
from the text, so IPv4 and IPv6 share all code.
"""
