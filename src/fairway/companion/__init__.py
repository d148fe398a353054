"""What the daemon's companions share: processes that hold sockets and go on while the daemon does not run.

```
 daemon                                              companion (resolver, port holder)
 client: asynchronous, notices its end ─┐
                                        ├─ unix ───▶ control ─▶ what it does, on one epoll loop
 line: blocking, for the kernel worker ─┘  socket
 launch: finds it, or starts it ──────── process ──▶ one per state directory, detached, of our version
```

A package that is a companion brings a module to run, its messages, and what answers them.
"""
