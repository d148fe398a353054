"""The catalog on disk: ``index.json`` and the configuration documents in ``configs/``.

Readers look at an immutable snapshot of images and catalog, swapped whole, and never wait. Writers take
turns; a change is durable before it shows. Order on the way in: layers, flush, configuration, index; on the
way out the reverse. So whatever the index names is there, however the process ended.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.image import Image
from fairway.model.reference import Reference, is_digest, parse
from fairway.runtime.images import configuration, durable, workspace
from fairway.runtime.images.catalog import Catalog
from fairway.runtime.images.layers import LayerStore

_log = structlog.get_logger(__name__)


class Index:
    """Which images there are. Reading is safe anywhere; ``add`` and ``update`` block."""

    def __init__(self, root: Path, layers: LayerStore) -> None:
        self._file, self._configs = root / "index.json", root / "configs"
        self._configs.mkdir(parents=True, exist_ok=True)
        self._layers = layers
        self._lock = threading.Lock()
        self.catalog = Catalog()
        self.images: Mapping[str, Image] = {}
        if self._file.exists():
            self._show(self._sound(msgspec.json.decode(self._file.read_bytes(), type=Catalog)))
        for leftover in self._configs.iterdir():
            if f"sha256:{leftover.name}" not in self.catalog.images:
                leftover.unlink()

    def find(self, reference: str) -> Image:
        """By name, id, or unique prefix of an id. Raises NotFound, InvalidParameter (Docker's texts)."""
        images, catalog = self.images, self.catalog
        identifier = reference if is_digest(reference) else f"sha256:{reference}"
        if is_digest(identifier):
            if identifier in images:
                return images[identifier]
            raise NotFound(f"No such image: {identifier}")
        name = parse(reference).with_default_tag()
        key = name.with_digest(name.digest) if name.digest else name
        found = catalog.names.get(str(key)) or catalog.search(reference)
        if not found or found not in images:
            raise NotFound(f"No such image: {name.familiar}")
        return images[found]

    def document(self, image: str) -> bytes:
        """The configuration's exact bytes. Raises NotFound."""
        try:
            return self._path(image).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"No such image: {image}") from None

    def add(self, document: bytes, names: Sequence[Reference], now: int, *, parent: str = "") -> Image:
        """Keep an image whose layers are all there (pinned by the caller), and name it. It may be known."""
        image = "sha256:" + hashlib.sha256(document).hexdigest()
        with workspace.disk_errors():
            durable.flush(self._configs)

        def change(catalog: Catalog) -> Catalog:
            if image not in catalog.images:
                durable.write(self._path(image), document)
            catalog = catalog.with_image(image, parent=parent)
            for name in names:
                catalog = catalog.with_name(name, image, now)
            return catalog

        self.update(change)
        return self.images[image]

    def update(self, change: Callable[[Catalog], Catalog]) -> None:
        """Replace the catalog by what ``change`` makes of it. Raises what that raises, and System.

        The catalog is as before, then.
        """
        with self._lock, workspace.disk_errors():
            before = self.catalog
            after = change(before)
            if after == before:
                return
            durable.write(self._file, msgspec.json.encode(after))
            self._show(after)
            for gone in before.images.keys() - after.images.keys():
                self._path(gone).unlink(missing_ok=True)

    def referenced(self) -> set[str]:
        """Diff ids that images need."""
        return {diff_id for image in self.images.values() for diff_id in image.layers}

    def _path(self, image: str) -> Path:
        return self._configs / image.removeprefix("sha256:")

    def _sound(self, catalog: Catalog) -> Catalog:
        """Without images whose files someone removed or damaged behind our back."""
        for image in list(catalog.images):
            path = self._path(image)
            try:
                diffs = configuration.diff_ids(configuration.parse(path.read_bytes()))
                missing = next((diff_id for diff_id in diffs if self._layers.get(diff_id) is None), "")
            except (FileNotFoundError, InvalidParameter):
                missing = "configuration"
            if missing:
                _log.warning("image left out: its files are missing or damaged", image=image, missing=missing)
                catalog = catalog.without_image(image)
        return catalog

    def _show(self, catalog: Catalog) -> None:
        self.images = {image: self._image(catalog, image) for image in catalog.images}
        self.catalog = catalog

    def _image(self, catalog: Catalog, image: str) -> Image:
        known = self.images.get(image)
        entry = catalog.images[image]
        if known is None:
            document = configuration.parse(self.document(image))
            diffs = configuration.diff_ids(document)
            sizes = tuple(layer.size if (layer := self._layers.get(d)) else 0 for d in diffs)
            known = Image(
                id=image,
                config=document,
                layers=diffs,
                tags=(),
                size=sum(sizes),
                layer_sizes=sizes,
                created=configuration.created(document),
            )
        return msgspec.structs.replace(
            known,
            tags=catalog.tags(image),
            digests=catalog.digests(image),
            tagged=entry.tagged,
            parent=entry.parent,
        )
