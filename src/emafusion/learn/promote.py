"""A fitted policy on its way to serving: compared with the one that serves, then let in or not.

It knows the order of the steps and what is written into the history. How two policies are compared,
and how a folder of them is changed, others know.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from emafusion.artefacts import Artefact, Versions
from emafusion.errors import ConfigError
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.bootstrap import FEWEST_CLUSTERS
from emafusion.learn.compare import Comparison, Setup, compare

KEPT: Final = 10
"""Policies that stay in the folder beside those that serve or may be gone back to."""


class Promotion(Struct, frozen=True, kw_only=True):
    """What became of the policy `id`: whether it serves (or is tried for `share`), and why."""

    id: str
    promoted: bool
    why: str
    share: float = 0.0
    comparison: Comparison | None = None


def consider(
    versions: Versions,
    name: str,
    *,
    held_out: Recorded,
    default: Artefact,
    setup: Setup,
    canary: float | None = None,
) -> Promotion:
    """Let the policy `name` of `versions` serve, if it is better than the one that does.

    Parameters
    ----------
    versions : Versions
        The folder of policies; `name` is one of its ids.
    held_out : Recorded
        Queries that neither policy was fitted on.
    default : Artefact
        What serves where nothing was promoted yet.
    setup : Setup
        How they are replayed, and the rule of what is better. Its stand-ins count only where
        nothing was promoted yet: an earlier policy of the folder was fitted on the same rows, and
        would look better on them than it is.
    canary : float, optional
        The share of requests, in (0, 1), that a better policy gets at first; by default, and where
        nothing was promoted yet to try it beside, all.

    Raises
    ------
    ArtefactError
        There is no such policy, or another process promoted one meanwhile.
    DataError
        As :func:`~emafusion.learn.compare.compare`.
    """
    if canary is not None and not 0.0 < canary < 1.0:
        raise ConfigError(f"a canary's share must lie between 0 and 1, not at {canary!r}")
    # First: it mends a damaged folder too, and what is never let in must not pile up.
    versions.prune(KEPT, besides=name)
    serving = versions.current()
    if serving is not None and serving.id == name:
        left = 1.0 - serving.share
        return Promotion(id=name, promoted=True, why="it serves already", share=left)
    incumbent = default if serving is None else versions.read(serving.id)
    found = compare(
        incumbent,
        versions.read(name),
        recorded=held_out,
        setup=setup,
        stand_ins=setup.stand_ins() if serving is None else (),
    )
    why = explained(found)
    if found.verdict not in ("better", "no worse"):
        return Promotion(id=name, promoted=False, why=why, comparison=found)
    if canary is not None and serving is not None:
        versions.canary(name, canary, why=why, figures=found.figures, over=serving.id)
    else:
        canary = None
        over = None if serving is None else serving.id
        versions.promote(name, why=why, figures=found.figures, over=over)
    return Promotion(id=name, promoted=True, why=why, share=canary or 1.0, comparison=found)


def explained(found: Comparison) -> str:
    """One sentence for the history: the verdict, the gain with its interval, and on how much."""
    gain = found.gain
    averaged = found.prefer is None
    what = "utility" if averaged or found.usd_per_quality is not None else "quality"
    where = "over the dial" if averaged else f"at prefer {found.prefer:g}"
    told = (
        f"{found.verdict}: {what} {gain.value:+.4f} (95 % {gain.low:+.4f} … {gain.high:+.4f}) "
        f"on {found.queries} held-out queries {where}"
    )
    if found.verdict != "too little to tell":
        return told
    if found.clusters < FEWEST_CLUSTERS:
        return (
            f"{told}; they are variants of {found.clusters}, and of fewer than {FEWEST_CLUSTERS} "
            "nothing is concluded: add rows to the seeds' tables, or values to their slots"
        )
    if found.needed is None:
        return f"{told}; no number of queries tells policies this alike apart, a margin may"
    return f"{told}; about {found.needed} would tell"
