"""Kernel state as data: facts, and plans that make facts true or take them back.

A *fact* is one thing that can hold in the kernel: a bridge exists, an address is on a link, an element is in
a map. A *step* says that a fact shall hold, or no longer hold; its inverse is the other one. A *plan* is an
ordered tuple of steps. Because the desired state of an object and the actual state of the kernel are both
sets of facts, creating, removing, rolling back and recovering are one mechanism:

    create   = establish(facts)          undo     = plan.inverse()
    remove   = withdraw(facts)           recover  = difference(desired, actual)

Rejected: imperative steps ("run this command"), which need a hand-written inverse each, cannot be compared
with what the kernel holds, and make recovery a second program.
"""

from fairway.plan.counted import Count, Counted
from fairway.plan.facts import (
    GROUP,
    HOST,
    Address,
    Bridge,
    Element,
    Fact,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Overlay,
    Resolver,
    Route,
    Sysctl,
    Veth,
    identity,
)
from fairway.plan.plan import EMPTY, Plan, Step, difference, establish, withdraw
from fairway.plan.words import describe

__all__ = [
    "EMPTY",
    "GROUP",
    "HOST",
    "Address",
    "Bridge",
    "Count",
    "Counted",
    "Element",
    "Fact",
    "Flows",
    "Hairpin",
    "HeldPort",
    "Namespace",
    "Overlay",
    "Plan",
    "Resolver",
    "Route",
    "Step",
    "Sysctl",
    "Veth",
    "describe",
    "difference",
    "establish",
    "identity",
    "withdraw",
]
