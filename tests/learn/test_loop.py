"""Seeds in, a policy that serves out: the whole loop, with models whose talents are known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from emafusion import artefacts
from emafusion.artefacts import Artefact, Versions
from emafusion.artefacts.lock import held
from emafusion.config.build import replaying
from emafusion.encoders import Remembered, default
from emafusion.errors import DataError, StoreError
from emafusion.learn.bounds import Bounds
from emafusion.learn.compare import Setup
from emafusion.learn.loop import Course, Learned, Parts, Watcher, run
from emafusion.learn.seeds import Source, read
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


class _Case:
    def __init__(self, folder: Path, shipped: Artefact, classifier: FastClassifier) -> None:
        self.folder = folder
        self.shipped = shipped
        self.classifier = classifier
        self.provider = Bookkeeper(_answer)
        self.steps: list[str] = []
        seeds = folder.parent / "seeds.toml"
        seeds.write_text(SEEDS)
        self.sources: Sequence[Source] = read([seeds])

    async def run(
        self, *, course: Course | None = None, seeds: bool = True, diary: Memory | None = None
    ) -> Learned:
        parts = Parts(
            models=MODELS,
            providers={"p": self.provider},
            classifier=self.classifier,
            default=self.shipped,
            setup=Setup(build=replaying, prefer=0.8),
            diary=diary,
        )
        return await run(
            self.folder,
            self.sources if seeds else (),
            parts=parts,
            course=course or Course(count=300),
            watcher=Watcher(step=self.steps.append),
        )


@pytest.fixture
def case(tmp_path: Path, shipped: Artefact, classifier: FastClassifier) -> _Case:
    return _Case(tmp_path / "loop", shipped, classifier)


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
    found = await case.run(course=Course(count=300, labels="consensus"))
    assert 0.0 < found.label_noise < 0.3
    policy = Versions(case.folder / "policies").read(found.promotion.id)
    assert policy.manifest.metrics["label_noise"] == found.label_noise


async def test_a_budget_is_never_passed_and_what_it_bought_is_learnt_from(case: _Case) -> None:
    whole = 300 * 23e-6 * 45
    bounds = Bounds(budget_usd=0.6 * whole, choose="auto")
    found = await case.run(course=Course(count=300, bounds=bounds))
    assert found.collected.spent_usd <= 0.6 * whole
    assert 0 < found.collected.answered < found.collected.total
    assert found.fitted_on >= 40


async def test_decisions_on_record_join_what_was_collected(case: _Case) -> None:
    diary = Memory()
    for number in range(60):
        prompt = f"What is {number} + 200? Reply with the number only."
        steps = tuple(
            Step(
                model=name,
                purpose="draft",
                cost_usd=1e-5,
                latency_s=0.1,
                usage=Usage(prompt_tokens=20, completion_tokens=3),
                text=str(number + 200),
            )
            for name in TALENT
        )
        await diary.record(
            Outcome(
                decision_id=f"d{number}",
                created=float(number),
                prompt=prompt,
                labels=Labels(axes={}),
                forecast=Forecast(estimates=()),
                plan=None,
                steps=steps,
                verdicts=(),
                model="large",
                text=str(number + 200),
                confidence=0.9,
                cost_usd=1e-4,
                latency_s=0.1,
            )
        )
        await diary.note(Feedback(decision_id=f"d{number}", score=1.0, created=1.0))
    found = await case.run(diary=diary)
    assert found.traffic is not None
    assert found.traffic.prompts == 60
    assert found.fitted_on > found.questions["train"] + found.questions["val"]


async def test_two_runs_in_one_folder_do_not_meet(case: _Case) -> None:
    case.folder.mkdir()
    with held(case.folder / "lock", wait_s=0.0), pytest.raises(StoreError, match="another process"):
        await case.run()
    assert not case.provider.asked


async def test_no_seeds_and_no_questions_is_an_error_that_says_so(case: _Case) -> None:
    with pytest.raises(DataError, match="name the seed files"):
        await case.run(seeds=False)
