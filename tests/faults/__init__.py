"""Proof by faults: a daemon that is killed or refused at each of its boundaries, and an auditor that looks
at the machine with its own eyes."""
