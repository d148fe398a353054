"""What removing an image means: which names go, which images follow, and what stands in the way.

The rules and texts are Docker's (moby, daemon/images/image_delete.go). A name given is taken away first; the
image itself goes when that was its last one. An id given takes all names along if they are of one repository.
Hard conflicts (children, running containers) cannot be forced; soft ones (several repositories, stopped
containers) can. Parents without name and use follow quietly. Pure: works on catalogs, deletes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from fairway.model.container import Container
from fairway.model.errors import Conflict
from fairway.model.image import Image
from fairway.model.reference import Reference, parse, short
from fairway.runtime.images.catalog import Catalog, chain_ids

Record = tuple[str, str]
"""("Untagged", name) or ("Deleted", image or chain id)."""


class Removal:
    """One removal in progress: ``catalog`` is what remains, ``records`` tells what went."""

    def __init__(self, catalog: Catalog, images: Mapping[str, Image], used: Sequence[Container]) -> None:
        self.catalog = catalog
        self.records: list[Record] = []
        self._images = images
        self._used = used

    def remove(self, image: str, reference: str, *, force: bool, prune: bool) -> None:
        """Take away what ``reference``, which resolved to ``image``, stands for. Raises Conflict."""
        if self.catalog.search(reference) == image:
            self._by_id(image, force=force)
            self._delete(image, force=force, prune=prune, quiet=False)
        elif self._by_name(image, reference, force=force):
            self._delete(image, force=force, prune=prune, quiet=True)

    def prune(self, *, dangling: bool, accept: Callable[[Image], bool]) -> None:
        """Remove what nobody uses: images without tag or, if not ``dangling``, all; conflicts are left."""
        for image in sorted(self.catalog.images):
            if image not in self.catalog.images or not accept(self._images[image]):
                continue
            names = self.catalog.references(image)
            if not names and self.catalog.children(image):
                continue
            if dangling and any(not name.digest for name in names):
                continue
            for reference in [name.familiar for name in names] or [image]:
                self._attempt(image, reference)

    def _attempt(self, image: str, reference: str) -> None:
        before = self.catalog, list(self.records)
        try:
            self.remove(image, reference, force=False, prune=True)
        except Conflict:
            self.catalog, self.records = before

    def _by_name(self, image: str, reference: str, *, force: bool) -> bool:
        """Take the name away; True when it was the last, so that the image is to go, too."""
        names = self.catalog.references(image)
        user = next((c for c in self._used if c.image == image), None)
        if not force and _single(names) and user is not None:
            raise Conflict(
                f'conflict: unable to remove repository reference "{reference}" (must force) - container '
                f"{short(user.id)} is using its referenced image {short(image)}"
            )
        name = parse(reference).with_default_tag()
        if name.digest:
            name = name.with_digest(name.digest)
        self._untag([name])
        rest = self.catalog.references(image)
        if not name.digest and not any(r.name == name.name and not r.digest for r in rest):
            # Its digests do not outlive the last tag of a repository.
            self._untag(r for r in rest if r.name == name.name)
        return not self.catalog.references(image)

    def _by_id(self, image: str, *, force: bool) -> None:
        names = self.catalog.references(image)
        if _single(names):
            self._check(image, force=force, references=False)
            self._untag(names)

    def _untag(self, names: Iterable[Reference]) -> None:
        for name in names:
            self.catalog = self.catalog.without_name(name)
            self.records.append(("Untagged", name.familiar))

    def _delete(self, image: str, *, force: bool, prune: bool, quiet: bool) -> None:
        try:
            self._check(image, force=force, references=True)
        except Conflict:
            # After an untag, or up the line of parents: being in use is a reason to stop, not an error.
            if quiet:
                return
            raise
        parent = self.catalog.images[image].parent
        self._untag(self.catalog.references(image))
        self.catalog = self.catalog.without_image(image)
        self.records.append(("Deleted", image))
        self._release(image)
        if prune and parent in self.catalog.images:
            self._delete(parent, force=False, prune=True, quiet=True)

    def _release(self, image: str) -> None:
        """Record the layers that go with the image, topmost first."""
        removed = self._images[image]
        kept = {c for other in self.catalog.images for c in chain_ids(self._images[other].layers)}
        kept |= {
            c for used in self._used if used.image == image for c in chain_ids(self._images[image].layers)
        }
        gone = [chain for chain in chain_ids(removed.layers) if chain not in kept]
        self.records += [("Deleted", chain) for chain in reversed(gone)]

    def _check(self, image: str, *, force: bool, references: bool) -> None:
        users = [c for c in self._used if c.image == image]
        running = next((c for c in users if c.state.running), None)
        if self.catalog.children(image):
            raise _conflict(image, "image has dependent child images", hard=True)
        if running is not None:
            raise _conflict(image, f"image is being used by running container {short(running.id)}", hard=True)
        if force:
            return
        if references and self.catalog.references(image):
            raise _conflict(image, "image is referenced in multiple repositories", hard=False)
        if users:
            raise _conflict(
                image, f"image is being used by stopped container {short(users[0].id)}", hard=False
            )


def _single(names: Sequence[Reference]) -> bool:
    """Whether the names are one tag at most, with digests of the same repository only."""
    if len(names) <= 1:
        return True
    tags = [name for name in names if not name.digest]
    repositories = {name.name for name in names if name.digest}
    return len(tags) <= 1 and len(repositories | {name.name for name in tags}) == 1


def _conflict(image: str, reason: str, *, hard: bool) -> Conflict:
    how = "cannot be forced" if hard else "must be forced"
    return Conflict(f"conflict: unable to delete {short(image)} ({how}) - {reason}")
