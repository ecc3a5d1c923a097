"""Recorded outcomes in, a fitted policy out (DESIGN §2.6, ``fit``)."""

from __future__ import annotations

from emafusion.learn.fit.policy import fit

__all__ = ["fit"]
