"""A detector in a process of its own: answered, late, dead, and begun again."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emafusion.errors import ConfigError
from emafusion.protect.entities import Entity
from emafusion.protect.fence import SHARE, Fence
from emafusion.protect.pieces import LONGEST, pieces
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield

HERE = "fenced_detector:build"


def fence(*, limit_s: float = 0.5, whole: bool = False, **options: object) -> Fence:
    return Fence("other", HERE, options=options, limit_s=limit_s, begin_s=120.0, whole=whole)


@pytest.fixture
def module(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector as somebody else may write one, where Python finds it."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "fenced_detector.py").write_text(
        "import os, time\n"
        "from emafusion.protect.entities import Entity\n"
        "def build(broken='', **options):\n"
        "    if broken and os.path.exists(broken): raise SystemExit(1)\n"
        "    def detect(text):\n"
        "        print(text)\n"
        "        if 'die' in text: os._exit(3)\n"
        "        if 'raise' in text: raise ValueError(text)\n"
        "        if 'hang' in text: time.sleep(600)\n"
        "        if 'spin' in text:\n"
        "            while True: pass\n"
        "        if 'slow' in text: time.sleep(0.3)\n"
        "        if 'lie' in text: return ['nothing']\n"
        "        return [Entity(kind='TERM', start=0, end=len(text))]\n"
        "    return detect\n"
    )
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    monkeypatch.setenv("PYTHONPATH", path)


@asynccontextmanager
async def begun(limit_s: float = 0.5, *, whole: bool = False) -> AsyncIterator[Fence]:
    other = fence(limit_s=limit_s, whole=whole)
    await other.begin()
    try:
        yield other
    finally:
        await other.aclose()


async def again(other: Fence, text: str) -> Sequence[Entity]:
    """What `other` says once it is up again."""
    ends = time.monotonic() + 120
    while True:
        try:
            return await other.detect(text)
        except (EOFError, TimeoutError):
            assert time.monotonic() < ends
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("module")
async def test_it_answers_and_prints_nothing_of_what_it_reads() -> None:
    async with begun() as other:
        assert await other.detect("hello") == [Entity(kind="TERM", start=0, end=5)]
        assert await asyncio.gather(*(other.detect("x" * n) for n in range(1, 9))) == [
            [Entity(kind="TERM", start=0, end=n)] for n in range(1, 9)
        ]


@pytest.mark.usefixtures("module")
async def test_whatever_it_does_it_is_cut_off_and_comes_back() -> None:
    async with begun() as other:
        for way in ("hang", "spin", "die", "raise", "lie"):
            started = time.monotonic()
            with pytest.raises((EOFError, TimeoutError, ValueError)):
                await other.detect(way)
            assert time.monotonic() - started < 60.0
            assert await again(other, "now") == [Entity(kind="TERM", start=0, end=3)]


@pytest.mark.usefixtures("module")
async def test_who_waits_behind_a_text_that_ends_it_is_answered() -> None:
    async with begun(limit_s=60.0) as other:
        asked = [asyncio.create_task(other.detect(text)) for text in ("die", *("four",) * 9)]
        first, *answers = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(first, EOFError)
        assert answers == [[Entity(kind="TERM", start=0, end=4)]] * 9


@pytest.mark.usefixtures("module")
async def test_who_waits_while_it_ends_for_good_is_told_so() -> None:
    async with begun(limit_s=60.0) as other:
        asked = [asyncio.create_task(other.detect(text)) for text in ("die", "four", "four")]
        with pytest.raises(EOFError):
            await asked[0]
        await other.aclose()
        told = await asyncio.gather(*asked[1:], return_exceptions=True)
        assert [type(one) for one in told] == [EOFError, EOFError]
        assert not other.up


@pytest.mark.usefixtures("module")
async def test_a_caller_that_leaves_does_not_get_the_next_one_its_answer() -> None:
    async with begun() as other:
        waiting = asyncio.create_task(other.detect("hang"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await again(other, "four") == [Entity(kind="TERM", start=0, end=4)]


@pytest.mark.usefixtures("module")
async def test_it_comes_back_however_often_it_could_not_begin(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    other = fence(broken=str(broken))
    await other.begin()
    try:
        broken.touch()
        with pytest.raises((EOFError, TimeoutError)):
            await other.detect("die")
        await asyncio.sleep(3.0)  # some attempts fail
        assert not other.up
        broken.unlink()
        assert await again(other, "now") == [Entity(kind="TERM", start=0, end=3)]
    finally:
        await other.aclose()


@pytest.mark.usefixtures("module")
async def test_who_waits_for_a_turn_is_not_late_for_that() -> None:
    async with begun(limit_s=60.0) as other:
        shield = Shield(Mint(b"a secret of sixteen bytes"), [other], rules=Rules(limit_s=0.5))
        asked = [shield.masked(f"slow {n}") for n in range(3)]
        assert all(said.startswith("[TERM_") for [said] in await asyncio.gather(*asked))


@pytest.mark.usefixtures("module")
async def test_who_leaves_takes_nobody_along() -> None:
    async with begun(limit_s=60.0) as other:
        leaving = asyncio.create_task(other.detect("slow"))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(other.detect("four"))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await waiting == [Entity(kind="TERM", start=0, end=4)]
        assert leaving.cancelled()


@pytest.mark.usefixtures("module")
async def test_a_long_text_is_read_in_pieces_and_others_in_between() -> None:
    async with begun(limit_s=60.0) as other:
        text = "slow words. " * (4 * LONGEST // 12)
        long = asyncio.create_task(other.detect(text))
        await asyncio.sleep(0.1)
        assert await other.detect("four") == [Entity(kind="TERM", start=0, end=4)]
        assert not long.done()
        found = sorted(await long, key=lambda one: one.start)
        assert len(found) == len(list(pieces(text))) > 3
        assert found[0].start == 0
        assert found[-1].end == len(text)
        assert all(text[one.end - 2 : one.end] == ". " for one in found)


@pytest.mark.usefixtures("module")
async def test_what_is_late_with_a_piece_is_cut_off_for_that_piece() -> None:
    async with begun(limit_s=3.0) as other:
        with pytest.raises(TimeoutError):
            await other.detect("hang " * LONGEST)
        assert await again(other, "now") == [Entity(kind="TERM", start=0, end=3)]


@pytest.mark.usefixtures("module")
async def test_what_has_to_be_read_whole_has_more_time_and_so_has_who_waits() -> None:
    # Each is given 6 s; without the others one may wait .3 s.
    async with begun(limit_s=0.03, whole=True) as other:
        text = f"slow {'x' * 200 * SHARE}"
        said = await asyncio.gather(*(other.detect(text) for _ in range(3)))
        assert said == [[Entity(kind="TERM", start=0, end=len(text))]] * 3


@pytest.mark.parametrize("path", ["nowhere_at_all:build", "json:nothing", "json:loads"])
async def test_what_does_not_start_is_a_mistake_in_the_settings(path: str) -> None:
    other = Fence("other", path, begin_s=30.0)
    with pytest.raises(ConfigError, match="did not start"):
        await other.begin()
    await other.aclose()
