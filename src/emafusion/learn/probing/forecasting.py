"""A newcomer's columns of stage 3: its head, its counts, lengths, prices and paces.

Knows what is said of the newcomer's score in every row; not how that was found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from emafusion.learn.fit import logistic, routers, spending
from emafusion.learn.probing.known import Answers, Known, penalty
from emafusion.predict import Fitted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Arrays = dict[str, NDArray[np.generic]]

ROWS_A_PROBE = 10.0
"""Outcomes that one probe is worth to the label counts: it says something of rows like it too."""
SAID_BEFORE = 5.0
"""Probes that the typical length of models like it counts for."""


class Told(Struct, frozen=True, kw_only=True):
    """What the probes say of n rows: P(right) (n,), the same by draws (k, n), and likeness (m,)."""

    rates: Array
    drawn: Array
    kin: Array


class Forecast(Struct, frozen=True, kw_only=True):
    """Stage 3 with the newcomer as the last column.

    ``priors`` (n,) are its log-odds by fits that left each row out, ``tokens`` (n,) its expected
    completion tokens, ``prompts`` (n,) its prompt tokens.
    """

    arrays: Arrays
    bills: spending.Bills
    priors: Array
    tokens: Array
    prompts: Array

    def cost(self, completions: Array) -> Array:
        """US dollars of calls of the newcomer with so many completion tokens, each (n,)."""
        billed = self.bills.expected(self.prompts[:, None], completions[:, None])
        found: Array = billed[:, -1]
        return found


def draws(known: Known) -> int:
    """How many heads each model has besides its best one."""
    return int(known.artefact.arrays["predict/weights"].shape[0]) - 1


def extended(known: Known, told: Told, answers: Answers) -> Forecast:
    """The arrays of stage 3 with one more model."""
    import numpy as np

    material, before = known.material, known.artefact.under("predict")
    heads, out = _heads(known, told)
    trials, successes = _counts(known, told, probes=len(answers.rows))
    lengths = _lengths(known, told.kin, answers)
    overhead = spending.overhead(answers.recorded, material.counted[answers.rows])
    added: dict[str, Array] = {
        "weights": heads[:, 1:, None],
        "biases": heads[:, :1],
        "trials": trials,
        "successes": successes,
        "overhead": overhead,
        **lengths,
    }
    arrays: Arrays = {
        name: np.concatenate([array, added[name]], axis=-1) if name in added else array
        for name, array in before.items()
    }
    fitted = _read(known, arrays)
    rates = fitted.suitability.weights(material.inputs.labels) @ fitted.suitability.rates[:, -1:]
    share = fitted.shares(material.inputs.labels)
    bills = spending.bills(answers.recorded)
    return Forecast(
        arrays=arrays,
        bills=_with(known.bills, bills),
        priors=logistic.log_odds(routers.mix(out, rates, share))[:, 0],
        tokens=fitted.lengths.tokens(material.inputs.vectors)[:, -1],
        prompts=fitted.prompts(material.counted)[:, -1],
    )


def _read(known: Known, arrays: Arrays) -> Fitted:
    features = known.material.features
    pool = (*known.artefact.manifest.pool, "")
    return Fitted.from_arrays(arrays, pool, encoder=features.encoder, labels=features.labels)


def _heads(known: Known, told: Told) -> tuple[Array, Array]:
    """Heads (k, d + 1), intercept first, and P(right) (n, 1) by fits that left each row out.

    The first is fitted to the rates; each other is one Newton step from it towards the rates by
    weights drawn from their posterior, so that the heads disagree as far as the probes leave open.
    """
    import numpy as np

    material, count = known.material, len(told.rates)
    inputs = replace(material.inputs, scores=told.rates[:, None])
    ridged = penalty(known.artefact.manifest, count)
    whole = logistic.fit(inputs.vectors, told.rates, ridged)
    table = np.column_stack([np.ones(count), inputs.vectors])
    rates = logistic.sigmoid(table @ whole)
    ridge = np.full(table.shape[1], ridged)
    ridge[0] = 0.02
    hessian = (table * (rates * (1.0 - rates))[:, None]).T @ table + np.diag(ridge)
    steps = np.linalg.solve(hessian, table.T @ (told.drawn - told.rates).T).T
    heads = np.concatenate([whole[None], whole + steps])
    return heads, routers.heads(inputs, routers.folds(count, material.seed), ridged)


def _counts(known: Known, told: Told, *, probes: int) -> tuple[Array, Array]:
    """Soft counts (cells, 1): every row's rate, all of them weighing as much as the probes can."""
    material = known.material
    inputs = replace(material.inputs, scores=told.rates[:, None])
    trials, successes = routers.counts(material.features, inputs)
    weight = min(ROWS_A_PROBE * probes / len(told.rates), 1.0)
    return trials * weight, successes * weight


def _lengths(known: Known, kin: Array, answers: Answers) -> dict[str, Array]:
    """Which prompts take long, models like it say; how long, and how fast, its own answers."""
    import numpy as np

    before, recorded = known.artefact.under("predict"), answers.recorded
    inputs = known.material.inputs.rows(answers.rows)
    own = routers.lengths(
        inputs, recorded.tokens, recorded.seconds, prompt_tokens=recorded.prompt_tokens
    )
    weights = np.asarray(before["length_weights"]) @ kin
    usual = float(np.asarray(before["length_biases"]) @ kin)
    spread = float(np.asarray(before["length_spreads"]) @ kin)
    seen = ~np.isnan(recorded.tokens[:, 0])
    off = np.log(np.maximum(recorded.tokens[seen, 0], 1.0)) - inputs.vectors[seen] @ weights
    count = len(off)
    bias = (off.sum() + SAID_BEFORE * usual) / (count + SAID_BEFORE)
    variance = (((off - bias) ** 2).sum() + SAID_BEFORE * spread**2) / (count + SAID_BEFORE)
    return {
        "length_weights": weights[:, None],
        "length_biases": np.array([bias]),
        "length_spreads": np.array([np.sqrt(variance)]),
        "length_paces": own["paces"],
    }


def _with(known: spending.Bills, own: spending.Bills) -> spending.Bills:
    import numpy as np

    return spending.Bills(
        prices=np.concatenate([known.prices, own.prices], axis=1),
        means=np.concatenate([known.means, own.means]),
        follows=np.concatenate([known.follows, own.follows]),
    )
