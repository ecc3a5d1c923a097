from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.providers import sse
from emafusion.providers.sse import Events, EventTooLarge

ODD = (
    b'\xef\xbb\xbf: hello\r\ndata: {"a":1}\r\n\r\ndata:two\ndata: lines\n\n'
    b'id: 7\nevent: x\nretry: 10\ndata\ndata: "\xc3\xa9\xe2\x82\xac"\r\rdata: cut off'
)
READ = [b'{"a":1}', b"two\nlines", b'\n"\xc3\xa9\xe2\x82\xac"']


def feed(blocks: list[bytes]) -> list[bytes]:
    events = Events()
    return [data for block in blocks for data in events.feed(block)]


@given(st.lists(st.integers(0, len(ODD)), max_size=12))
def test_where_the_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(ODD)]
    assert feed([ODD[a:b] for a, b in pairwise(edges)]) == READ


def test_one_byte_at_a_time() -> None:
    assert feed([ODD[i : i + 1] for i in range(len(ODD))]) == READ


lines = st.binary(max_size=20).filter(lambda b: b"\n" not in b and b"\r" not in b)


@given(
    st.lists(st.lists(lines, min_size=1, max_size=3), max_size=5), st.sampled_from([b"\n", b"\r\n"])
)
def test_what_is_written_by_the_standard_is_read_back(
    events: list[list[bytes]], end: bytes
) -> None:
    written = b"".join(b"".join(b"data: " + line + end for line in event) + end for event in events)
    assert feed([written]) == [b"\n".join(event) for event in events]


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LARGEST", 100)
    with pytest.raises(EventTooLarge):
        feed([b"data: " + b"x" * 200])
    with pytest.raises(EventTooLarge):
        feed([b"data: " + b"x" * 30 + b"\n"] * 5)
