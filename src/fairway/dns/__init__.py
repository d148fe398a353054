"""The embedded DNS server: what a container reaches at 127.0.0.11.

```
container ─▶ socket in its namespace ─▶ server ─▶ responder ─▶ zone: answer, refuse, or forward
                                          ▲                                        │
daemon ── control: names, zones, sockets ─┘            upstream servers ◀── forward┘
```

``wire``, ``zone``, ``responder`` and ``exchange`` decide and do no I/O. The server is a process of its own,
so that names resolve while the daemon is down; it opens no listening DNS socket itself but is handed them, so
it needs neither namespaces nor privileges beyond reading the host's resolv.conf.
"""
