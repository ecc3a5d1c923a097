"""From seeds without a grader to labels: what is collected, who is asked, what is filled in."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pytest

from emafusion import artefacts, config, encoders
from emafusion.errors import DataError
from emafusion.evaluate import recorded as outcomes_of
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.bounds import Bounds
from emafusion.learn.collect import collect
from emafusion.learn.fit import fit
from emafusion.learn.interchange import read_questions
from emafusion.learn.labelling import NOTHING, Opinions, judged, opinions_in
from emafusion.learn.labelling.tournament import ask
from emafusion.learn.labelling.unmarked import posed, voted
from emafusion.learn.report import Progress
from emafusion.learn.seeds import read
from emafusion.learn.synthesise import from_seeds
from emafusion.types import Call, Model
from emafusion.understand import FastClassifier

from ..collecting import Bookkeeper
from .drafting import recorded

pytest.importorskip("pyarrow")

SEEDS = """
[[seed]]
name = "thanks"
wordings = ["Thank {name} for the {gift}.", "Write a thank-you note to {name}: the {gift} came."]
held_out = ["{name} sent a {gift}. Thank them."]
grader = { type = "judged", rubric = "Name the {gift}." }
labels.task = "generation"
labels.complexity = "single_step"
labels.domain = "business"
labels.format = "free_text"
variations = false

[seed.slots]
name = ["Mara", "Jon", "Ito", "Lea", "Sam", "Uma"]
gift = ["lamp", "chair", "book", "plant", "vase"]

[[seed]]
name = "sum"
wordings = ["What is {a} + {b}? Reply with the number only."]
compute = "a + b"
grader = "number"
labels.task = "mathematical_reasoning"
labels.complexity = "single_step"
labels.domain = "mathematics"
labels.format = "number"
variations = false
[seed.slots]
a = "10..30"
b = "10..30"
"""
MODELS = tuple(
    Model(name=name, provider="p", upstream=name, usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)
    for name in ("warm", "brief", "odd")
)
JUDGE = Model(name="judge", provider="p", upstream="j", usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)
NOTES = {
    "warm": "Dear friend, thank you so much for the kind present, it looks lovely here. {n}",
    "brief": "Thank you for the present. {n}",
    "odd": "Purple engines sleep. {n}",
}


def _answer(call: Call) -> str:
    prompt = str(call.messages[-1]["content"])
    luck = hashlib.sha256(f"{call.model.name}{prompt}".encode()).digest()[0]
    if "Reply with the number" in prompt:
        a, b = (int(word.strip("?")) for word in prompt.split() if word.strip("?").isdigit())
        return str(a + b + (luck > 150))
    return NOTES[call.model.name].format(n=luck)


async def _collected(folder: Path, seen: list[Progress] | None = None) -> Recorded:
    seeds = folder / "seeds.toml"
    seeds.write_text(SEEDS)
    drawn = from_seeds(read([seeds]), 40, seed=1)
    report = await collect(
        drawn.questions,
        MODELS,
        providers={"p": Bookkeeper(_answer)},
        folder=folder / "out",
        progress=None if seen is None else seen.append,
    )
    assert report.answered == report.total
    return outcomes_of.read(folder / "out")


async def test_replies_that_only_judges_can_tell_apart_are_kept_without_a_mark(
    tmp_path: Path,
) -> None:
    seen: list[Progress] = []
    found = await _collected(tmp_path, seen)
    letters = np.array([prompt.find("number only") < 0 for prompt in found.prompts])
    assert 5 < letters.sum() < len(letters) - 5
    assert np.isnan(found.scores[letters]).all()
    assert not np.isnan(found.scores[~letters]).any()
    assert sum(one.score is None for one in seen) == 3 * letters.sum()
    again = [q for part in read_questions(tmp_path / "out").values() for q in part]
    assert {str(q.grader.params["rubric"]) for q in again if q.grader.type == "judged"} >= {
        "Name the lamp."
    }


def _labels(found: Recorded, opinions: Opinions = NOTHING) -> np.ndarray:
    flagged = np.zeros(found.scores.shape, dtype=np.bool_)
    return judged(found, found.scores, flagged=flagged, opinions=opinions).scores


async def test_every_draft_gets_a_label_and_marks_stand(tmp_path: Path) -> None:
    found = await _collected(tmp_path)
    known = ~np.isnan(found.scores)
    scores = _labels(found)
    np.testing.assert_array_equal(scores[known], found.scores[known])
    assert not np.isnan(scores).any()
    assert scores[~known.any(axis=1)].mean(axis=0).argmin() == found.models.index("odd")
    # Opinions are no marks.
    np.testing.assert_array_equal(voted(found).scores, found.scores)


async def test_judges_are_asked_of_what_has_no_mark_and_tried_where_there_is_one(
    tmp_path: Path,
) -> None:
    found = await _collected(tmp_path)
    questions = [q for part in read_questions(tmp_path / "out").values() for q in part]
    due = posed(found, questions)
    tried = [case for case in due if case.better is not None]
    assert tried
    assert len(due) - len(tried) == int(np.isnan(found.scores).all(axis=1).sum())
    assert all(case.rubric.startswith("Name the") for case in due if case.better is None)
    rest = [case for case in due if case.better is None]
    await ask(
        tmp_path / "out",
        rest,
        judges=(JUDGE,),
        providers={"p": Bookkeeper(_verdict)},
        bounds=Bounds(),
    )
    told = opinions_in(tmp_path / "out", found)
    with_judge, without = _labels(found, told), _labels(found)
    letters = np.isnan(found.scores).all(axis=1)
    gap = (with_judge - without)[letters].mean(axis=0)
    places = [found.models.index(name) for name in ("brief", "warm")]
    assert gap[places[0]] > 0.0 > gap[places[1]]


def _verdict(call: Call) -> str:
    """The shorter note is the better one."""
    prompt = str(call.messages[-1]["content"])
    _, first, second = (part.partition("\n<<")[0] for part in re.split(r"ANSWER \d\n", prompt))
    return "1" if len(first) < len(second) else "2"


def test_comparable_answers_go_to_the_vote_and_scores_are_hidden_from_consensus() -> None:
    rows = [["7", "7", "8"]] * 3 + [["I like rain.", "Rain is nice.", "Go away now."]] * 3
    prompts = ["What is 3 + 4? Reply with the number only."] * 3 + ["Tell me about rain."] * 3
    scores = np.tile([1.0, 1.0, 0.0], (6, 1))
    tasks = ["mathematical_reasoning"] * 3 + ["generation"] * 3
    found = recorded(rows, models=("a", "b", "c"), prompts=prompts, scores=scores, tasks=tasks)
    assert posed(found) == ()
    due = posed(found, labels="consensus")
    assert [case.query for case in due] == ["q3", "q4", "q5"]
    bare = recorded(rows, models=("a", "b", "c"), prompts=prompts, tasks=tasks)
    full = voted(bare).scores
    assert full[0, 0] == full[0, 1] > full[0, 2]
    assert not math.isclose(full[0].mean(), 0.5)
    assert np.isnan(full[3:]).all()
    assert voted(found) is found


async def test_a_fit_hears_no_judge_of_whom_it_is_not_known_what_he_drafted(
    tmp_path: Path,
) -> None:
    found = await _collected(tmp_path)
    due = posed(found, models=(*MODELS, JUDGE))
    folder = tmp_path / "out"
    await ask(
        folder, due, judges=[JUDGE], providers={"p": Bookkeeper(lambda _: "1")}, bounds=Bounds()
    )
    told = opinions_in(folder, found)
    assert list(told.right) == ["judge"]
    assert told.without(["judge"]).right == {}
    assert np.isnan(told.without(["judge"]).log_odds(found)).all()
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    reader = FastClassifier.from_arrays(shipped.under("understand"), encoders.default())
    for models, left_out in (((), 0), ((*MODELS, JUDGE), 0), (MODELS, 1)):
        said: list[str] = []
        with pytest.raises(DataError, match="a fit needs at least"):
            fit(folder, tmp_path / "p", classifier=reader, models=models, progress=said.append)
        assert sum("leaving out what judge said" in line for line in said) == left_out
