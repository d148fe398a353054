#!/usr/bin/env bash
# Says, to who is not root, why the goal ($1) needs it and what works without. Exit 1 then.
[ "$(id -u)" = 0 ] && exit 0
cat >&2 <<TEXT
Fairway makes namespaces, bridges and firewall rules: that needs root.
  How to get it:      sudo make ${1:-demo}
  What still works:   make unit   (the unit tests, on a kernel in memory)
TEXT
exit 1
