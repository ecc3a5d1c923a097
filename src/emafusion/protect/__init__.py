"""Stage 1: who may see a request."""

from __future__ import annotations

from emafusion.protect.visibility import VisibilityProtector

__all__ = ["VisibilityProtector"]
