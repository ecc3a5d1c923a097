"""Finished systems on disk, so that an interrupted benchmark goes on where it stopped.

Knows files; a part is written whole or not at all, and is read only for the very same inputs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from emafusion.evaluate.runs import Run, System


class Kept:
    """The finished systems of one benchmark.

    Parameters
    ----------
    folder : Path
        Where they lie.
    digest : str
        Identifies inputs, seed and version: parts of another digest are ignored.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self._folder = folder
        self._digest = digest

    def system(self, name: str, make: Callable[[], System]) -> System:
        """The system of that name: read if it is here, else made and kept."""
        found = self.find(name)
        if found is None:
            found = make()
            self.keep(found)
        return found

    def find(self, name: str) -> System | None:
        """The system of that name, if it was kept for these inputs."""
        import numpy as np

        path = self._path(name)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["digest"] != self._digest:
                return None
            runs = tuple(
                Run(
                    knob=one["knob"],
                    scores=arrays[f"{at}/scores"],
                    costs=arrays[f"{at}/costs"],
                    confidences=arrays.get(f"{at}/confidences"),
                    calls=None if one["calls"] is None else [tuple(c) for c in one["calls"]],
                    sources=one["sources"],
                    tuned=None if one["tuned"] is None else tuple(one["tuned"]),
                )
                for at, one in enumerate(about["runs"])
            )
        return System(name=name, role=about["role"], runs=runs, source=about["source"])

    def keep(self, system: System) -> None:
        """Write `system`, whole or not at all."""
        import numpy as np

        about = {
            "digest": self._digest,
            "role": system.role,
            "source": system.source,
            "runs": [
                {
                    "knob": run.knob,
                    "calls": run.calls,
                    "sources": run.sources,
                    "tuned": run.tuned,
                }
                for run in system.runs
            ],
        }
        arrays = {"about": np.array(json.dumps(about))}
        for at, run in enumerate(system.runs):
            arrays[f"{at}/scores"], arrays[f"{at}/costs"] = run.scores, run.costs
            if run.confidences is not None:
                arrays[f"{at}/confidences"] = run.confidences
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(system.name)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub wants no keys
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.replace('/', '_')}.npz"
