"""What options give away: how it is read, that it is a probability, that a fit finds it."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.errors import ArtefactError
from emafusion.judge import option_prior, options, surface
from emafusion.judge.option_prior import TRAITS, WIDTH, OptionPrior
from emafusion.judge.rules import Look
from emafusion.learn.fit import option_priors
from emafusion.types import Completion, Draft, Request, Usage


def question(*texts: str) -> options.Options:
    lines = [f"{chr(65 + at)}. {text}" for at, text in enumerate(texts)]
    return options.offered("How far does the ball roll?\n" + "\n".join(lines))


def trait(offer: options.Options, name: str) -> list[float]:
    found: list[float] = option_prior.traits(offer)[:, TRAITS.index(name)].tolist()
    return found


def test_traits_compare_an_option_with_the_others() -> None:
    offer = question("1.2 m", "2.4 m", "12 m", "0.6 m", "none of these things")
    assert trait(offer, "longest") == [0, 0, 0, 0, 1]
    assert trait(offer, "vague") == [0, 0, 0, 0, 1]
    assert trait(offer, "number") == [1, 1, 1, 1, 0]
    assert trait(offer, "rank") == pytest.approx([1 / 3 - 0.5, 2 / 3 - 0.5, 0.5, -0.5, 0])
    derived = trait(offer, "derived")
    assert derived[0] == max(derived)  # twice it, ten times it and half of it are offered
    assert trait(offer, "first") == [1, 0, 0, 0, 0]


def test_words_shared_with_others_and_with_the_question() -> None:
    offer = question("the ball rolls down", "the ball stops", "a cat", "the moon")
    common = trait(offer, "common_words")
    assert common[1] > common[2] == 0.0
    assert trait(offer, "own_words")[2] == 1.0
    assert trait(offer, "asked_words")[0] > 0.0


def test_a_questions_mark_and_an_examples_options_are_not_its_options() -> None:
    asked = options.offered("Q: Which planet is largest?\nA. Mars\nB. Venus\nC. Jupiter")
    assert list(asked.wording) == ["A", "B", "C"]
    assert asked.question == "Q: Which planet is largest?\n"
    shown = "Which?\nA. 1\nB. 2\nC. 3\nAnswer: B\n\nWhich now?\nA. 4\nB. 5"
    assert dict(options.offered(shown).wording) == {"A": "4", "B": "5"}


def test_traits_of_another_version_are_refused() -> None:
    arrays = prior().to_arrays()
    with pytest.raises(ArtefactError, match="emafusion fit"):
        OptionPrior.from_arrays({**arrays, "option_traits": np.array(TRAITS[::-1])})
    with pytest.raises(ArtefactError, match="emafusion fit"):
        OptionPrior.from_arrays({**arrays, "option_weights": np.zeros(3)})


def test_the_fit_never_ends_below_a_blind_guess() -> None:
    """Traits of every scale, rows that no weights explain: Newton's steps must not run away."""
    rng = np.random.default_rng(8)
    words = ["zeal", "ox", "yarn", "quilt", "10 m", "20 m", "0.5", "none of these", "Two cats."]
    seen, chosen, scores = [], [], []
    for number in range(400):
        offered = rng.choice(words, 4, replace=False).tolist()
        seen.append(option_prior.traits(question(*[f"{word} {number % 7}" for word in offered])))
        right = offered.index(min(offered, key=len)) if number < 200 else int(rng.integers(4))
        chosen.append([right])
        scores.append([1.0])
    fitted, told = option_priors.fit(
        seen, np.array(chosen), scores=np.array(scores), fold=np.arange(400) // 80
    )
    assert fitted is not None
    held = np.mean([fitted.told(one)[pick] for one, (pick,) in zip(seen, chosen, strict=True)])
    assert held > 0.0
    assert np.abs(told).max() < 12.0


def test_no_options_no_traits() -> None:
    assert option_prior.traits(options.Options()).shape == (0, len(TRAITS))
    assert options.offered("Just a question?") == options.Options()


def test_odd_options_are_read() -> None:
    for texts in (
        ["1e400", "9" * 60, "-", "²"],
        ["", "a"],
        ["10^99", "x × 10^-99", "3 × 10^12", "7"],
    ):
        offer = question(*[text or "." for text in texts])
        assert np.isfinite(option_prior.traits(offer)).all()


def prior() -> OptionPrior:
    rng = np.random.default_rng(0)
    return OptionPrior(
        mean=np.zeros(len(TRAITS)), scale=np.ones(len(TRAITS)), weights=rng.normal(0, 0.3, WIDTH)
    )


def test_probabilities_of_one_question_sum_to_one() -> None:
    offer = question("1 m", "2 m", "3 km", "4 m and no more")
    told = prior().told(option_prior.traits(offer))
    assert np.exp(told).sum() / 4 == pytest.approx(1.0)
    assert list(prior().read(offer)) == ["A", "B", "C", "D"]


def test_it_survives_its_arrays_and_may_be_absent() -> None:
    seen = option_prior.traits(question("1 m", "2 m", "3 km"))
    again = OptionPrior.from_arrays(prior().to_arrays())
    assert again is not None
    assert again.told(seen) == pytest.approx(prior().told(seen))
    assert OptionPrior.from_arrays({}) is None


def test_a_draft_carries_the_hunch_on_the_option_it_chose() -> None:
    offer = question("1 m", "2 m", "3 km")
    hunches = prior().read(offer)
    favourite = max(hunches, key=hunches.__getitem__)
    draft = Draft(
        model="m",
        completion=Completion(text="The answer is (B).", usage=Usage()),
        cost_usd=0.0,
        latency_s=0.0,
    )
    request = Request(id="", messages=())
    row = surface.read(Look(request, draft, "choice", "B", offer, hunches))
    own, regret = (row[surface.NAMES.index(name)] for name in surface.HUNCHES)
    assert own == hunches["B"]
    assert regret == pytest.approx(hunches["B"] - hunches[favourite])
    blank = surface.read(Look(request, draft, "choice", "B", offer))
    assert [blank[surface.NAMES.index(name)] for name in surface.HUNCHES] == [0.0, 0.0]


def world(queries: int, seed: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Questions whose longest option is right three times in four; two models of middling skill."""
    rng = np.random.default_rng(seed)
    seen, chosen, scores = [], [], []
    for _ in range(queries):
        lengths = rng.permutation([3, 5, 8, 20])
        seen.append(option_prior.traits(question(*["x" * length for length in lengths])))
        right = int(lengths.argmax()) if rng.random() < 0.75 else int(lengths.argmin())
        named = [right if rng.random() < 0.6 else int(rng.integers(4)) for _ in range(2)]
        chosen.append(named)
        scores.append([float(one == right) for one in named])
    return seen, np.array(chosen), np.array(scores)


def test_a_fit_learns_how_right_options_are_written() -> None:
    seen, chosen, scores = world(600, seed=1)
    fold = np.arange(600) % 5
    fitted, told = option_priors.fit(seen, chosen, scores=scores, fold=fold)
    assert fitted is not None
    share = np.exp(fitted.told(option_prior.traits(question("x" * 3, "x" * 5, "x" * 20, "x" * 8))))
    # Known are only questions that somebody got right: most, and the longest among them.
    assert share.argmax() == 2
    assert 0.6 < share[2] / 4 < 0.9
    right = scores > 0.5
    assert told[:, :, 0][right].mean() > told[:, :, 0][~right].mean() + 0.5


def test_held_out_hunches_do_not_know_the_answer() -> None:
    """Where options say nothing, held-out hunches must not either."""
    rng = np.random.default_rng(4)
    seen, chosen, _ = world(400, seed=2)
    scores = (rng.random(chosen.shape) < 0.5).astype(float)
    _, told = option_priors.fit(seen, chosen, scores=scores, fold=np.arange(400) % 5)
    right = scores > 0.5
    assert abs(told[:, :, 0][right].mean() - told[:, :, 0][~right].mean()) < 0.15


def test_too_few_questions_fit_nothing() -> None:
    seen, chosen, scores = world(40, seed=3)
    fitted, told = option_priors.fit(seen, chosen, scores=scores, fold=np.arange(40) % 5)
    assert fitted is None
    assert not told.any()
    assert not option_priors.read(None, seen, chosen).any()
