"""From a TOML file to a running engine: the shape of settings, reading them, building with them."""

from __future__ import annotations

from emafusion.config.arrivals import Arrivals
from emafusion.config.available import available
from emafusion.config.build import build, providers
from emafusion.config.load import default_path, load
from emafusion.config.settings import Settings

__all__ = ["Arrivals", "Settings", "available", "build", "default_path", "load", "providers"]
