"""What seeds hold of what is sensitive reaches no public model when a policy is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emafusion.cli import app
from emafusion.errors import DataError

from .taint import CARD, EMAIL, SECRET, TEXT, settings, tapped
from .tap import POOL, Tap

SEEDS = f"""
[[seed]]
name = "letters"
labels = {{ task = "generation", domain = "business", format = "free_text" }}
wordings = ["Write {{n}} lines to {{who}} about this: {TEXT}", "For {{who}}, {{n}} lines, please."]
held_out = ["To {{who}} write {{n}} lines."]
grader = {{ type = "judged" }}
[seed.slots]
who = ["{EMAIL}", "the owner of {CARD}"]
n = "2..12"

[[seed]]
name = "extraction"
labels = {{ task = "extraction", domain = "business", format = "free_text" }}
wordings = ["{{n}}. Say {{who}}, the address alone.", "{{who}}, the address alone: {{n}}."]
held_out = ["{{n}}. The address alone: the address alone of {{who}}."]
reference = "{{who}}"
grader = {{ type = "exact" }}
[seed.slots]
who = ["{EMAIL}"]
n = "2..40"
"""


@pytest.fixture
def taps(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Tap, Tap]]:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    with tapped() as found:
        yield found


def typed(folder: Path, line: str, taps: tuple[Tap, Tap], more: str = "") -> str:
    """What a command prints, whether it is content or not."""
    told = settings(*taps, more, names=tuple(POOL)).replace("FOLDER", str(folder))
    (folder / "emafusion.toml").write_text(told)
    (folder / "seeds.toml").write_text(SEEDS)
    words = line.replace("FOLDER", str(folder)).split()
    found = CliRunner().invoke(app, [*words, "--config", str(folder / "emafusion.toml")])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.output


def test_learning_masks_what_it_asks(taps: tuple[Tap, Tap], tmp_path: Path) -> None:
    public, _ = taps
    judge = "--judge qwen2.5-coder-1.5b --models smollm2-135m,qwen2.5-coder-0.5b"
    line = f"learn FOLDER/seeds.toml --out FOLDER/work --count 36 --budget 1 {judge}"
    with pytest.raises(DataError, match="a fit needs at least"):  # all had been asked before
        typed(tmp_path, line, taps)
    drafts = public.asked("draft")
    assert len({one.model for one in drafts}) == 2
    assert sum(len(one.placeholders) for one in drafts) > len(drafts)
    assert any(one.placeholders for one in public.asked("compare"))
    assert public.has(EMAIL, CARD, *TEXT.split("; ")) == []


def test_collecting_marks_what_came_back(taps: tuple[Tap, Tap], tmp_path: Path) -> None:
    public, _ = taps
    assert typed(tmp_path, "synthesise FOLDER/seeds.toml --out FOLDER/work --count 12", taps)
    printed = typed(tmp_path, "collect --out FOLDER/work --models smollm2-135m --json", taps)
    assert public.asked("draft", model="smollm2-135m"), printed
    assert '"accuracy": 1.0' in printed  # graders read values, as references have them
    assert public.has(EMAIL, CARD) == []


def test_a_generator_sees_placeholders(taps: tuple[Tap, Tap], tmp_path: Path) -> None:
    public, _ = taps
    line = "synthesise FOLDER/seeds.toml --out FOLDER/work --count 12 --budget 1"
    typed(tmp_path, f"{line} --generator smollm2-135m", taps)
    assert any(one.placeholders for one in public.calls)
    assert public.has(EMAIL, CARD) == []


def test_what_is_restricted_is_asked_of_private_models(
    taps: tuple[Tap, Tap], tmp_path: Path
) -> None:
    public, private = taps
    more = 'kinds = { EMAIL = "private" }\n'
    typed(tmp_path, "synthesise FOLDER/seeds.toml --out FOLDER/work --count 12", taps, more)
    printed = typed(tmp_path, "collect --out FOLDER/work --models smollm2-135m,ours", taps, more)
    assert "not cleared for restricted text" in printed
    assert any("[EMAIL_" in one.body for one in private.calls)
    assert all("[EMAIL_" not in one.body for one in public.calls)
    assert public.has(EMAIL) == []
