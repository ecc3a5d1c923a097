"""A fitted policy as a folder: arrays and a manifest, nothing executable (DESIGN §6)."""

from __future__ import annotations

from emafusion.artefacts.folder import VERSION, Artefact, Manifest, read, write

__all__ = ["VERSION", "Artefact", "Manifest", "read", "write"]
