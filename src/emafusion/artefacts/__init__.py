"""A fitted policy as a folder: arrays and a manifest, nothing executable (DESIGN §6)."""

from __future__ import annotations

from emafusion.artefacts.folder import VERSION, Artefact, Manifest, check_place, read, write
from emafusion.artefacts.serving import Event, Serving
from emafusion.artefacts.versions import Versions

__all__ = [
    "VERSION",
    "Artefact",
    "Event",
    "Manifest",
    "Serving",
    "Versions",
    "check_place",
    "read",
    "write",
]
