"""Detectors that crash, hang or lie: what they were to read goes to private models alone.

Those that lie about places within the text have masked too much, and nothing is lost by it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..parts import until
from .taint import CARD, EMAIL, SECRETS, TEXT, WORD, Place, placed, said, settings, tapped
from .tap import PLACEHOLDER

LIMIT_S = 2.0
DETECTORS = """
import os, time
from pathlib import Path
from emafusion.protect.entities import Entity

MARK = Path(os.environ["TMPDIR"]) / "dead"

def one(kind, start, end, score=1.0):
    return Entity(kind=kind, start=start, end=end, score=score)

def mortal():
    if MARK.exists():
        time.sleep(600)

    def detect(text):
        if "die now" in text:
            MARK.touch()
            os._exit(1)
        return []
    return detect

def liar():
    def detect(text):
        n = len(text)
        if "crash" in text:
            raise ValueError(text)
        if "hang" in text:
            time.sleep(600)
        if "exit" in text:
            os._exit(0)
        found = {
            "beyond": [one("ANIMAL", 0, n + 1)],
            "before": [one("ANIMAL", -1, 3)],
            "empty": [one("ANIMAL", 2, 2)],
            "backwards": [one("ANIMAL", 5, 2)],
            "unnamed": [one("an animal", 0, 2)],
            "no list": "nothing",
            "no entity": [{"kind": "ANIMAL"}],
            "no number": [{"kind": "ANIMAL", "start": "0", "end": True}],
            "infinite": [one("ANIMAL", 0, 2, float("nan"))],
            "overlapping": [one("ANIMAL", n // 4, 3 * n // 4, 9.0), one("BIRD", n // 3, n - 1)],
            "covering": [one("ANIMAL", 0, n, 99.0), one("BIRD", 0, n)],
            "shifted": [one("EMAIL", k, min(k + 7, n), 2.0) for k in range(0, n - 1, 5)],
            "allowed": [one("WIND", 0, n, 99.0)],
        }
        return next((told for way, told in found.items() if way in text), [])
    return detect
"""


def beside(folder: Path) -> str:
    """Where modules are looked for: in `folder` first."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("taint")
    (folder / "theirs.py").write_text(DETECTORS)
    more = (
        'detectors = ["theirs:liar", "theirs:mortal"]\nkinds = { WIND = "allow" }\n'
        f"limit_s = {LIMIT_S}\n"
    )
    with tapped() as taps:
        told = settings(*taps, more, ("plain",)).replace("workers = 2", "workers = 1")
        with placed(folder, told, taps, PYTHONPATH=beside(folder)) as found:
            yield found


@pytest.fixture(autouse=True)
def untainted(place: Place) -> Iterator[None]:
    yield
    place.clean()


def refused(place: Place, way: str, name: str = "theirs:liar") -> None:
    """A public model is not asked, the private one is, and nothing of it is kept."""
    before = len(place.public.calls)
    text = f"{way}: {WORD} and {TEXT}"
    reply = place.ask("plain", text=text)
    assert reply.status == 400
    assert f"{name} failed" in reply.error["message"]
    assert all(one not in reply.content.decode() for one in (WORD, *SECRETS.values()))
    reply = place.ask("ours", text=text)
    assert said(reply) == f"echo: {text}"
    found = place.house.outcome(reply)
    assert found.protection is not None
    assert found.protection.failed == (name,)
    assert (found.prompt, found.text) == ("", "")
    assert len(place.public.calls) == before


@pytest.mark.parametrize(
    "way",
    ["beyond", "before", "empty", "backwards", "unnamed", "no list", "no entity", "no number"],
)
def test_a_detector_that_cannot_be_right(place: Place, way: str) -> None:
    _up(place)
    refused(place, way)


@pytest.mark.parametrize("way", ["crash", "exit", "hang"])
def test_a_detector_that_does_not_answer(place: Place, way: str) -> None:
    _up(place)
    refused(place, way)


@pytest.mark.parametrize("way", ["overlapping", "covering", "shifted", "allowed", "nothing"])
def test_a_detector_that_is_wrong_hides_nothing(place: Place, way: str) -> None:
    _up(place)
    before = len(place.public.calls)
    text = f"{way}: {TEXT}"
    assert said(place.ask("plain", text=text)) == f"echo: {text}"
    [heard] = place.public.calls[before:]
    assert PLACEHOLDER.search(heard.body) is not None
    assert EMAIL not in heard.body
    assert CARD not in heard.body


def _up(place: Place) -> None:
    """Detectors that were ended by another test are back."""
    until(lambda: place.ask("plain", text="Hello").status == 200, within_s=60.0)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One whose detector does not come back."""
    folder = tmp_path_factory.mktemp("taint")
    (folder / "theirs.py").write_text(DETECTORS)
    more = f'detectors = ["theirs:mortal"]\nlimit_s = {LIMIT_S}\n'
    with tapped() as taps:
        told = settings(*taps, more, ("plain",)).replace("workers = 2", "workers = 1")
        with placed(folder, told, taps, PYTHONPATH=beside(folder)) as found:
            yield found


def test_a_detector_that_stays_down(mortal: Place) -> None:
    assert mortal.ask("plain", text="Hello").status == 200
    for way in ("die now", "afterwards"):
        refused(mortal, way, "theirs:mortal")
    until(lambda: mortal.house.get("/readyz").status == 503, within_s=10.0)
    assert "detectors are down" in mortal.house.get("/readyz").json["checks"]["detectors"]
    mortal.clean()
