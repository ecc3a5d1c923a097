"""Judges' words joined into soft labels: whose drafts are better, and how sure that is."""

from __future__ import annotations

import numpy as np

from emafusion.learn.labelling import NOTHING, Opinions, judged

from .drafting import recorded

MODELS = ("thorough", "terse", "stray")
WORDS = [f"fact{n}" for n in range(60)]


def _texts(count: int = 40) -> list[list[str]]:
    """The thorough model says most of what there is to say, the stray one other things."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        said = [rng.random(60) < share for share in (0.8, 0.45)]
        stray = " ".join(f"aside{n}" for n in rng.integers(1000, size=25))
        rows.append([*(" ".join(w for w, s in zip(WORDS, one, strict=True) if s) for one in said)])
        rows[-1].append(stray)
    return rows


def _none(texts: list[list[str]]) -> np.ndarray:
    return np.zeros((len(texts), 3), dtype=bool)


def test_who_says_what_the_others_say_gets_the_better_label() -> None:
    texts = _texts()
    outcomes = recorded(texts, models=MODELS)
    found = judged(outcomes, outcomes.scores, flagged=_none(texts))
    means = found.scores.mean(axis=0)
    assert means[0] > means[1] > means[2]
    np.testing.assert_allclose(found.scores.mean(axis=1), 0.5)
    assert ((found.scores > 0.0) & (found.scores < 1.0)).all()
    assert found.labelled == len(texts)
    assert 0.0 < found.noise < 0.5


def test_known_scores_stand_and_their_queries_get_no_label() -> None:
    texts = _texts(4)
    scores = np.full((4, 3), np.nan)
    scores[0] = [0.0, 1.0, np.nan]
    outcomes = recorded(texts, models=MODELS, scores=scores)
    found = judged(outcomes, scores, flagged=_none(texts))
    np.testing.assert_array_equal(found.scores[0], scores[0])
    assert found.labelled == 3
    assert not np.isnan(found.scores[1:]).any()


def test_a_lone_draft_and_one_that_is_missing_have_no_label() -> None:
    rows: list[list[str | None]] = [["a b c", None, None], ["first thing", "second thing", None]]
    outcomes = recorded(rows, models=MODELS)
    found = judged(outcomes, outcomes.scores, flagged=np.zeros((2, 3), dtype=bool))
    assert np.isnan(found.scores[0]).all()
    assert np.isnan(found.scores[1]).tolist() == [False, False, True]


def test_a_draft_that_speaks_to_its_judge_or_breaks_a_demand_falls() -> None:
    same = "We moved the meeting to Tuesday because of the storm"
    rows = [[same + ".", same + "!", same + " now."]] * 2
    prompts = ["Tell the team.", "Tell the team in at most 10 words."]
    outcomes = recorded(rows, models=MODELS, prompts=prompts)
    flagged = np.zeros((2, 3), dtype=bool)
    flagged[0, 1] = True
    found = judged(outcomes, outcomes.scores, flagged=flagged)
    assert found.scores[0].argmin() == 1
    assert found.scores[1].argmin() == 2


def test_models_that_judge_are_heard_as_far_as_they_were_right() -> None:
    texts = _texts()
    outcomes = recorded(texts, models=MODELS)
    said = {
        (query, model): {"judge": odds}
        for query in outcomes.queries
        for model, odds in zip(MODELS, (0.1, 0.9, 0.5), strict=True)
    }
    means = {
        right: judged(
            outcomes,
            outcomes.scores,
            flagged=_none(texts),
            opinions=Opinions(said=said, right={"judge": right}),
        ).scores.mean(axis=0)
        for right in (0.3, 0.75, 0.95)
    }
    alone = judged(outcomes, outcomes.scores, flagged=_none(texts), opinions=NOTHING)
    np.testing.assert_allclose(means[0.3], alone.scores.mean(axis=0))
    gaps = [means[right][1] - means[right][0] for right in (0.3, 0.75, 0.95)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 0.2


def test_its_noise_is_near_the_share_of_pairs_in_the_wrong_order() -> None:
    rng = np.random.default_rng(1)
    worth = np.array([0.75, 0.6, 0.5, 0.35])
    own = np.clip(worth + rng.normal(scale=0.1, size=(300, 4)), 0.05, 0.95)
    texts = [[" ".join(w for w in WORDS if rng.random() < share) for share in row] for row in own]
    outcomes = recorded(texts, models=("a", "b", "c", "d"))
    found = judged(outcomes, outcomes.scores, flagged=np.zeros((300, 4), dtype=bool))
    ones, twos = np.triu_indices(4, 1)
    order = (own[:, ones] > own[:, twos]) == (found.scores[:, ones] > found.scores[:, twos])
    assert abs(found.noise - (1.0 - order.mean())) < 0.12
