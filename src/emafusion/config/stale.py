"""Which models' recorded answers no longer say what they do: written beside the record.

Knows a file of models and times. Who finds that a model has changed, and who passes over its old
answers, is not its business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from emafusion.artefacts import lock
from emafusion.errors import DataError, StoreError

NAME: Final = ".stale.json"
"""Appended to the record's name."""
WAIT_S: Final = 5.0
"""Seconds that another process may take to change the file, which is a matter of milliseconds."""
REMEDY: Final = "free some space; a model that has changed is told of in the log all the same"


class Stale:
    """The models that have changed since the policy was fitted, and when each did.

    Parameters
    ----------
    record : Path or None
        The record that the answers are in; ``None`` where it is on a server, beside which nothing
        can be written: then the user's state folder has the file, and each machine its own.
    """

    def __init__(self, record: Path | None) -> None:
        if record is None:
            import platformdirs

            record = Path(platformdirs.user_state_dir("emafusion")) / "postgresql"
        self.path = record.with_name(record.name + NAME)

    def read(self) -> dict[str, float]:
        """By model, in seconds since 1970, when it changed: answers from before are not its own.

        Raises
        ------
        DataError
            The file is not what :meth:`note` wrote.
        """
        if not self.path.exists():
            return {}
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, float])
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(
                f"{str(self.path)!r} cannot be read: {error}; delete it, and answers from before "
                "a model changed are learnt from again"
            ) from error

    def note(self, model: str, since: float | None) -> None:
        """`model` changed at this time; with ``None``, it is again what it was before.

        Raises ``StoreError`` where the file cannot be written or another process keeps it for
        longer than :data:`WAIT_S`, ``DataError`` as :meth:`read`.
        """
        with self._alone():
            known = self.read()
            now = {name: time for name, time in known.items() if name != model}
            if since is not None:
                now[model] = since
            if now != known:
                self._write(now)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from the file: what one adds, another must not take away."""
        place = self.path.with_name(f".{self.path.name}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with lock.held(place, wait_s=WAIT_S):
                yield
        except OSError as error:
            raise self._refused(error) from error

    def _write(self, known: dict[str, float]) -> None:
        # A draft of this process's own: where the system has no locks, two may write at once.
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.draft")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(known, order="sorted"))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {str(self.path)!r}: {error.strerror or error}; {REMEDY}")
