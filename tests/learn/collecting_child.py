"""A process that collects slowly, to be killed: ``collecting_child FOLDER DIARY QUESTIONS``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from emafusion.learn.collect import Bounds, collect
from learn.collecting import CHEAP, DEAR, Bookkeeper, sums


async def main(folder: Path, diary: Path, questions: int) -> None:
    await collect(
        sums(questions),
        [CHEAP, DEAR],
        providers={"p": Bookkeeper(seconds=0.02, diary=diary)},
        folder=folder,
        bounds=Bounds(per_model=2, models_at_once=2),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
