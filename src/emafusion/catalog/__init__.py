"""The models there are: names, prices, context windows, capabilities. Data, not code."""

from emafusion.catalog.models import CAPABILITIES, Catalog, local_models
from emafusion.catalog.resolve import resolve

__all__ = ["CAPABILITIES", "Catalog", "local_models", "resolve"]
