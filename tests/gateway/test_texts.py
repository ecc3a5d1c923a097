"""The settings' text as a parent hands it to its workers."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from emafusion.errors import ConfigError
from emafusion.gateway.texts import Texts, offered


class File:
    """A settings file that somebody edits."""

    def __init__(self) -> None:
        self.text: str | None = "second"

    def __call__(self) -> str:
        if self.text is None:
            raise ConfigError("it is gone")
        return self.text


def test_a_start_keeps_what_was_taken_whatever_the_file_says(tmp_path: Path) -> None:
    texts = Texts("first", file := File())
    texts.begin(tmp_path)
    texts.lay(texts.start)
    assert texts.start.began.read_text() == texts.start.taken.read_text() == "first"
    taken = texts.offer(anew=False)
    assert offered(tmp_path) == "second"
    assert texts.start.taken.read_text() == "first", "offered is not taken yet"
    texts.start = taken
    texts.keep([])
    texts.lay(taken)
    assert (taken.began.read_text(), taken.taken.read_text()) == ("first", "second")
    file.text = "third"
    anew = texts.start = texts.offer(anew=True)
    texts.keep([])
    assert anew.began == anew.taken
    assert not taken.began.exists()
    assert not taken.taken.exists()


def test_a_file_that_is_gone_offers_nothing_and_a_refusal_holds_until_the_next(
    tmp_path: Path,
) -> None:
    texts = Texts("first", file := File())
    texts.begin(tmp_path)
    began = texts.start
    file.text = None
    with pytest.raises(ConfigError, match="it is gone"):
        texts.offer(anew=True)
    assert texts.start == began
    texts.refuse("a name that is no text: \udcff")
    with pytest.raises(ConfigError, match=r"no text: \\udcff"):
        offered(tmp_path)
    file.text = "fourth"
    texts.offer(anew=False)
    assert offered(tmp_path) == "fourth"


def test_they_are_their_owners_alone_and_come_back_when_swept_away(tmp_path: Path) -> None:
    texts = Texts("first", File())
    texts.begin(tmp_path)
    texts.lay(texts.start)
    texts.start.taken.unlink()
    texts.lay(texts.start)
    assert texts.start.taken.read_text() == "first"
    texts.offer(anew=False)
    texts.refuse("so")
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
