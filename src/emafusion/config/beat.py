"""What a serving process does every second, off the path of its requests.

Knows threads and how long they rest; not what is done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from emafusion.errors import EmafusionError

log = logging.getLogger("emafusion.beat")

EVERY_S: Final = 1.0


class Beat:
    """Does each of `tasks` every `every_s` seconds, in a thread of its own, until it is stopped.

    A task that fails is told of in the log, once for each new message, and tried again at the next
    beat. One that fails by a defect ends with its thread, which says so; the others go on. `told`
    tells what has come of them.
    """

    def __init__(
        self,
        tasks: Sequence[Callable[[], object]],
        *,
        told: Callable[[], Mapping[str, object]] = dict,
        every_s: float = EVERY_S,
    ) -> None:
        self._told = told
        self._every_s = every_s
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(task,), name="emafusion-beat", daemon=True)
            for task in tasks
        ]

    def start(self) -> Beat:
        """Begin; returns itself."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """End, once the tasks under way are done."""
        self._over.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def status(self) -> Mapping[str, object]:
        """What has come of the tasks so far."""
        return self._told()

    def _run(self, task: Callable[[], object]) -> None:
        told = ""
        while not self._over.wait(self._every_s):
            try:
                task()
            except EmafusionError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("%s", told)
