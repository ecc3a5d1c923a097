"""Recorded outcomes of which some have no mark: where judges can help, and where votes are marks.

Knows which queries votes can label and which need judges; how either works, others know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from emafusion.errors import DataError
from emafusion.evaluate.questions import Question
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.fit.evidence import Drafted, drafted
from emafusion.learn.label import Labels, comparable, consensus
from emafusion.learn.labelling.opinions import namesakes
from emafusion.learn.labelling.tournament import Case, cases, gauges
from emafusion.types import Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def posed(
    recorded: Recorded,
    questions: Iterable[Question] = (),
    *,
    models: Iterable[Model] = (),
    labels: Labels = "reference",
) -> tuple[Case, ...]:
    """What models that judge are to be asked of `recorded`: trials of themselves, then the rest.

    Parameters
    ----------
    recorded : Recorded
        Of questions that were made to be asked, for judges see prompts and drafts.
    questions : iterable of Question
        Give the rubrics, where a ``judged`` grader has one.
    models : iterable of Model
        All that draft or judge: a model that goes by several names wrote what any of them wrote.
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
    trials = () if not wanted or labels == "consensus" else gauges(recorded)
    same = namesakes(models)
    return tuple(_signed(case, same) for case in (*trials, *wanted))


def _signed(case: Case, same: Mapping[str, frozenset[str]]) -> Case:
    """`case` with all names that each writer goes by."""
    writers = {
        text: frozenset().union(*(same.get(name, {name}) for name in names))
        for text, names in case.writers.items()
    }
    return msgspec.structs.replace(case, writers=writers)


def voted(recorded: Recorded) -> Recorded:
    """`recorded` with labels by consensus where answers without a mark can be put to the vote.

    For rows that are measured on: what cannot be voted on stays without a mark, for what judges
    or agreement in content say of it is an opinion and no measurement.
    """
    import numpy as np

    there = asked(recorded)
    if not (there & np.isnan(recorded.scores)).any():
        return recorded
    seen = drafted(recorded)
    votes = _countable(recorded, seen)
    answers = np.where(votes[:, None], seen.answers, -1)
    try:
        found = consensus(answers, asked=there, scores=recorded.scores)
    except DataError:
        return recorded  # Too few models or answers to vote.
    return msgspec.structs.replace(recorded, scores=found.scores)


def asked(recorded: Recorded) -> NDArray[np.bool_]:
    """Where there is a draft, shape (n, m)."""
    import numpy as np

    return np.array(
        [[draft is not None for draft in row] for row in recorded.drafts], dtype=np.bool_
    ).reshape(recorded.scores.shape)


def _countable(recorded: Recorded, seen: Drafted) -> NDArray[np.bool_]:
    """The queries on which votes can be counted, shape (n,)."""
    return comparable(seen.answers, asked=asked(recorded), kinds=recorded.tasks)
