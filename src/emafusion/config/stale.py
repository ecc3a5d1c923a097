"""Which models' recorded answers no longer say what they do: written beside the record.

Knows a file of models and times. Who finds that a model has changed, and who passes over its old
answers, is not its business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from emafusion.errors import DataError
from emafusion.evaluate import files

NAME: Final = ".stale.json"
"""Appended to the record's name."""
REMEDY: Final = "free some space; a model that has changed is told of in the log all the same"


class Stale:
    """The models that have changed since the policy was fitted, and when each did.

    Parameters
    ----------
    record : Path
        The record that the answers are in.
    """

    def __init__(self, record: Path) -> None:
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

        Raises ``StoreError`` where the file cannot be written, ``DataError`` as :meth:`read`.
        """
        known = self.read()
        now = {name: time for name, time in known.items() if name != model}
        if since is not None:
            now[model] = since
        if now != known:
            self._write(now)

    def _write(self, known: dict[str, float]) -> None:
        files.write(self.path, msgspec.json.encode(known, order="sorted"), remedy=REMEDY)
