"""Seeds in, a policy that serves out: the whole loop, with models whose talents are known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from emafusion import artefacts
from emafusion.artefacts import Artefact, Versions
from emafusion.artefacts.lock import held
from emafusion.config.build import replaying
from emafusion.encoders import Remembered, default
from emafusion.errors import ConfigError, DataError, StoreError
from emafusion.evaluate.questions import Question
from emafusion.learn.bounds import Bounds
from emafusion.learn.collection import spent_of
from emafusion.learn.compare import Setup
from emafusion.learn.families import Split
from emafusion.learn.interchange import read_questions
from emafusion.learn.journal import Journal
from emafusion.learn.labelling.tournament import spent
from emafusion.learn.loop import Course, Learned, Parts, Watcher, run
from emafusion.learn.seeds import Source, read
from emafusion.learn.synthesise import Synthesis
from emafusion.record import Memory
from emafusion.types import Call, Feedback, Forecast, Labels, Model, Outcome, Step, Usage
from emafusion.understand import FastClassifier

from .collecting import Bookkeeper

SEEDS = """
[[seed]]
name = "sum"
wordings = ["What is {a} + {b}? Reply with the number only.", "Add {a} and {b}. The number only."]
held_out = ["Give the sum of {a} and {b} as a number."]
reference = "{sum}"
variations = false
grader = { type = "number" }

[seed.slots]
a = "10..99"
b = "10..99"
sum = { compute = "a + b" }
"""
MODELS = tuple(
    Model(name=name, provider="p", upstream=name, usd_per_mtok_in=price, usd_per_mtok_out=price)
    for name, price in (("small", 1.0), ("middle", 4.0), ("large", 40.0))
)
COUNT = 160
"""Questions, of which 60 are held out: of fewer than 50 nothing is concluded."""
TALENT = {"small": 55, "middle": 95, "large": 65}
"""Per cent of right answers: the dearest model is not the best, as only answers can tell."""


def _answer(call: Call) -> str:
    """The sum, as often as the model's talent has it; equal questions get equal answers."""
    prompt = str(call.messages[-1]["content"])
    a, b = (int(number) for number in re.findall(r"\d+", prompt)[-2:])
    luck = hashlib.sha256(f"{call.model.name}{a}{b}".encode()).digest()[0] * 100 // 256
    return str(a + b if luck < TALENT[call.model.name] else a + b + 1 + luck % 7)


@pytest.fixture(scope="module")
def shipped() -> Artefact:
    from importlib import resources

    with resources.as_file(resources.files("emafusion.config").joinpath("policy")) as folder:
        return artefacts.read(folder)


@pytest.fixture(scope="module")
def classifier(shipped: Artefact) -> FastClassifier:
    return FastClassifier.from_arrays(shipped.under("understand"), Remembered(default()))


class _Drawn(Exception):  # noqa: N818  # it is no error
    """As far as a test goes, all is done: the run may end."""


class _Case:
    def __init__(
        self,
        folder: Path,
        shipped: Artefact,
        classifier: FastClassifier,
        sources: Sequence[Source],
    ) -> None:
        self.folder = folder
        self.shipped = shipped
        self.classifier = classifier
        self.provider = Bookkeeper(_answer)
        self.steps: list[str] = []
        self.notes: list[str] = []
        self.sources = sources

    async def run(
        self,
        *,
        course: Course | None = None,
        seeds: bool = True,
        diary: Memory | None = None,
        step: Callable[[str], None] | None = None,
        judges: Sequence[Model] = (),
    ) -> Learned:
        parts = Parts(
            models=MODELS,
            providers={"p": self.provider},
            classifier=self.classifier,
            default=self.shipped,
            setup=Setup(build=replaying, prefer=0.8),
            diary=diary,
            judges=judges,
        )
        return await run(
            self.folder,
            self.sources if seeds else (),
            parts=parts,
            course=course or Course(count=COUNT),
            watcher=Watcher(step=step or self.steps.append, note=self.notes.append),
        )

    def plant(self, text: str) -> None:
        """From now on have the seeds in `text`."""
        seeds = self.folder.parent / "seeds.toml"
        seeds.write_text(text)
        self.sources = read([seeds])

    async def draw(self, text: str = "", *, count: int = 150) -> None:
        """Draw questions, from the seeds in `text` where there is any, and ask nobody."""
        if text:
            self.plant(text)
        with pytest.raises(_Drawn):
            await self.run(course=Course(count=count), step=_ended)

    def splits(self) -> dict[str, str]:
        """The split of each question in the folder, by its id."""
        found = read_questions(self.folder / "questions")
        return {question.id: split for split, part in found.items() for question in part}


def _ended(step: str) -> None:
    if step != "drawing questions":
        raise _Drawn


def _ended_before(last: str) -> Callable[[str], None]:
    def step(name: str) -> None:
        if name == last:
            raise _Drawn

    return step


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Source]:
    seeds = tmp_path_factory.mktemp("seeds") / "seeds.toml"
    seeds.write_text(SEEDS)
    return read([seeds])


@pytest.fixture
def case(
    tmp_path: Path, shipped: Artefact, classifier: FastClassifier, sources: Sequence[Source]
) -> _Case:
    return _Case(tmp_path / "loop", shipped, classifier, sources)


async def test_seeds_become_a_policy_that_serves_and_a_second_run_pays_nothing(
    case: _Case,
) -> None:
    found = await case.run()
    versions = Versions(case.folder / "policies")
    serving = versions.current()
    assert found.promotion.promoted
    assert serving is not None
    assert serving.id == found.promotion.id
    assert versions.read(serving.id).manifest.pool == ("large", "middle", "small")
    assert sum(found.questions.values()) == len({prompt for _, prompt in case.provider.asked})
    assert found.fitted_on == found.questions["train"] + found.questions["val"]
    assert case.steps[0] == "drawing questions"
    asked = len(case.provider.asked)
    again = await case.run(seeds=False)
    assert len(case.provider.asked) == asked
    assert again.promotion.id == found.promotion.id
    assert len(versions.ids()) == 1


async def test_labels_by_consensus_need_no_reference(case: _Case) -> None:
    found = await case.run(course=Course(count=COUNT, labels="consensus"))
    assert 0.0 < found.label_noise < 0.3
    policy = Versions(case.folder / "policies").read(found.promotion.id)
    assert policy.manifest.metrics["label_noise"] == found.label_noise


async def test_a_budget_is_never_passed_and_what_it_bought_is_learnt_from(case: _Case) -> None:
    whole = COUNT * 23e-6 * 45
    bounds = Bounds(budget_usd=0.6 * whole, choose="auto")
    found = await case.run(course=Course(count=COUNT, bounds=bounds))
    assert found.collected.spent_usd <= 0.6 * whole
    assert 0 < found.collected.answered < found.collected.total
    assert found.fitted_on >= 40


def _decision(number: int, prompt: str, texts: Sequence[str]) -> Outcome:
    """A decision for which every model drafted one of `texts`."""
    steps = tuple(
        Step(
            model=name,
            purpose="draft",
            cost_usd=1e-5,
            latency_s=0.1,
            usage=Usage(prompt_tokens=20, completion_tokens=3),
            text=text,
        )
        for name, text in zip(TALENT, texts, strict=True)
    )
    return Outcome(
        decision_id=f"d{number}",
        created=float(number),
        prompt=prompt,
        labels=Labels(axes={}),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=steps,
        verdicts=(),
        model="large",
        text=texts[-1],
        confidence=0.9,
        cost_usd=1e-4,
        latency_s=0.1,
    )


async def test_decisions_on_record_join_what_was_collected(case: _Case) -> None:
    diary = Memory()
    for number in range(60):
        prompt = f"What is {number} + 200? Reply with the number only."
        await diary.record(_decision(number, prompt, [str(number + 200)] * 3))
        await diary.note(Feedback(decision_id=f"d{number}", score=1.0, created=1.0))
    found = await case.run(diary=diary)
    assert found.traffic is not None
    assert found.traffic.prompts == 60
    assert found.fitted_on > found.questions["train"] + found.questions["val"]
    # Nothing of it was left to chance, so it says nothing of what another policy would have done.
    assert found.served is not None
    assert (found.served.drawn, found.served.candidate) == (0, None)
    assert "learn.explore" in found.served.why[0]
    assert b"learn.explore" in (case.folder / "report.json").read_bytes()


async def test_two_runs_in_one_folder_do_not_meet(case: _Case) -> None:
    case.folder.mkdir()
    taken = held(case.folder / "lock", wait_s=0.0)
    with taken, pytest.raises(StoreError, match=r"another learn run is at work in .*loop'"):
        await case.run()
    assert not case.provider.asked


async def test_a_file_in_the_folders_place_is_named(case: _Case) -> None:
    case.folder.write_text("mine")
    with pytest.raises(StoreError, match=r"cannot write .*loop'"):
        await case.run()


async def test_later_seeds_add_to_what_is_there_and_the_same_ones_change_nothing(
    case: _Case,
) -> None:
    path = case.folder / "questions" / "queries.parquet"
    await case.draw()
    first, before = case.splits(), path.read_bytes()
    await case.draw(SEEDS)
    assert path.read_bytes() == before
    await case.draw(SEEDS.replace('"sum"', '"product"').replace("a + b", "a * b"))
    both = case.splits()
    assert len(both) > len(first) + 100
    assert first.items() <= both.items()
    await case.draw(SEEDS, count=200)
    assert both.items() <= case.splits().items()


async def test_a_question_keeps_the_split_it_had(case: _Case) -> None:
    await case.draw()
    found = read_questions(case.folder / "questions")
    moved: dict[Split, list[Question]] = {"train": found["test"], "test": found["train"]}
    Synthesis(questions=moved).write(case.folder / "questions")
    before = case.splits()
    await case.draw()
    after = case.splits()
    assert len(after) == len(before) + len(found["val"])
    assert before.items() <= after.items()


async def test_seeds_that_give_nothing_leave_what_is_there(case: _Case) -> None:
    path = case.folder / "questions" / "queries.parquet"
    nothing = SEEDS.replace('reference = "{sum}"', 'reference = "{sum}"\nwhere = "a > 99"')
    with pytest.raises(DataError, match="nothing could be drawn"):
        await case.draw(nothing)
    assert not path.exists()
    await case.draw(SEEDS)
    before = path.read_bytes()
    with pytest.raises(DataError, match="nothing could be drawn"):
        await case.draw(nothing)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("count", "told"), [(110, True), (120, False), (150, False)])
async def test_too_few_held_out_questions_are_told_before_any_is_asked(
    case: _Case, count: int, told: bool
) -> None:
    await case.draw(count=count)
    assert not case.provider.asked
    assert bool(case.notes) is told
    if told:
        assert "may promote nothing: 46 questions" in case.notes[0]
        assert "draw 120 or more" in case.notes[0]


TABLE = """
[[seed]]
name = "sum"
template = "{ask} {row.a} + {row.b}{how}"
reference = "{row.sum}"
variations = false
grader = { type = "number" }

[seed.slots]
ask = ["What is", "Add", "Compute", "Find", "Tell me"]
how = ["? The number only.", "; reply with the number.", ". Just the number.", "?", "!"]
row = { table = "sums" }
"""


async def test_questions_that_are_variants_of_few_rows_are_told_before_any_is_asked(
    case: _Case,
) -> None:
    rows = [
        f'[[tables.sums]]\na = "{n}"\nb = "{n + 3}"\nsum = "{2 * n + 3}"\n' for n in range(10, 20)
    ]
    await case.draw("".join(rows) + TABLE, count=150)
    assert not case.provider.asked
    assert "may promote nothing" in case.notes[0]
    assert "are variants of" in case.notes[0]


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, float("nan")])
def test_a_canary_that_makes_no_sense_is_refused_before_anything_is_done(share: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Course(canary=share)


async def test_no_seeds_and_no_questions_is_an_error_that_says_so(case: _Case) -> None:
    with pytest.raises(DataError, match="name the seed files"):
        await case.run(seeds=False)


LETTERS = """
[[seed]]
name = "thanks"
wordings = [
  "Thank {name} in {town} for the {gift}.",
  "Write a note: {name} of {town} sent a {gift}.",
]
held_out = ["{name} ({town}) sent us a {gift}. Thank them."]
grader = { type = "judged", rubric = "Warm." }
variations = false

[seed.slots]
name = ["Mara", "Jon", "Ito", "Lea", "Sam", "Uma", "Ben", "Ada", "Kim", "Leo"]
town = ["Porto", "Graz", "Turin", "Bergen", "Ghent", "Lyon", "Cork", "Brno"]
gift = ["lamp", "chair", "book", "plant", "vase", "clock"]
"""
WARMTH = {"small": 4, "middle": 14, "large": 9}
"""Words of a note: the middle model says most of what there is to say."""
JUDGE = Model(name="judge", provider="p", upstream="judge", usd_per_mtok_in=2, usd_per_mtok_out=2)
KIND = [
    "thank",
    "you",
    "so",
    "very",
    "much",
    "for",
    "the",
    "lovely",
    "present",
    "it",
    "looks",
    "wonderful",
    "here",
    "with",
    "us",
]


def _note(call: Call) -> str:
    prompt = str(call.messages[-1]["content"])
    if call.model.name == "judge":
        _, first, second = (part.partition("\n<<")[0] for part in re.split(r"ANSWER \d\n", prompt))
        return "1" if len(first) > len(second) else "2"
    luck = hashlib.sha256(f"{call.model.name}{prompt}".encode()).digest()[0] % 3
    return " ".join(KIND[: WARMTH[call.model.name] - luck]) + "."


async def test_seeds_without_a_grader_are_judged_and_learnt_from_and_promote_nothing(
    case: _Case,
) -> None:
    case.provider.answer = _note
    case.plant(LETTERS)
    found = await case.run(course=Course(count=160), judges=(JUDGE,))
    assert found.judged is not None
    assert found.judged.asked > 100
    assert found.fitted_on > 60
    assert 0.0 < found.label_noise < 0.4
    held_out = found.questions["test"]
    assert case.notes[0].startswith(f"{held_out} of {held_out} held-out questions have no grader")
    assert "may promote nothing unless answers without a grader can be voted on" in case.notes[1]
    promotion = found.promotion
    assert not promotion.promoted
    assert promotion.comparison is None
    assert promotion.why.startswith(f"too little to tell; {held_out} held-out questions")
    assert f"emafusion promote {promotion.id} --force --why" in promotion.why
    versions = Versions(case.folder / "policies")
    assert versions.current() is None
    versions.promote(promotion.id, why="read by people")
    asked = len(case.provider.asked)
    again = await case.run(course=Course(count=160), seeds=False, judges=(JUDGE,))
    assert again.judged is not None
    assert again.judged.asked == 0
    assert len(case.provider.asked) == asked
    assert again.promotion.why == "it serves already"


async def test_policies_are_compared_on_what_is_marked_alone(case: _Case) -> None:
    case.provider.answer = lambda call: (
        _answer(call) if "number" in str(call.messages[-1]["content"]) else _note(call)
    )
    case.plant(SEEDS + LETTERS)
    found = await case.run(course=Course(count=200))
    questions = read_questions(case.folder / "questions")
    graded = sum(q.grader.type != "judged" for part in questions.values() for q in part)
    nobody = sum(q.grader.type == "judged" for q in questions["test"])
    compared = found.promotion.comparison
    assert compared is not None
    assert 0 < compared.queries == graded < sum(found.questions.values())
    assert f"; {nobody} held-out questions that nobody marks" in found.promotion.why


async def test_judges_never_see_what_is_on_record(case: _Case) -> None:
    case.provider.answer = _note
    case.plant(LETTERS)
    diary = Memory()
    for number in range(8):
        texts = [f"{' '.join(KIND[: 5 + 2 * size])}: private." for size in range(3)]
        await diary.record(_decision(number, f"Thank patient {number} for nothing.", texts))
    with pytest.raises(_Drawn):
        await case.run(
            course=Course(count=40), judges=(JUDGE,), diary=diary, step=_ended_before("fitting")
        )
    seen = [prompt for name, prompt in case.provider.asked if name == "judge"]
    assert len(seen) > 40
    assert not any("patient" in prompt or "private" in prompt for prompt in seen)


async def test_judges_are_paid_within_the_budget_of_the_whole(case: _Case) -> None:
    case.provider.answer = _note
    case.plant(LETTERS)
    course = Course(count=60, bounds=Bounds(budget_usd=0.05, max_tokens=20))
    outcomes = case.folder / "outcomes"
    # Those of an earlier run were paid too, where nobody is named to judge any more.
    for judges in ((JUDGE,), (JUDGE,), ()):
        with pytest.raises(_Drawn):
            await case.run(course=course, judges=judges, step=_ended_before("fitting"))
        with Journal(outcomes) as journal:
            answers = spent_of(journal.rows())
        assert spent(outcomes) > 0.0
        assert answers + spent(outcomes) <= 0.05
