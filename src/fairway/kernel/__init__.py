"""The only code that touches Linux networking and mounts: it makes facts true, takes them back, reports them.

linux.py      LinuxKernel: the asyncio face, one worker thread behind it
schedule.py   a plan as runs of steps, all-or-nothing                       (pure)
executor.py   which hand takes which run
links.py …    the hands: links, configuration, elements, namespaces, mounts, sysctls, listeners
netlink.py    the netlink wire and the socket; rtnetlink.py its messages     (wire part pure)
dump.py       what the kernel holds, as facts
fake.py       FakeKernel: the same semantics in memory; trace.py: where a packet goes (pure)
"""
