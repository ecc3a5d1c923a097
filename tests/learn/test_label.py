"""Consensus: what models' answers say of each other, against truths that it never sees."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.errors import DataError
from emafusion.learn.label import comparable, consensus, steadied

ABILITIES = (0.9, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.35)


def _world(
    count: int = 3000, *, abilities: tuple[float, ...] = ABILITIES, together: float = 0.6
) -> tuple[np.ndarray, np.ndarray]:
    """Answers 0 … 9 and whether each is right; hard questions are hard for everybody.

    `together` is the share of wrong answers that fall for the question's one lure.
    """
    rng = np.random.default_rng(0)
    truth = rng.integers(10, size=count)
    lure = (truth + rng.integers(1, 10, size=count)) % 10
    hard = 3.0 * together * rng.normal(size=(count, 1))
    bars = np.log(np.array(abilities) / (1 - np.array(abilities)))
    right = rng.random((count, len(abilities))) < 1 / (1 + np.exp(-(bars - hard)))
    other = np.where(
        rng.random(right.shape) < together, lure[:, None], rng.integers(10, size=right.shape)
    )
    said = np.where(right, truth[:, None], other)
    return said, (said == truth[:, None]).astype(float)


def _asked(said: np.ndarray) -> np.ndarray:
    return np.ones(said.shape, dtype=bool)


def test_it_tells_right_answers_from_wrong_and_good_models_from_poor() -> None:
    said, scores = _world()
    found = consensus(said, asked=_asked(said))
    ranks = found.scores.ravel().argsort().argsort()
    right = scores.ravel() > 0.5
    auc = (ranks[right].mean() - (right.sum() - 1) / 2) / (~right).sum()
    assert auc > 0.9
    assert (
        np.argsort(found.reliability)[::-1][:3] == np.argsort(scores.mean(axis=0))[::-1][:3]
    ).all()
    assert np.abs(found.reliability - scores.mean(axis=0)).max() < 0.15


def test_it_beats_counting_votes_where_one_model_knows_best() -> None:
    said, scores = _world(abilities=(0.95, 0.5, 0.45, 0.45, 0.4), together=0.3)
    found = consensus(said, asked=_asked(said))
    votes = (said[:, :, None] == said[:, None, :]).sum(axis=2)
    rows = np.arange(len(said))
    ours = scores[rows, found.scores.argmax(axis=1)].mean()
    counted = scores[rows, votes.argmax(axis=1)].mean()
    assert ours > counted + 0.03


def test_its_noise_is_near_the_share_of_wrong_labels() -> None:
    said, scores = _world()
    found = consensus(said, asked=_asked(said))
    wrong = ((found.scores > 0.5) != (scores > 0.5)).mean()
    assert 0.4 * wrong < found.noise < 2.5 * wrong


def test_known_scores_stand_and_make_the_others_better() -> None:
    # Three of five copy each other's mistakes: without any truth they carry every vote.
    said, scores = _world(abilities=(0.85, 0.8, 0.3, 0.3, 0.3))
    known = np.full(scores.shape, np.nan)
    known[:300] = scores[:300]
    alone = consensus(said, asked=_asked(said))
    helped = consensus(said, asked=_asked(said), scores=known)
    assert (helped.scores[:300] == scores[:300]).all()
    off = [np.abs(one.scores[300:] - scores[300:]).mean() for one in (helped, alone)]
    assert off[0] < off[1]


def test_unreadable_answers_are_wrong_and_unasked_cells_have_no_label() -> None:
    said, _ = _world(200)
    asked = _asked(said)
    said[0, 0] = -1
    asked[1, 1] = False
    found = consensus(said, asked=asked)
    assert found.scores[0, 0] == 0.0
    assert np.isnan(found.scores[1, 1])


def test_queries_without_two_answers_get_no_label() -> None:
    said, _ = _world(200)
    said[5, 1:] = -1
    found = consensus(said, asked=_asked(said))
    assert np.isnan(found.scores[5]).all()
    assert found.labelled == 199


def test_two_models_or_nothing_to_compare_is_refused() -> None:
    said, _ = _world(50)
    with pytest.raises(DataError, match="at least 3 models"):
        consensus(said[:, :2], asked=_asked(said[:, :2]))
    with pytest.raises(DataError, match="references or graders"):
        consensus(np.full((50, 4), -1), asked=np.ones((50, 4), dtype=bool))


def test_the_best_model_outvotes_two_of_middling_use() -> None:
    # On recorded outcomes the best model, alone, is right more often than logit(a) has it.
    rng = np.random.default_rng(0)
    right = rng.random((4000, 5)) < (0.72, 0.62, 0.62, 0.5, 0.5)
    said = np.where(right, 0, rng.integers(1, 9, size=right.shape))
    said[-1] = 0, 1, 1, 2, 3
    known = right.astype(float)
    known[-1] = np.nan
    last = consensus(said, asked=_asked(said), scores=known).scores[-1]
    assert last[0] > last[1] == last[2] > last[3]


def _distance(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(found - truth).mean())


def test_steadied_scores_move_towards_the_votes_less_with_more_rows() -> None:
    said, scores = _world(3000)
    none = np.zeros(scores.shape)
    few = steadied(said[:300], scores[:300], hunches=none[:300])
    many = steadied(said, scores, hunches=none)
    assert 0.0 < _distance(many, scores) < 0.5 * _distance(few, scores[:300])
    assert ((few > 0.5) == (scores[:300] > 0.5)).mean() > 0.95


def test_steadied_scores_vary_less_about_what_can_be_known() -> None:
    # Whether an answer is right beyond what votes tell is luck here: the model of the world knows
    # its chances, and a score moved towards the votes is nearer to them.
    said, scores = _world(300)
    _, again = _world(3000)
    chance = np.zeros(scores.shape)
    votes = (said[:, :, None] == said[:, None, :]).sum(axis=2)
    wide, _ = _world(3000)
    counts = (wide[:, :, None] == wide[:, None, :]).sum(axis=2)
    for model in range(scores.shape[1]):
        for count in range(1, scores.shape[1] + 1):
            alike = counts[:, model] == count
            if alike.any():
                chance[votes[:, model] == count, model] = again[alike, model].mean()
    found = steadied(said, scores, hunches=np.zeros(scores.shape))
    assert ((found - chance) ** 2).mean() < 0.6 * ((scores - chance) ** 2).mean()


def test_scores_that_no_vote_tells_of_stay() -> None:
    said, scores = _world(100)
    said[0] = -1
    said[1, 1:] = -1
    scores[2, 3] = np.nan
    none = np.zeros(scores.shape)
    found = steadied(said, scores, hunches=none)
    assert (found[:2] == scores[:2]).all()
    assert np.isnan(found[2, 3])
    assert (steadied(said[:, :2], scores[:, :2], hunches=none[:, :2])[3:] == scores[3:, :2]).all()


def test_copies_of_one_model_have_one_vote_between_them() -> None:
    said, scores = _world(abilities=(0.75, 0.72, 0.7, 0.45))
    rng = np.random.default_rng(1)
    copy = np.where(rng.random(len(said)) < 0.05, said[:, 0], said[:, 3])
    said, truth = np.column_stack([said, copy, said[:, 3]]), scores.mean(axis=0)
    found = consensus(said, asked=_asked(said))
    assert found.reliability[3] < found.reliability[:3].min()
    assert np.abs(found.reliability[:4] - truth).max() < 0.2


def test_the_kind_decides_whether_votes_count() -> None:
    said = np.array([[0, 0, 1], [0, 1, 2], [0, 0, 0], [0, 0, 1], [-1, 0, -1], [-1, -1, -1]])
    asked = _asked(said)
    kinds = ["sum", "sum", "sum", "letter", "letter", "letter"]
    assert comparable(said, asked=asked, kinds=kinds).tolist() == [True] * 3 + [False] * 3
    assert comparable(said, asked=asked, kinds=["any"] * 6).tolist() == [True] * 4 + [False] * 2
    unknown = [*kinds[:3], "", "", ""]
    said[4:, :2] = 0
    assert comparable(said, asked=asked, kinds=["sum"] * 3 + ["letter"] * 3)[3:].all()
    assert not comparable(said, asked=asked, kinds=unknown)[3:].any()
    lone = np.zeros_like(asked)
    lone[:, 0] = True
    assert not comparable(said, asked=lone, kinds=kinds).any()
