"""What is sensitive reaches no public model and no file, whichever way an answer is made.

The policy here is eager: it asks the slow classifier, judges and comparisons at every chance. Each
test shows that the way was taken: the public supplier was asked for it, with placeholders.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emafusion import artefacts
from emafusion.config.build import shipped
from emafusion.plan.combining import FEATURES, Gain
from emafusion.types import Adaptive, Cascade, Outcome
from emafusion.understand import Mixture

from ..parts import Reply, until
from .taint import CARD, EMAIL, HARD, RESTRICTED, TEXT, WORD, Place, placed, settings, tapped, told
from .tap import PLACEHOLDER, POOL

NAMES = (*POOL, "labels", "refusing", "late", "plain")
TRIES = 20
MORE = """
[understand]
slow = "labels"
split = "slow"
[artefact]
path = "FOLDER/policy"
[learn]
explore = 1.0
explore_budget = 1000.0
check = 1.0
check_budget = 1000.0
"""


def eager() -> artefacts.Artefact:
    """The shipped policy, but that nothing is too dear for it."""
    policy = shipped()
    size = 1 + len(FEATURES) + len(POOL)
    gain = Gain(
        by=tuple(POOL),
        mean=np.zeros(len(FEATURES)),
        scale=np.ones(len(FEATURES)),
        weights=np.eye(size)[0],
        covariance=np.zeros((size, size)),
        weight=1.0,
    )
    axes: Any = ("task", "complexity", "domain", "format")
    mixture = Mixture(weight=dict.fromkeys(axes, 1.0), trust=dict.fromkeys(axes, 0.9), unsure=1.1)
    arrays = dict(policy.arrays)
    arrays |= {f"plan/{name}": one for name, one in gain.to_arrays("compare").items()}
    arrays |= {f"understand/{name}": one for name, one in mixture.to_arrays().items()}
    arrays["plan/judges"] = np.full(len(POOL), 3.0)
    weights = np.array(arrays["plan/lookahead_weights"], dtype=np.float32)
    weights[:, :, 0] += 10.0  # the intercept of what another draft is worth
    arrays["plan/lookahead_weights"] = weights
    arrays["plan/lookahead_safe"] = np.full_like(arrays["plan/lookahead_safe"], -1)
    return msgspec.structs.replace(policy, arrays=arrays)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("taint")
    artefacts.write(folder / "policy", eager())
    with tapped() as taps:
        configured = settings(*taps, MORE, NAMES).replace("workers = 2", "workers = 1")
        configured = configured.replace(
            "max_cost_usd = 0.5", "max_cost_usd = 0.5\nhedge = true\nhedge_after_s = 0.2"
        )
        with placed(folder, configured, taps) as found:
            yield found


@pytest.fixture(autouse=True)
def untainted(place: Place) -> Iterator[None]:
    yield
    place.clean()


def asked(place: Place, text: str, **fields: Any) -> tuple[str, Outcome]:
    """The answer to `text`, and what is on record of it."""
    stream = fields.get("stream", False)
    reply: Reply = place.ask(text=text, **fields)
    return told(reply, stream), place.house.outcome(reply)


def masked(place: Place, task: str, since: int) -> list[str]:
    """The models that were asked for `task`, each of them with placeholders."""
    calls = place.public.asked(task, since)
    assert all(one.placeholders for one in calls), calls
    return [one.model for one in calls]


@pytest.mark.parametrize("stream", [False, True])
def test_an_adaptive_plan_and_its_comparison(place: Place, stream: bool) -> None:
    since = len(place.public.calls)
    knobs = {"models": list(POOL), "prefer": 1.0}
    found, outcome = asked(place, f"{stream}: {HARD} {TEXT}", knobs=knobs, stream=stream)
    assert outcome.plan is not None
    assert isinstance(outcome.plan.arrangement, Adaptive)
    drafted = masked(place, "draft", since)
    assert len(drafted) > 1
    assert set(drafted) <= set(POOL)
    assert masked(place, "compare", since)
    assert EMAIL in found
    assert PLACEHOLDER.search(found) is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_cascade_and_its_judge(place: Place, stream: bool) -> None:
    since = len(place.public.calls)
    knobs = {"models": list(POOL), "prefer": 0.5, "arrangement": "cascade", "explore": False}
    judged = False
    for n in range(TRIES):
        # Whether a judge is worth asking depends on the text, so on what stands for the value.
        mail = f"{n}.{stream}.{EMAIL}".lower()
        found, outcome = asked(place, f"Extract it: {mail}.", knobs=knobs, stream=stream)
        assert mail in found
        assert outcome.plan is not None
        assert isinstance(outcome.plan.arrangement, Cascade)
        judged = any(step.purpose == "judge" for step in outcome.steps)
        if judged:
            break
    assert judged, outcome.explain()
    assert masked(place, "judge", since)
    masked(place, "draft", since)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["fusion", "synthesis"])
def test_a_panel_and_its_writer(place: Place, kind: str, stream: bool) -> None:
    since = len(place.public.calls)
    knobs = {"models": list(POOL), "prefer": 1.0, "arrangement": kind}
    found, _ = asked(place, f"{kind} {stream}: {HARD} {TEXT}", knobs=knobs, stream=stream)
    assert len(masked(place, "draft", since)) > 1
    if kind == "synthesis":
        assert len(masked(place, "write", since)) == 1
    assert EMAIL in found
    assert PLACEHOLDER.search(found) is None


@pytest.mark.parametrize("stream", [False, True])
def test_the_slow_splitter_and_its_parts(place: Place, stream: bool) -> None:
    since = len(place.public.calls)
    text = f"what is 8 times 7 for {EMAIL}, also write a slogan{'!' * stream} for the card {CARD}"
    found, outcome = asked(place, text, stream=stream)
    assert masked(place, "label", since)
    assert masked(place, "split", since) == ["labels"]
    assert len(outcome.parts) == 2
    assert EMAIL in found
    assert CARD in found
    masked(place, "draft", since)


def test_a_second_call_for_a_late_answer(place: Place) -> None:
    since = len(place.public.calls)
    while len(place.public.asked("draft", since, "late")) < 2:
        now = len(place.public.calls)
        found, _ = asked(place, f"{now}: {TEXT}", model="late")
        assert found == f"echo: {now}: {TEXT}"
        assert now < since + 4
    assert set(masked(place, "draft", since)) == {"late"}


def test_who_is_asked_after_a_refusal(place: Place) -> None:
    since = len(place.public.calls)
    knobs = {"models": ["refusing", "plain"], "prefer": 0.0, "explore": False}
    for n in range(4):
        found, outcome = asked(place, f"{n}: {TEXT}", knobs=knobs)
        assert found == f"echo: {n}: {TEXT}"
    failed = [step for step in outcome.steps if step.error is not None]
    assert [step.model for step in failed] == ["refusing"]
    assert set(masked(place, "draft", since)) == {"refusing", "plain"}


def test_what_is_explored_and_checked(place: Place) -> None:
    since = len(place.public.calls)
    explored = checked = False
    for n in range(200):
        text = (
            f"{n}. Which is a fruit, asks {EMAIL}: A) apple B) stone? Reply with the letter only."
        )
        found, outcome = asked(place, text)
        assert found == "A"
        explored = explored or (outcome.plan is not None and outcome.plan.explored)
        checked = checked or _checked(place)
        if explored and checked:
            break
    assert explored
    until(lambda: _checked(place))
    masked(place, "draft", since)
    checks = [one for one in place.house.outcomes().values() if one.steps[0].purpose == "check"]
    assert all(PLACEHOLDER.search(one.prompt) for one in checks)


def _checked(place: Place) -> bool:
    found = place.house.outcomes()
    return any(name.startswith("check:") for name in found)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["auto", "single", "cascade", "fusion", "synthesis"])
def test_what_is_restricted_stays_here(place: Place, kind: str, stream: bool) -> None:
    since = len(place.public.calls)
    text = f"{WORD} {kind}, also {WORD}: {HARD}"
    knobs = {"arrangement": kind, "prefer": 1.0}
    reply = place.ask(text=text, knobs=knobs, stream=stream, headers=RESTRICTED)
    if kind in ("auto", "single"):
        assert WORD in told(reply, stream)
        assert place.private.has(WORD) == [WORD]
    else:  # one private model makes no panel of several, but may make one of itself
        assert reply.status in (200, 400)
    assert len(place.public.calls) == since
