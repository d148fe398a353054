"""Pools and address choice. Pure: what is taken is kept here, nothing is asked of the kernel."""

from fairway.ipam.ipam import Ipam

__all__ = ["Ipam"]
