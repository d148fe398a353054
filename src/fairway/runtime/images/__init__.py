"""The image store: layers unpacked for overlayfs, configurations, names, and their way in and out.

``store.ImageStore`` is the door. This module imports nothing, because the processes that read and write
layers (``unpack``, ``pack``) start through it and must start fast.
"""
