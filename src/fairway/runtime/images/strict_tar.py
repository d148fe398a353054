"""Reading tar without tolerance: a damaged header is an error, never the end of the archive.

``tarfile`` stops silently at a header in mid-archive that it cannot read, so half an image would pass for a
whole one. It asks its TarInfo class for each header; this one turns the tolerated cases into ``BadArchive``,
which ``tarfile`` does not catch. Texts are those of Go's archive/tar, which Docker's users see.
"""

import tarfile
from typing import Self


class BadArchive(Exception):
    """The archive is damaged or not a tar archive."""


class StrictTarInfo(tarfile.TarInfo):
    """For ``tarfile.open(tarinfo=…)``."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """The next header. Raises BadArchive; the end of the archive as ``tarfile`` expects it."""
        try:
            return super().fromtarfile(tarfile)
        except _TRUNCATED:
            raise BadArchive("unexpected EOF") from None
        except _INVALID:
            raise BadArchive("invalid tar header") from None


_TRUNCATED = (tarfile.TruncatedHeaderError,)  # type: ignore[attr-defined]
_INVALID = (tarfile.InvalidHeaderError, tarfile.SubsequentHeaderError)  # type: ignore[attr-defined]
