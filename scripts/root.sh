#!/usr/bin/env bash
# Says what is missing to run containers here, how to get it, and what works without. Exit 1 if anything is.
set -u
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
  cat >&2 <<TEXT
Fairway makes namespaces, bridges and firewall rules: that needs root.
  How to get it:      sudo make ${1:-demo}
  What still works:   make unit   (the unit tests, on a kernel in memory)
TEXT
  exit 1
fi
exec .venv/bin/python -m fairway.daemon.requirements
