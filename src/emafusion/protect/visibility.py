"""Clears models by their visibility: what it knows is who runs a model, not what the text says."""

from __future__ import annotations

from collections.abc import Sequence

from emafusion.types import Clearance, Model, Request


class VisibilityProtector:
    """Private requests go to private models only; all others to any model (DESIGN §2, stage 1)."""

    def protect(self, request: Request, models: Sequence[Model]) -> Clearance:
        """The models that may see `request`: all, or the private ones when the caller says so."""
        if not request.knobs.private:
            return Clearance(models=frozenset(model.name for model in models))
        private = frozenset(model.name for model in models if model.visibility == "private")
        return Clearance(models=private, data_class="restricted")
