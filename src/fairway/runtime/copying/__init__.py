"""Files into and out of containers, as tar archives: ``docker cp``.

    transfer   in the daemon: runs a helper process for each request and streams its input or output
    view       in the helper: gives the process a root of its own, the container's file system
    names      what paths mean: trailing ``/`` and ``/.``, names in the archive
    extract    in the helper: writes an archive's entries
    __main__   the helper itself

The helper is given its own mount namespace, builds the container's file system in it from the mounted root
and the volumes, makes that its root, and only then touches what a container made: there is no outside. So it
is the same for a running and a stopped container. Rejected: ``/proc/PID/root`` of a running one, which shows
``/proc`` as well, whose links lead out, and leaves stopped ones to a second way; a thread of the daemon,
where packing competes with the event loop and cannot be killed.
"""
