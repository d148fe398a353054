"""Network drivers: pure functions from the model to facts.

A driver says what shall hold in the kernel for a network, and for an endpoint of it. It never does anything.
"""

from fairway.drivers.driver import Driver, find

__all__ = ["Driver", "find"]
