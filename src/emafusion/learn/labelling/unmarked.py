"""Recorded outcomes of which some have no mark: which judges can help, and all labels filled in.

Knows which queries votes can label and which need judges; how either works, others know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from emafusion.errors import DataError
from emafusion.evaluate.questions import Question
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.fit.evidence import Drafted, drafted
from emafusion.learn.label import Labels, comparable, consensus
from emafusion.learn.labelling.joining import judged
from emafusion.learn.labelling.opinions import NOTHING, Opinions
from emafusion.learn.labelling.tournament import Case, cases, gauges

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def posed(
    recorded: Recorded, questions: Iterable[Question] = (), *, labels: Labels = "reference"
) -> tuple[Case, ...]:
    """What models that judge are to be asked of `recorded`: trials of themselves, then the rest.

    Parameters
    ----------
    recorded : Recorded
    questions : iterable of Question
        Give the rubrics, where a ``judged`` grader has one.
    labels : {"reference", "consensus"}
        With ``consensus`` no score is looked at: there is nothing to try a judge on.
    """
    import numpy as np

    bare = np.isnan(recorded.scores).all(axis=1)
    waiting = np.ones_like(bare) if labels == "consensus" else bare
    rows = np.flatnonzero(waiting)
    few = recorded.rows(rows.tolist())
    open_ended = rows[~_countable(few, drafted(few))]
    rubrics = {one.id: str(one.grader.params.get("rubric") or "") for one in questions}
    wanted = cases(recorded, open_ended.tolist(), rubrics)
    if not wanted or labels == "consensus":
        return wanted
    return (*gauges(recorded), *wanted)


def labelled(recorded: Recorded, opinions: Opinions = NOTHING) -> Recorded:
    """`recorded` with a soft label for every draft that has no score and can be labelled.

    For rows that are measured on; those that are fitted on, a fit labels as it reads them.
    """
    import numpy as np

    there = asked(recorded)
    if not (there & np.isnan(recorded.scores)).any():
        return recorded
    seen = drafted(recorded)
    votes = _countable(recorded, seen)
    scores = _voted(recorded, np.where(votes[:, None], seen.answers, -1), there)
    found = judged(recorded, scores, flagged=seen.flagged, countable=votes, opinions=opinions)
    return msgspec.structs.replace(recorded, scores=found.scores)


def asked(recorded: Recorded) -> NDArray[np.bool_]:
    """Where there is a draft, shape (n, m)."""
    import numpy as np

    return np.array(
        [[draft is not None for draft in row] for row in recorded.drafts], dtype=np.bool_
    ).reshape(recorded.scores.shape)


def _voted(
    recorded: Recorded, answers: NDArray[np.int64], there: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The scores, with labels by consensus where votes can be counted."""
    try:
        return consensus(answers, asked=there, scores=recorded.scores).scores
    except DataError:
        return recorded.scores  # Too few models or answers to vote: judges may yet tell.


def _countable(recorded: Recorded, seen: Drafted) -> NDArray[np.bool_]:
    """The queries on which votes can be counted, shape (n,)."""
    return comparable(seen.answers, asked=asked(recorded), kinds=recorded.tasks)
