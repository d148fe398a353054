"""The only code that touches Linux networking and mounts: it makes facts true, takes them back, reports them.

linux.py      LinuxKernel: the asyncio face, one worker thread behind it
schedule.py   a plan as runs of steps, all or nothing                               (pure)
executor.py   which hand takes which run; the hands are links, configuration (addresses, routes), ruleset,
              conntrack (connections that are forgotten), namespaces, mounts, sysctls, listeners
ruleset.py    the nftables table; fingerprint.py: whether it is whole; elements.py: what is in its sets
translation.py  a second table, which keeps connections translated while the first one is away
watch.py      tells when somebody else changed something; changes.py: what events mean; bpf.py
reaper.py     deletes links a moment later, so that nobody waits for it
netlink.py    the netlink wire and its socket; rtnetlink.py, ctnetlink.py, nfnetlink.py: the messages (pure)
dump.py       what the kernel holds, as facts; features.py: what this host lacks
fake.py       FakeKernel: the same semantics in memory; trace/: where a packet goes (pure)
"""
