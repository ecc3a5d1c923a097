"""Model files, named by the hash of their bytes: found in the cache or fetched from their sources."""

from __future__ import annotations

from pathlib import Path


class Weights:
    """Finds model files."""

    def here(self, upstream: str) -> Path | None:
        """The file of `upstream` where it is on this machine already."""
        path = Path(upstream).expanduser()
        return path if path.is_file() else None

    def path(self, upstream: str, *, model: str) -> Path:
        """The file of `upstream`."""
        return Path(upstream).expanduser()
