"""Writable layers: what each container adds to its image.

``<containers>/<id>/`` holds ``upper`` and ``work`` of the overlay and ``lower.json``, the diff ids below it.
That file, not the image, is what a container goes by: it may outlive its image, removed by force, and still
be restarted and compared; and it is what keeps those layers from being collected.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fairway.model.errors import Conflict
from fairway.runtime import trees
from fairway.runtime.images import durable


class WritableLayers:
    """The writable layers of all containers. Methods block; one container's calls do not overlap."""

    def __init__(self, directory: Path, targets: Path) -> None:
        """Adopt what is there and clear up removals that were cut short."""
        self._directory, self._targets = directory, targets
        for path in (directory, targets):
            path.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".gone-*"):
            trees.remove(str(leftover))
        self._lower = {
            path.parent.name: msgspec.json.decode(path.read_bytes(), type=tuple[str, ...])
            for path in directory.glob("*/lower.json")
        }

    def lower(self, container: str) -> tuple[str, ...] | None:
        """The diff ids, lowest first, that the container stands on; None if it has no layer here."""
        return self._lower.get(container)

    def referenced(self) -> set[str]:
        """Diff ids that containers need."""
        return {diff_id for diff_ids in list(self._lower.values()) for diff_id in diff_ids}

    def create(self, container: str, diff_ids: Sequence[str]) -> None:
        """Make the layer and the mount's target; what is there is kept."""
        self.target(container).mkdir(exist_ok=True)
        if container not in self._lower:
            for path in (self.upper(container), self.work(container)):
                path.mkdir(parents=True, exist_ok=True, mode=0o755)
            durable.write(self._directory / container / "lower.json", msgspec.json.encode(diff_ids))
            self._lower[container] = tuple(diff_ids)

    def discard(self, container: str) -> None:
        """Remove layer and target. Raises Conflict while the root filesystem is mounted."""
        target = self.target(container)
        if os.path.ismount(target):
            raise Conflict(f"root filesystem of container {container} is mounted")
        if target.exists():
            target.rmdir()
        path = self._directory / container
        if path.exists():
            # Renamed first: a removal cut short must not leave half a container that looks whole.
            doomed = Path(tempfile.mkdtemp(dir=self._directory, prefix=".gone-"))
            path.rename(doomed)
            self._lower.pop(container, None)
            trees.remove(str(doomed))

    def upper(self, container: str) -> Path:
        return self._directory / container / "upper"

    def work(self, container: str) -> Path:
        return self._directory / container / "work"

    def target(self, container: str) -> Path:
        """Where the root filesystem gets mounted."""
        return self._targets / container
