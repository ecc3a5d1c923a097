"""What the log tells of another policy is what that policy would have brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from emafusion.errors import DataError
from emafusion.learn.bootstrap import mean
from emafusion.learn.off_policy import Evaluation, Logged, evaluate
from emafusion.types import replace

SMALL, LARGE = "small", "large"
Policy = list[dict[str, float]]


def rate(action: str, hard: float) -> float:
    """P(good answer): the small model fails where it is hard."""
    return 0.9 - 0.7 * hard if action == SMALL else 0.85 - 0.05 * hard


def log(count: int, seed: int, *, large: float = 0.3) -> list[Logged]:
    """Traffic of a policy that asks the large model with probability `large`, rarer when easy."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        hard = float(rng.random())
        chance = large * (0.5 + hard)
        action = LARGE if rng.random() < chance else SMALL
        rows.append(
            Logged(
                decision_id=str(number),
                action=action,
                propensity=chance if action == LARGE else 1.0 - chance,
                reward=float(rng.random() < rate(action, hard)),
                cost_usd=0.01 if action == LARGE else 0.001,
                features=(hard, float(rng.random())),
            )
        )
    return rows


def sharp(rows: Sequence[Logged]) -> Policy:
    """Asks the large model where it is hard, and only there."""
    return [{LARGE: float(r.features[0] > 0.4), SMALL: float(r.features[0] <= 0.4)} for r in rows]


def truth(rows: Sequence[Logged], policy: Policy, price: float = float("inf")) -> float:
    cost = {SMALL: 0.001, LARGE: 0.01}
    return float(
        np.mean(
            [
                sum(p * (rate(a, r.features[0]) - cost[a] / price) for a, p in one.items())
                for r, one in zip(rows, policy, strict=True)
            ]
        )
    )


@pytest.fixture(scope="module")
def found() -> list[tuple[Evaluation, float]]:
    """Logs, what each says of the sharp policy, and the truth."""
    logs = [log(500, seed) for seed in range(20)]
    return [(evaluate(rows, sharp(rows)), truth(rows, sharp(rows))) for rows in logs]


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_no_estimate_is_biased(found: list[tuple[Evaluation, float]], name: str) -> None:
    errors = [dict(one.estimates)[name].value - true for one, true in found]  # type: ignore[index]
    assert abs(np.mean(errors)) < 3.0 * np.std(errors) / len(errors) ** 0.5


def test_a_gain_over_another_policy_is_paired() -> None:
    rows = log(500, 3)
    always: Policy = [{LARGE: 1.0}] * len(rows)
    same = evaluate(rows, sharp(rows), over=sharp(rows)).gain
    assert (same.low, same.high) == (0.0, 0.0)
    found, alone = evaluate(rows, sharp(rows), over=always), evaluate(rows, always)
    assert found.gain.value == pytest.approx(
        found.estimates["dr"].value - alone.estimates["dr"].value
    )
    true = truth(rows, sharp(rows)) - truth(rows, always)
    assert found.gain.low < true < found.gain.high


def test_what_had_no_chance_to_be_served_is_not_told_of() -> None:
    """Rows on which the small model alone might be asked say nothing of the large one."""
    rows = [
        replace(row, action=SMALL, propensity=0.99) if row.features[0] > 0.5 else row
        for row in log(1000, 4, large=0.5)
    ]
    with pytest.raises(DataError, match="had a chance to be served"):
        evaluate(rows, [{LARGE: 1.0}] * len(rows))


def test_doubly_robust_varies_less_than_inverse_propensity(
    found: list[tuple[Evaluation, float]],
) -> None:
    spread = {
        name: np.std([one.estimates[name].value - true for one, true in found])
        for name in found[0][0].estimates
    }
    assert spread["dr"] < 0.8 * spread["ips"]
    assert spread["snips"] < spread["ips"]


def test_the_interval_covers_the_truth_as_often_as_it_says(
    found: list[tuple[Evaluation, float]],
) -> None:
    inside = [one.estimates["dr"].low <= true <= one.estimates["dr"].high for one, true in found]
    assert sum(inside) >= 16


def test_the_gain_is_over_what_was_served_net_of_cost() -> None:
    rows = log(2000, 1)
    evaluation = evaluate(rows, sharp(rows), usd_per_quality=0.1)
    true = truth(rows, sharp(rows), price=0.1)
    served = float(np.mean([row.reward - row.cost_usd / 0.1 for row in rows]))
    assert evaluation.logged.value == pytest.approx(served)
    assert evaluation.gain.value == pytest.approx(true - served, abs=0.04)
    assert evaluation.gain.low > 0.0
    assert evaluation.gain.above == 1.0


def test_a_wrong_model_of_rewards_leaves_doubly_robust_right() -> None:
    blind = [
        Logged(
            decision_id=row.decision_id,
            action=row.action,
            propensity=row.propensity,
            reward=row.reward,
        )
        for row in log(2000, 3)
    ]
    rows = log(2000, 3)
    told = evaluate(blind, sharp(rows)).estimates["dr"]
    assert told.low <= truth(rows, sharp(rows)) <= told.high


def test_the_same_policy_earns_what_it_earned() -> None:
    rows = [
        Logged(decision_id=str(n), action=SMALL, propensity=1.0, reward=n % 2) for n in range(100)
    ]
    evaluation = evaluate(rows, [{SMALL: 1.0}] * 100)
    assert evaluation.effective == pytest.approx(100)
    assert {round(one.value, 9) for one in evaluation.estimates.values()} == {0.5}
    assert evaluation.gain.value == pytest.approx(0.0)


def test_what_was_hardly_ever_served_cannot_be_told_of() -> None:
    rows = log(300, 5, large=0.02)
    with pytest.raises(DataError, match="at least 40 are needed: explore more"):
        evaluate(rows, [{LARGE: 1.0}] * 300)
    with pytest.raises(DataError, match="as much of this policy as 0"):
        evaluate(rows, [{"never seen": 1.0}] * 300)


def drawn(count: int, chance: float, seed: int = 6) -> list[Logged]:
    """Traffic that asks the large model with probability `chance`, good in 9 of 10 cases."""
    rng = np.random.default_rng(seed)
    return [
        Logged(
            decision_id=str(number),
            action=LARGE if large else SMALL,
            propensity=chance if large else 1.0 - chance,
            reward=float(rng.random() < (0.9 if large else 0.6)),
        )
        for number, large in enumerate(rng.random(count) < chance)
    ]


def test_weights_are_clipped_and_that_is_told() -> None:
    rare = Logged(decision_id="r", action=LARGE, propensity=0.02, reward=1.0)
    rows = [rare, *drawn(400, 0.3)]
    evaluation = evaluate(rows, [{LARGE: 0.5, SMALL: 0.5}] * 401)
    assert evaluation.clipped == pytest.approx(1 / 401)
    heavier = [replace(rare, propensity=0.004), *rows[1:]]
    with pytest.raises(DataError, match=r"of the weight .* at most 5% may: explore more"):
        evaluate(heavier, [{LARGE: 0.5, SMALL: 0.5}] * 401)


@pytest.mark.parametrize("chance", [0.02, 0.03])
def test_an_action_known_from_a_few_rows_is_not_told_of(chance: float) -> None:
    with pytest.raises(DataError, match="at least 40 are needed"):
        evaluate(drawn(400, chance), [{LARGE: 0.5, SMALL: 0.5}] * 400)


def test_intervals_cover_where_an_action_was_served_seldom() -> None:
    inside = []
    for seed in range(25):
        told = evaluate(drawn(400, 0.1, seed), [{LARGE: 0.5, SMALL: 0.5}] * 400)
        inside.append(told.estimates["dr"].low <= 0.75 <= told.estimates["dr"].high)
    assert sum(inside) >= 21


def test_at_cost_alone_the_utility_is_the_cost_saved() -> None:
    rows = [replace(row, cost_usd=0.25) for row in drawn(200, 0.5)]
    found = evaluate(rows, [{LARGE: 1.0}] * 200, usd_per_quality=0.0)
    assert found.logged.value == pytest.approx(-0.25)
    assert found.gain.value == pytest.approx(0.0, abs=0.01)
    for price in (-1.0, float("nan")):
        with pytest.raises(DataError, match="cannot be worth"):
            evaluate(rows, [{LARGE: 1.0}] * 200, usd_per_quality=price)


def test_a_handful_of_clusters_tells_nothing() -> None:
    rows = [replace(row, cluster=str(at % 9)) for at, row in enumerate(drawn(200, 0.5))]
    with pytest.raises(DataError, match="come in 9 clusters; at least 10"):
        evaluate(rows, [{LARGE: 1.0}] * 200)


def good(**change: object) -> Logged:
    fields = {"decision_id": "d7", "action": SMALL, "propensity": 0.5, "reward": 1.0} | change
    return Logged(**fields)  # type: ignore[arg-type]  # the wrong ones are the point


@pytest.mark.parametrize(
    ("make", "policy", "said"),
    [
        (lambda: good(propensity=0.0), {SMALL: 1.0}, "'d7' has propensity 0.0"),
        (lambda: good(propensity=float("nan")), {SMALL: 1.0}, "'d7' has propensity nan"),
        (lambda: good(reward=1.5), {SMALL: 1.0}, "reward 1.5"),
        (lambda: good(cost_usd=float("nan")), {SMALL: 1.0}, "'d7' has a cost or a feature"),
        (lambda: good(features=(float("inf"),)), {SMALL: 1.0}, "'d7' has a cost or a feature"),
        (good, {SMALL: 0.7}, "sum to 1"),
        (good, {SMALL: float("nan")}, "sum to 1"),
        (good, {}, "sum to 1"),
        (good, {SMALL: 1.5, LARGE: -0.5}, "positive"),
    ],
)
def test_a_log_that_makes_no_sense_is_refused(
    make: Callable[[], Logged], policy: dict[str, float], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        evaluate([make()], [policy])


def test_rows_must_match() -> None:
    with pytest.raises(DataError, match="equally many"):
        evaluate([], [])
    with pytest.raises(DataError, match="features"):
        evaluate([good(features=(1.0,)), good()], [{SMALL: 1.0}] * 2)


def test_clusters_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(0).normal(0.1, 1.0, 60), 10)
    apart = mean(values, clusters=[str(n) for n in range(600)], seed=0)
    together = mean(values, clusters=[str(n // 10) for n in range(600)], seed=0)
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 2.0 * (apart.high - apart.low)
    assert apart.low < apart.floor < apart.value < apart.high
