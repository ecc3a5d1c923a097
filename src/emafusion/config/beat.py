"""What a serving process does every second, off the path of its requests.

Knows a thread and how long it rests; not what is done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from emafusion.errors import EmafusionError

log = logging.getLogger("emafusion.beat")

EVERY_S: Final = 1.0
FOREIGN: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What data that nobody foresaw makes code raise: one such task must not end the others."""


class Beat:
    """Does each of `tasks` every `every_s` seconds, in a thread of its own, until it is stopped.

    A task that fails is told of in the log, once for each new message, and tried again at the next
    beat. `told` tells what has come of them.
    """

    def __init__(
        self,
        tasks: Sequence[Callable[[], object]],
        *,
        told: Callable[[], Mapping[str, object]] = dict,
        every_s: float = EVERY_S,
    ) -> None:
        self._tasks = tasks
        self._told = told
        self._every_s = every_s
        self._over = threading.Event()
        self._warned: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="emafusion-beat", daemon=True)

    def start(self) -> Beat:
        """Begin; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, once the task under way is done."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def status(self) -> Mapping[str, object]:
        """What has come of the tasks so far."""
        return self._told()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            for task in self._tasks:
                self._do(task)

    def _do(self, task: Callable[[], object]) -> None:
        try:
            task()
        except EmafusionError as error:
            self._tell(str(error))
        except FOREIGN as error:
            self._tell(f"{type(error).__name__}: {error}", error)

    def _tell(self, message: str, trace: BaseException | None = None) -> None:
        if message not in self._warned:
            self._warned.add(message)
            log.warning("%s", message, exc_info=trace)
