"""Fairway: container networking as an engine of its own."""

__version__ = "0.1.0"
