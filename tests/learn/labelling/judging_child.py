"""A process that has a model judge slowly, to be killed: ``judging_child FOLDER DIARY``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from emafusion.evaluate.recorded import Recorded
from emafusion.learn.bounds import Bounds
from emafusion.learn.labelling.tournament import Told, ask, cases
from emafusion.types import Model
from learn.collecting import Bookkeeper
from learn.labelling.drafting import recorded

QUERIES = 30
PER_MODEL = 3
JUDGE = Model(name="judge", provider="p", upstream="j", usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)


def outcomes() -> Recorded:
    """Three unlike drafts of each query."""
    texts = [[f"{n} is {word}" for word in ("fine", "well", "good")] for n in range(QUERIES)]
    return recorded(texts, models=("a", "b", "c"))


async def judge(folder: Path, provider: Bookkeeper) -> Told:
    """Have what is missing judged."""
    return await ask(
        folder,
        cases(outcomes(), range(QUERIES), {}),
        judges=(JUDGE,),
        providers={"p": provider},
        bounds=Bounds(per_model=PER_MODEL),
    )


if __name__ == "__main__":
    slow = Bookkeeper(lambda _: "1", seconds=0.02, diary=Path(sys.argv[2]))
    asyncio.run(judge(Path(sys.argv[1]), slow))
