"""Who reaches whom: one world, what the specification says about it, and real packets that find out.

world.py          networks, containers, published ports and links, and the facts that the drivers derive
specification.py  what Docker promises about any packet in that world; knows nothing of rules, sets or chains
cells.py          every source to every destination: the matrix
prober.py         a process in each namespace that listens, sends and tells (standard library only)
probing.py        starts the probers and asks them
"""
