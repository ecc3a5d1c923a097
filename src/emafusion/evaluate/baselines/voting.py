"""Answers weighed against each other: the most supported one is given, all are paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emafusion.evaluate.baselines.plays import Play, available

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emafusion.evaluate.runs import Table

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]


def agreement(table: Table) -> NDArray[np.bool_]:
    """Whether two models gave the same readable answer, shape (n, m, m).

    An answer that cannot be read agrees with none, not even with itself.
    """
    answers = np.where(available(table), table.answers, -1)
    readable = (answers >= 0)[:, :, None]
    return np.asarray((answers[:, :, None] == answers[:, None, :]) & readable)


def vote(
    table: Table, panel: Indices, *, weights: Array, agree: NDArray[np.bool_] | None = None
) -> Play:
    """The answer that the panel's weights support most; of ties, that of the panel's earliest.

    Parameters
    ----------
    panel : ndarray of int, shape (n, k) or (k,)
        Who is asked, best first; −1 for nobody. Where no draft can be read, the earliest is given.
    weights : ndarray, shape (m,)
        What each model's voice counts, positive.
    agree : ndarray of bool, shape (n, m, m), optional
        :func:`agreement` of the table, if it is at hand.
    """
    n = len(table.queries)
    seats = np.broadcast_to(panel, (n, panel.shape[-1]))
    equal = agreement(table) if agree is None else agree
    rows = np.arange(n)[:, None, None]
    seated = (seats >= 0) & np.take_along_axis(available(table), np.maximum(seats, 0), axis=1)
    same = equal[rows, seats[:, :, None], seats[:, None, :]] & seated[:, None, :]
    voices = np.where(seated, weights[seats], 0.0)
    support = np.where(seated, (same * voices[:, None, :]).sum(axis=2), -1.0)
    # Sums of the same voices in another order may differ in the last digits: ties are ties.
    seat = (support >= support.max(axis=1, keepdims=True) - 1e-9).argmax(axis=1)
    chosen = np.take_along_axis(seats, seat[:, None], axis=1)[:, 0]
    share = support.max(axis=1) / np.maximum(voices.sum(axis=1), 1e-12)
    return Play(calls=np.where(seated, seats, -1), chosen=chosen, confidences=np.clip(share, 0, 1))


def seated(table: Table, order: Indices, size: int) -> Indices:
    """The first ``size`` models of an order that have a recorded answer, shape (n, size)."""
    there = available(table)[:, order]
    taken = there & (there.cumsum(axis=1) <= size)
    places = np.argsort(~taken, axis=1, kind="stable")[:, :size]
    return np.where(np.take_along_axis(taken, places, axis=1), order[places], -1)


def voices(train: Table, accuracy: Array) -> Array:
    """Each model's weight in a vote, ``log(p K / (1 − p))``, at least a little above 0.

    K is how many ways of being wrong there are: one over the chance that two wrong answers agree.

    References
    ----------
    Nitzan & Paroush, "Optimal Decision Rules in Uncertain Dichotomous Choice Situations", 1982;
    its form for many alternatives assumes independent voters and equally likely wrong answers.
    """
    right = np.clip(accuracy, 0.01, 0.99)
    return np.asarray(np.maximum(np.log(right * _ways(train) / (1 - right)), 0.05))


def _ways(train: Table) -> float:
    wrong = (np.nan_to_num(train.scores, nan=1.0) < 0.5) & (train.answers >= 0)
    pairs = wrong[:, :, None] & wrong[:, None, :] & ~np.eye(wrong.shape[1], dtype=bool)
    if not pairs.any():
        return 1.0
    met = (pairs & agreement(train)).sum() / pairs.sum()
    return float(1.0 / max(met, 1e-3))
