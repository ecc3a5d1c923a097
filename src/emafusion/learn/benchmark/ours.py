"""emafusion itself and its ablations, over the whole dial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.evaluate.report.benchmark import OURS
from emafusion.evaluate.runs import Role, Run, System
from emafusion.judge import surface
from emafusion.learn.fit import deciding
from emafusion.learn.fit.deciding import Applied, Decided, Without
from emafusion.learn.fit.evidence import Evidence
from emafusion.learn.fit.lattice import Walk, walk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LOGPROBS: Final = ("logprob", "lowest_logprob", "sequence_logprob", "no_logprob")


class Variant(Struct, frozen=True, kw_only=True):
    """A version of ours: which forecast it plans by, and what it leaves out."""

    forecast: str = "union"
    without: Without = deciding.NOTHING
    says: str = ""


VARIANTS: Final[Mapping[str, Variant]] = {
    OURS: Variant(says="the whole of it"),
    "taxonomy_only": Variant(forecast="taxonomy", says="taxonomy router, cascade on"),
    "learned_only": Variant(forecast="learned", says="learned router, cascade on"),
    "no_cascade": Variant(without=Without(depth=1), says="union of routers, one call"),
    "no_judges": Variant(
        without=Without(reading=True, agreement=True), says="no verdict on any draft"
    ),
    "no_fusion": Variant(
        without=Without(fusion=True), says="the dearest draft answers, whatever the others say"
    ),
    "no_agreement_judge": Variant(without=Without(agreement=True), says="judges: all but one"),
    "no_surface_judge": Variant(without=Without(reading=True), says="judges: all but one"),
    "no_rules_judge": Variant(without=Without(surfaces=("rules",)), says="judges: all but one"),
    "no_sums_judge": Variant(
        without=Without(surfaces=("sums", "wrong_sums")), says="judges: all but one"
    ),
    "no_option_prior": Variant(
        without=Without(surfaces=surface.HUNCHES), says="judges: all but one"
    ),
    "no_logprob_judge": Variant(without=Without(surfaces=LOGPROBS), says="judges: all but one"),
}
"""By system name."""


class Job(Struct, frozen=True, kw_only=True):
    """One variant, with the rows it is fitted on and those it is measured on."""

    name: str
    variant: Variant
    fitted: Evidence
    test: Evidence


def measure(job: Job, decided: Decided | None = None) -> System:
    """`job`'s operating points, one for each setting of the dial.

    ``tuned`` figures are those of the fitted rows, each by fits that left it out.
    """
    decided = decided or deciding.fit(job.fitted, job.variant.without)
    applied = deciding.apply(decided, job.test)
    role: Role = "ours" if job.name == OURS else "ablation"
    # At 0 only cost counts, and the engine asks the cheapest model without a rule.
    settings = range(1, len(decided.rules.lookahead.prices))
    runs = tuple(_run(decided, applied, setting) for setting in settings)
    return System(name=job.name, role=role, runs=runs, source=job.variant.says)


def knob(setting: int, settings: int) -> str:
    """The dial's name for a setting."""
    return f"prefer={setting / (settings - 1):.3f}"


def _run(decided: Decided, applied: Applied, setting: int) -> Run:
    before = walk(
        decided.rules,
        decided.evidence,
        decided.states,
        members=decided.members,
        setting=setting,
    )
    done = walk(
        applied.rules,
        applied.evidence,
        applied.states,
        members=applied.members,
        setting=setting,
    )
    names = [applied.evidence.pool[member] for member in applied.members]
    return Run(
        knob=knob(setting, len(decided.rules.lookahead.prices)),
        scores=done.score,
        costs=done.cost,
        confidences=done.confidence,
        calls=_calls(done, names),
        sources=tuple(names[place] for place in done.source.tolist()),
        tuned=(float(before.score.mean()), float(before.cost.mean())),
    )


def _calls(done: Walk, names: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names[place] for place in row if place >= 0) for row in done.calls.tolist())
