"""Recorded outcomes as what the judges and the planner will see, each query held out in turn.

Knows how drafts become arrays; fits nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion import answers
from emafusion.evaluate.recorded import Recorded
from emafusion.judge import option_prior, surface
from emafusion.types import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

OPEN = 0.5
"""Share of a query's drafts without an answer to share, above which it is open-ended."""
NOBODY = -1
"""The fold of a query that no fit has seen."""


class Evidence(Struct, frozen=True, kw_only=True):
    """n queries × m models.

    Parameters
    ----------
    pool : tuple of m str
    priors : ndarray, shape (n, m)
        Log-odds of a right answer before the model is asked, by fits that left the query out.
    expected : ndarray, shape (n, m)
        US dollars a call is expected to cost.
    surplus : ndarray, shape (n, m)
        ln of found over expected completion tokens.
    surfaces : ndarray, shape (n, m, surface columns)
    answers : ndarray of int, shape (n, m)
        Equal in a row for equivalent answers, −1 where none can be read.
    flagged : ndarray of bool, shape (n, m)
        Drafts that addressed their judge.
    scores, costs : ndarray, shape (n, m)
        As recorded; NaN where a model was not asked.
    fold : ndarray of int, shape (n,)
        Which fit leaves each query out; :data:`NOBODY` for rows outside every fit.
    """

    pool: tuple[str, ...]
    priors: Array
    expected: Array
    surplus: Array
    surfaces: Array
    answers: Integers
    flagged: NDArray[np.bool_]
    scores: Array
    costs: Array
    fold: Integers

    def rows(self, keep: Integers | NDArray[np.bool_]) -> Evidence:
        """Some of the queries."""
        arrays = {
            name: getattr(self, name)[keep] for name in self.__struct_fields__ if name != "pool"
        }
        return Evidence(pool=self.pool, **arrays)

    @property
    def open_ended(self) -> NDArray[np.bool_]:
        """Queries to which most drafts give no answer that another could share."""
        import numpy as np

        return np.asarray((self.answers < 0).mean(axis=1) > OPEN, dtype=np.bool_)

    @property
    def covered(self) -> Integers:
        """The models that answered at least half as many queries as the one that answered most.

        A collection on a short budget gives the others up after a first look.
        """
        import numpy as np

        answered = (~np.isnan(self.scores + self.costs)).sum(axis=0)
        return np.flatnonzero(2 * answered >= answered.max())

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which queries every covered model has answered: the rule is fitted on these."""
        import numpy as np

        known = (self.scores + self.costs)[:, self.covered]
        return np.asarray(~np.isnan(known).any(axis=1), dtype=np.bool_)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which queries every model has answered."""
        import numpy as np

        return np.asarray(~np.isnan(self.scores + self.costs).any(axis=1), dtype=np.bool_)


class Drafted(Struct, frozen=True, kw_only=True):
    """What the drafts of n queries × m models show.

    Parameters
    ----------
    surfaces : ndarray, shape (n, m, surface columns)
        Zeros where there is no draft, and where the option prior would speak.
    answers : ndarray of int, shape (n, m)
        Equal in a row for equivalent answers, −1 where none can be read.
    options : tuple of n ndarray, each (options, traits)
        What shows on the options that a question offers.
    chosen : ndarray of int, shape (n, m)
        The option each draft names, by position; −1 where it names none.
    flagged : ndarray of bool, shape (n, m)
        Drafts that addressed their judge.
    """

    surfaces: Array
    answers: Integers
    options: tuple[Array, ...]
    chosen: Integers
    flagged: NDArray[np.bool_]

    def rows(self, keep: Integers) -> Drafted:
        """Some of the queries, by position."""
        return Drafted(
            surfaces=self.surfaces[keep],
            answers=self.answers[keep],
            options=tuple(self.options[place] for place in keep.tolist()),
            chosen=self.chosen[keep],
            flagged=self.flagged[keep],
        )

    def told(self, hunches: Array) -> Array:
        """The surfaces with what an option prior says; `hunches` (n, m, 2)."""
        found = self.surfaces.copy()
        found[:, :, [surface.NAMES.index(name) for name in surface.HUNCHES]] = hunches
        return found


def best_of(scores: Array) -> int:
    """The model of the highest mean score, of those that answered every one of these queries."""
    import numpy as np

    return int(np.nan_to_num(scores.mean(axis=0), nan=-1.0).argmax())


def drafted(recorded: Recorded) -> Drafted:
    """Read every prompt and draft."""
    import numpy as np

    shape = recorded.scores.shape
    found = np.zeros((*shape, len(surface.NAMES)))
    numbers = np.full(shape, -1, dtype=np.int64)
    chosen = np.full(shape, -1, dtype=np.int64)
    flagged = np.zeros(shape, dtype=bool)
    seen_options = []
    for query, prompt in enumerate(recorded.prompts):
        request = Request(id="", messages=({"role": "user", "content": prompt},))
        kind = answers.guess_kind(prompt)
        choices = surface.offered(prompt, kind)
        seen_options.append(option_prior.traits(choices))
        labels = {label: place for place, label in enumerate(choices.wording)}
        seen: dict[str, int] = {}
        for place, draft in enumerate(recorded.drafts[query]):
            if draft is None:
                continue
            look = surface.look(request, draft, kind=kind, options=choices)
            key = look.key
            found[query, place] = surface.read(look)
            flagged[query, place] = look.flagged
            if key is not None:
                numbers[query, place] = seen.setdefault(key, len(seen))
                chosen[query, place] = labels.get(key, -1)
    return Drafted(
        surfaces=found,
        answers=numbers,
        options=tuple(seen_options),
        chosen=chosen,
        flagged=flagged,
    )


def surplus(found: Array, expected: Array) -> Array:
    """ln of found over expected completion tokens, within ±3; 0 where none were counted."""
    import numpy as np

    ratio: Array = np.log((found + 1.0) / (expected + 1.0))
    return np.nan_to_num(np.clip(ratio, -3.0, 3.0))
