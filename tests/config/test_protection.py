"""The first stage as it is configured: what is refused at the start, and what is then done."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from emafusion import config
from emafusion.client import Client
from emafusion.config.load import parse
from emafusion.errors import ConfigError, MissingExtraError, NoModelError
from emafusion.testing import ScriptedProvider
from emafusion.types import Answer, content_text

SETTINGS = """
[providers.house]
type = "openai"
base_url = "http://127.0.0.1:1/v1"
[models.far]
provider = "house"
usd_per_mtok_in = 1.0
usd_per_mtok_out = 2.0
[models.near]
provider = "house"
visibility = "private"
usd_per_mtok_in = 50.0
usd_per_mtok_out = 90.0
[record]
path = "memory"
[protect]
secret = "env:EMF_TEST_SECRET"
"""
MAIL = "jane.roe@harbour.example"
QUOKKAS = """
import re
from emafusion.protect.entities import Entity

def build():
    def detect(text):
        found = re.finditer("quokkas", text)
        return [Entity(kind="ANIMAL", start=one.start(), end=one.end()) for one in found]
    return detect
"""
without_privacy = pytest.mark.skipif(
    importlib.util.find_spec("re2") is None, reason="the extra 'privacy' is not installed"
)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMF_TEST_SECRET", "sixteen bytes or more")


def client(more: str = "", *, said: str = "") -> Client:
    def reply(call: object) -> str:
        return said or content_text(call.messages[-1])  # type: ignore[attr-defined]  # a Call

    return config.build(
        parse(SETTINGS + more, "test"), parts={"house": ScriptedProvider(reply, piece=3)}
    )


def asked(fusion: Client) -> str:
    """All that models were told."""
    provider = fusion.engine.providers["house"]
    assert isinstance(provider, ScriptedProvider)
    return str([call.messages for call in provider.calls])


def test_without_the_table_nothing_is_masked() -> None:
    text = SETTINGS.partition("[protect]")[0]
    fusion = config.build(parse(text, "test"), parts={"house": ScriptedProvider("Hi")})
    assert fusion.shield is None
    answer = fusion.answer_sync(f"Write to {MAIL}")
    assert MAIL in asked(fusion)
    assert answer.outcome.protection is None
    fusion.close()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('names = "no_such_pipeline"', "presidio_analyzer|no_such_pipeline"),
        ('kinds = { mail = "mask" }', "a kind is written in capitals"),
        ('kinds = { EMIAL = "mask" }', "the kinds are EMAIL"),
        ('terms = ["x"]', "2 characters or more"),
        ('detectors = ["nowhere"]', "write MODULE:NAME"),
        ('usual = "secret"', r"protect\.usual"),
        ("injection_at = 2", r"protect\.injection_at"),
        ('secrt = "x"', "did you mean 'secret'"),
    ],
)
def test_what_cannot_be_met_is_refused(more: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        client(more)


@pytest.mark.parametrize(
    ("value", "message"), [("short", "has 5 bytes; it must have 16"), ("", "is unset")]
)
def test_a_secret_that_could_be_guessed_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setenv("EMF_TEST_SECRET", value)
    with pytest.raises(ConfigError, match=message):
        client()


def test_a_secret_does_not_stand_in_the_file() -> None:
    with pytest.raises(ConfigError, match="env:NAME"):
        config.build(
            parse(SETTINGS.replace("env:EMF_TEST_SECRET", "sixteen bytes or more"), "test"),
            parts={"house": ScriptedProvider("Hi")},
        )


@pytest.mark.parametrize("more", ['names = "en_core_web_sm"', 'patterns = ["x+"]'])
def test_without_the_extra_what_needs_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    finders = tuple(sys.meta_path)

    class Lacking:
        find_distributions = staticmethod(PathFinder.find_distributions)

        def find_spec(self, name: str, *more: Any) -> Any:
            if name.partition(".")[0] in ("re2", "presidio_analyzer"):
                return None
            found = (one.find_spec(name, *more) for one in finders)
            return next((one for one in found if one is not None), None)

    for name in [one for one in sys.modules if re.match(r"re2\b|presidio", one)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Lacking()])
    with pytest.raises(MissingExtraError, match=r"emafusion\[privacy\]"):
        client(more)


@without_privacy
async def test_terms_and_patterns_are_masked_and_come_back() -> None:
    more = 'terms = ["Project Halcyon"]\npatterns = ["HX-[0-9]{4}"]'
    async with client(more) as fusion:
        answer = await fusion.answer("Is project halcyon HX-2041?", models=["far"])
        assert answer.text == "Is project halcyon HX-2041?"
        told = asked(fusion)
    assert "halcyon" not in told.lower()
    assert "HX-" not in told


async def test_kinds_have_their_deeds() -> None:
    more = 'kinds = { EMAIL = "allow", IBAN = "private" }'
    async with client(more) as fusion:
        await fusion.answer(f"Write to {MAIL}", models=["far"])
        assert MAIL in asked(fusion)
        answer = await fusion.answer("Pay DE89 3704 0044 0532 0130 00")
        assert answer.model == "near"
        with pytest.raises(NoModelError, match="restricted"):
            await fusion.answer("Pay DE89 3704 0044 0532 0130 00", models=["far"])


async def test_a_detector_of_ones_own_runs_behind_a_fence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "quokka_detector.py").write_text(QUOKKAS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    more = 'detectors = ["quokka_detector:build"]'
    async with client(more) as fusion:
        assert fusion.shield is not None
        assert fusion.shield.down != ()
        await fusion.shield.begin()
        assert fusion.shield.down == ()
        answer = await fusion.answer("Where do quokkas live?", models=["far"])
        assert answer.text == "Where do quokkas live?"
        assert "quokkas" not in asked(fusion)
    assert fusion.shield.down != ()


async def test_a_detector_that_does_not_come_up_refuses_the_start() -> None:
    async with client('detectors = ["emafusion.nowhere:at_all"]') as fusion:
        with pytest.raises(ConfigError, match="did not start"):
            await fusion.warm()
        with pytest.raises(ConfigError, match="did not start"):
            await fusion.answer("Hello?")


async def test_a_stream_is_cut_within_placeholders() -> None:
    async with client() as fusion:
        pieces = [one async for one in fusion.stream(f"To {MAIL}!", models=["far"])]
    assert isinstance(pieces[-1], Answer)
    assert "".join(one.text for one in pieces[:-1]) == f"To {MAIL}!" == pieces[-1].text
    assert MAIL not in str(pieces[-1].outcome)


def test_who_does_not_mask_waits_for_no_pattern() -> None:
    plain = SETTINGS.partition("[protect]")[0]
    program = (
        "import sys\nfrom emafusion import config\nfrom emafusion.config.load import parse\n"
        f"config.build(parse({plain!r}, 'test'))\nimport emafusion.gateway.server\n"
        "print(*(name for name in sys.modules if name.startswith('emafusion.protect.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    assert {"emafusion.protect.shield", "emafusion.protect.orders"}.isdisjoint(
        done.stdout.decode().split()
    )
