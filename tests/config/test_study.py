"""Several policies learn from one record; what stops one does not stop another."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from emafusion.config.learner import Learner, Origin
from emafusion.config.stale import Stale
from emafusion.config.study import Study
from emafusion.errors import StoreError
from emafusion.types import replace

from .school import FITTED, POLICY, SMALL, School, school


class Failing(Learner):
    """One whose record is away."""

    def read_on(self) -> None:
        raise StoreError(f"the record of {self.name!r} is away")


def beside(one: School, first: type[Learner]) -> Study:
    """The school's learner, and a learner of another policy that has its turn before it."""
    other = first(Origin(name="other", artefact=POLICY), FITTED, one.store)
    stages = one.client.engine.stages
    return Study(lambda: (replace(stages, predictor=other, policy="other"), stages))


async def changed(one: School) -> None:
    """Opinions that say that a model has changed."""
    for number in range(60):
        one.clock.time += 1.0
        await one.voted(0.0, caller=f"caller {number}")


async def test_a_learner_that_fails_keeps_no_other_from_reading_on(tmp_path: Path) -> None:
    one = school(tmp_path)
    study = beside(one, Failing)
    await one.voted(1.0)
    with pytest.raises(StoreError, match="'other' is away"):
        study.read_on()
    assert one.learner.counted == 1


async def test_what_cannot_be_noted_stops_nobody_and_is_noted_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = school(tmp_path, drift=True)
    study, file = beside(one, Learner), Stale(one.store.path).path
    file.write_text("[")
    await changed(one)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            study.read_on()
    assert one.learner.counted == 60
    assert one.learner.changed == {SMALL}
    told = [each for each in caplog.messages if "cannot be read" in each]
    assert len(told) == 2  # Once for each of the policies.
    monkeypatch.setattr("emafusion.config.stale.AGAIN_S", 0.0)
    one.learner._old._again = 0.0
    file.unlink()
    one.learner.read_on()
    assert list(Stale(one.store.path).read()) == [SMALL]


async def test_a_file_of_an_earlier_form_is_gone_on_with(tmp_path: Path) -> None:
    one = school(tmp_path, drift=True)
    Stale(one.store.path).path.write_text('{"another": 5.0}')
    await changed(one)
    one.learner.read_on()
    assert sorted(Stale(one.store.path).read()) == sorted(["another", SMALL])
