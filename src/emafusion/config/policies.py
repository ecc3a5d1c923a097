"""Which policy answers a request, while policies are promoted, tried and rolled back beside it.

Knows a folder of versions and how stages are made of one of them; it does not know what is in them.
"""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from emafusion.artefacts import Artefact, Serving, Versions
from emafusion.config.learner import Origin, fitted_on
from emafusion.engine import Stages
from emafusion.errors import ArtefactError, EmafusionError
from emafusion.types import Request

log = logging.getLogger("emafusion.policies")

DEFAULT: Final = ""
"""The name of the policy that serves where none was promoted yet."""

RETRY_S: Final = 30.0
"""Seconds until a policy that could not be taken up is tried again."""

Make = Callable[[Origin], Stages]
Stamp = tuple[int, int, int] | None


class _Failure(NamedTuple):
    """Which state could not be taken up, why, and from when on it is tried again."""

    stamp: Stamp
    message: str
    again: float


class Policies:
    """The stages of the policy that serves, and of the one that is tried beside it.

    :meth:`refresh` takes up what was promoted since; requests under way keep the stages they began
    with. A policy that cannot be read, or of which no stages can be made, is told of once in the
    log and tried again every :data:`RETRY_S` seconds; the one before it goes on serving.

    Parameters
    ----------
    versions : Versions
        The folder.
    make : callable
        A policy's stages.
    default : Artefact
        What serves where nothing was promoted.
    clock : callable
        Seconds that only rise.

    Raises
    ------
    ArtefactError
        The policy that serves cannot be read, or no stages can be made of it.
    """

    def __init__(
        self,
        versions: Versions,
        make: Make,
        *,
        default: Artefact,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._versions = versions
        self._make = make
        self._default = default
        self._clock = clock
        self._failure: _Failure | None = None
        self._stamp = versions.stamp()
        # One value, so that no request sees half a change.
        self._now = self._read({})

    def __call__(self, request: Request) -> Stages:
        """The stages for `request`: the same ones in every process."""
        serving, stages = self._now
        return stages[serving.choose(request.id)]

    @property
    def serving(self) -> Serving:
        """Who serves, as this process knows it."""
        return self._now[0]

    @property
    def stages(self) -> Stages:
        """The stages of the policy that serves most requests."""
        serving, stages = self._now
        return stages[serving.id]

    @property
    def every(self) -> tuple[Stages, ...]:
        """The stages of every policy that serves a request now and then."""
        return tuple(self._now[1].values())

    def refresh(self) -> bool:
        """Take up what was promoted since the last look; whether anything was."""
        stamp: Stamp = None
        try:
            stamp = self._versions.stamp()
            if stamp == self._stamp or self._rests(stamp):
                return False
            self._now = self._read(self._now[1])
        except EmafusionError as error:
            self._failed(stamp, str(error))
            return False
        self._stamp, self._failure = stamp, None
        log.info("serving policy %s", self.serving.id or "that ships with emafusion")
        return True

    def _rests(self, stamp: Stamp) -> bool:
        """Whether what `stamp` stands for failed a short while ago."""
        failure = self._failure
        return failure is not None and stamp == failure.stamp and self._clock() < failure.again

    def _failed(self, stamp: Stamp, message: str) -> None:
        if self._failure is None or self._failure.message != message:
            log.warning("the promoted policy is not taken up: %s", message)
        self._failure = _Failure(stamp, message, self._clock() + RETRY_S)

    def _read(self, known: dict[str, Stages]) -> tuple[Serving, dict[str, Stages]]:
        """Who serves now, with their stages; those `known` already are kept."""
        serving = self._versions.current()
        if serving is None:
            origin = Origin(name=DEFAULT, artefact=self._default)
            return Serving(id=DEFAULT), {DEFAULT: known.get(DEFAULT) or self._make(origin)}
        names = [name for name in (serving.id, serving.candidate) if name is not None]
        stages = {name: known.get(name) or self._made(name) for name in names}
        return serving, stages

    def _made(self, name: str) -> Stages:
        artefact = self._versions.read(name)
        told = next((one.at for one in self._versions.history() if one.id == name), None)
        try:
            # Of one whose history is gone, the day of its fit is known.
            begun = datetime.datetime.fromisoformat(told).timestamp() if told else None
            since = fitted_on(artefact) if begun is None else begun
            return self._make(Origin(name=name, artefact=artefact, since=since))
        except (LookupError, ValueError) as error:
            # Its files are whole, but an array that the stages look for is missing or misshapen.
            raise ArtefactError(
                f"policy {name!r} cannot serve: {type(error).__name__}: {error}; fit it anew, or "
                "go back with: emafusion rollback"
            ) from error
