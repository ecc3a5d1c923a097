"""Model files, named by the SHA-256 of their bytes, so any source that has those bytes will do."""

from emafusion.providers.weights.files import Download, ModelFile, shipped
from emafusion.providers.weights.store import Weights

__all__ = ["Download", "ModelFile", "Weights", "shipped"]
