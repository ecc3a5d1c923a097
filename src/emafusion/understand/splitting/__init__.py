"""Splitting a composite prompt: by structure, by a model, or first the one and then the other."""

from __future__ import annotations

from emafusion.understand.splitting.fast import FastSplitter, parts_of
from emafusion.understand.splitting.slow import EitherSplitter, SlowSplitter

__all__ = ["EitherSplitter", "FastSplitter", "SlowSplitter", "parts_of"]
