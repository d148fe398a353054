"""Bringing memory, store and kernel together at start: the same code for a first start, a restart, a crash.

Operations that nobody was told about are rolled back; then the kernel is led from what it holds to what the
state wants (``reconciling``). Containers that ended meanwhile are seen to as if they had just ended, and
removals that were cut off are finished.
"""



