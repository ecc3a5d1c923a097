"""Long texts: never late for being long, and in nobody's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from emafusion.protect.entities import Entity
from emafusion.protect.labelled import labelled
from emafusion.protect.lanes import LANES, LONG, Lanes
from emafusion.protect.pieces import LONGEST, pieces
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import Structured
from emafusion.types import Request
from growth import LINEAR, growth

MINT = Mint(b"a secret of sixteen bytes")
MAIL = "jane.roe@harbour.example"


async def test_no_length_and_no_crowd_makes_our_own_recognisers_late() -> None:
    shield = Shield(MINT, [Structured()], rules=Rules(limit_s=1e-9))
    texts = ["a few words of prose " * words + MAIL for words in (1, 20_000, *(1_000,) * 8)]
    asked = [Request(id="d", messages=({"role": "user", "content": text},)) for text in texts]
    for found in await asyncio.gather(*map(shield.protect, asked)):
        assert found.findings.failed == ()
        assert found.findings.masked == {"EMAIL": 1}
    await shield.aclose()


class Slow:
    """A detector that takes time in proportion to the text."""

    name = "slow"

    async def detect(self, text: str) -> Sequence[Entity]:
        await asyncio.sleep(len(text) / 1e6)
        return []


@pytest.mark.parametrize(("limit_s", "failed"), [(1.0, ()), (1e-4, ("slow",))])
async def test_the_limit_of_others_is_in_proportion(
    limit_s: float, failed: tuple[str, ...]
) -> None:
    asked = Request(id="d", messages=({"role": "user", "content": "x " * 600_000},))
    found = await Shield(MINT, [Slow()], rules=Rules(limit_s=limit_s)).protect(asked)
    assert found.findings.failed == failed


async def test_of_one_length_one_is_read_at_a_time_and_shorter_ones_pass() -> None:
    lanes, open_, at_once, most = Lanes(), threading.Event(), 0, 0

    def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        open_.wait(60)
        at_once -= 1

    long = [asyncio.create_task(lanes.run(int(LANES[0]) + n, work)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    assert await lanes.run(LONG + 1, lambda: "short") == "short"
    leaving = asyncio.create_task(lanes.run(int(LANES[0]) + 1, work))
    await asyncio.sleep(0)
    leaving.cancel()
    assert not any(one.done() for one in long)
    open_.set()
    await asyncio.gather(*long)
    assert most == 1
    lanes.close()
    assert await lanes.run(LONG + 1, lambda: "again") == "again"


async def test_a_short_text_is_read_at_once_and_what_fails_fails() -> None:
    lanes = Lanes()
    assert await lanes.run(1, threading.get_ident) == threading.get_ident()
    assert await lanes.run(LONG + 1, threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await lanes.run(LONG + 1, lambda: 1 // 0)


@pytest.mark.parametrize(
    "text", ["", "x" * 999, "one two. " * 300, "line\n" * 500, "a\n\x00\nb " * 400, "\n" * 400]
)
def test_pieces_are_all_of_a_text_and_each_name_is_whole_in_one(text: str) -> None:
    found = list(pieces(text, 100))
    assert all(text[start : start + len(piece)] == piece for start, piece in found)
    assert all(len(piece) <= 100 for _, piece in found)
    covered = {start + n for start, piece in found for n in range(len(piece))}
    assert covered == set(range(len(text)))
    for start in range(0, max(len(text) - 20, 0), 7):
        assert any(a <= start and start + 20 <= a + len(piece) for a, piece in found)


def test_pieces_take_time_in_proportion() -> None:
    assert growth(lambda text: list(pieces(text)), "x" * 2_000_000, "x" * 8_000_000) < LINEAR


@pytest.mark.parametrize("row", ["{n},Halvard Oyelaran,9", '{{"last_name": "Oyelaran", "n": {n}}}'])
def test_names_under_a_head_are_found_in_every_piece(row: str) -> None:
    rows = [row.format(n=n) for n in range(500)]
    text = "\n".join(["id,customer_name,total", *rows])
    assert len(text) > 2 * LONGEST
    found = {text[one.start : one.end] for one in Structured((labelled,)).found(text)}
    assert found in ({"Halvard Oyelaran"}, {"Oyelaran"})
    last = max(one.end for one in Structured((labelled,)).found(text))
    assert last > len(text) - 20
