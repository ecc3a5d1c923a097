"""What all learners that serve do at a beat, and what there is to tell of them.

Knows where learners are found; not how they learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from emafusion.config.checks import SampledChecks
from emafusion.config.explorer import BoundedExplorer
from emafusion.config.learner import Learner
from emafusion.engine import Stages
from emafusion.errors import EmafusionError


class Study:
    """Has every policy that serves learn what is new.

    Parameters
    ----------
    serving : callable
        The stages of every policy that serves now.
    explorer : BoundedExplorer, optional
        Whose account is told.
    checks : SampledChecks, optional
        Told which models have changed; its account is told.
    """

    def __init__(
        self,
        serving: Callable[[], Iterable[Stages]],
        explorer: BoundedExplorer | None = None,
        *,
        checks: SampledChecks | None = None,
    ) -> None:
        self._serving = serving
        self._explorer = explorer
        self._checks = checks
        if checks is not None:
            checks.doubted = self.changed

    def read_on(self) -> None:
        """Let each learner read on in the record; one that cannot keeps no other from it.

        Raises
        ------
        EmafusionError
            The first that any of them met, once all have had their turn.
        """
        failed: list[EmafusionError] = []
        for learner in self._learners():
            try:
                learner.read_on()
            except EmafusionError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def status(self) -> dict[str, object]:
        """What each policy has learnt, which models have changed, and what was explored."""
        found: dict[str, object] = {"policies": [one.status() for one in self._learners()]}
        if self._explorer is not None:
            spent = self._explorer.spent
            found["exploration"] = {
                "requests": spent.seen,
                "explored": spent.explored,
                "usual_usd": spent.greedy_usd,
                "extra_usd": spent.extra_usd,
            }
        if self._checks is not None:
            account = self._checks.account
            found["checking"] = {
                "answers": account.seen,
                "checked": account.checked,
                "answers_usd": account.answers_usd,
                "checks_usd": account.checks_usd,
            }
        return found

    def changed(self) -> frozenset[str]:
        """The models that any policy that serves has found changed."""
        return frozenset().union(*(one.changed for one in self._learners()))

    def _learners(self) -> list[Learner]:
        stages = self._serving()
        return [one.predictor for one in stages if isinstance(one.predictor, Learner)]
