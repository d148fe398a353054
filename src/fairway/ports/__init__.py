"""The port holder: listens on published ports, so that no other process of the host can take them.

```
 client ─▶ host's port ─┬─ kernel (table inet fairway) ────────────▶ container
                        └─ what it does not forward ─▶ port holder ─▶ container
 daemon ── control: hold, release ─────────────────────────┘
```

What arrives here is what the kernel cannot forward, or is not told to: [::1], link-local IPv6 addresses, IPv6
to a container that has only IPv4, everything with ``--iptables=false`` or when somebody flushed the rules.
The container sees the host as its client then.

One process holds all ports and outlives the daemon. Rejected: a process per port, as dockerd has it, which
costs a start and 2 MB or more each; asyncio, see ``companion.loop``.
"""
