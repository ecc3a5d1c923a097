"""The judge of arithmetic: which sums it finds, which it calls wrong, and how long it looks."""

from __future__ import annotations

import pytest

from emafusion.judge import sums
from growth import LINEAR, growth


@pytest.mark.parametrize(
    ("text", "found", "wrong"),
    [
        ("So 3 * 4 = 12 and 12 + 5 = 17.", 2, 0),
        ("So 3 * 4 = 12 and 12 + 5 = 18.", 2, 1),
        (r"That is $2 \times 3 = 6$ dollars.", 1, 0),
        ("100 / 7 ≈ 14.29, or about 14", 1, 0),
        ("1,000 - 1 = 999", 1, 0),
        ("10 − (-3) = 13", 1, 0),
        ("8 ÷ 2 × 3 = 12", 1, 0),
        ("5 / 0 = 0", 0, 0),
        ("x + 3 = 7, f(2)+3=7, 2^3*2=16, v1.2+3=9", 0, 0),
        ("1/2 + 1/3 = 5/6 and 3/4 = 75% and 1/2 = 2/4", 0, 0),
        ("2*102 + 5 = 204 + 5 = 209", 1, 0),
        ("0.5 * 200 = 10^2; 12:30 - 1 = 11; 3 * 4 = 12 * 1", 0, 0),
        ("nothing to add", 0, 0),
        ("", 0, 0),
    ],
)
def test_sums_are_checked(text: str, found: int, wrong: int) -> None:
    assert sums.checked(text) == (found, wrong)


def test_a_rounded_result_is_no_mistake() -> None:
    assert sums.checked("2 / 3 = 0.67") == (1, 0)
    assert sums.checked("2 / 3 = 0.6") == (1, 1)
    assert sums.checked("1234 * 5.5 = 6790") == (1, 0)


@pytest.mark.parametrize("piece", ["1+", "1 ", "1-(", "1,.", "("])
def test_hostile_text_is_read_in_linear_time(piece: str) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (sums.LONGEST // 4, sums.LONGEST))
    assert growth(sums.checked, quarter, whole) < LINEAR
