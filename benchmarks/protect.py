"""How much of what is sensitive is found, what is found that is not, and how long it takes.

Run: ``python benchmarks/protect.py [--pipeline NAME]``. A value counts as found when every
character of it but blanks and marks is covered; a clean sentence is a false positive with one
entity in it. What was held out is of forms that the patterns were not made with. With a pipeline,
names are looked for, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from emafusion.protect import names
from emafusion.protect.entities import Entity
from emafusion.protect.structured import Structured
from protect_corpus import Maker, Sentence

Find = Callable[[str], Sequence[Entity]]


def covered(sentence: Sentence, found: Sequence[Entity], value: str) -> bool:
    """Whether no letter or digit of `value` is left outside of what was found."""
    start = sentence.text.index(value)
    places = {place for one in found for place in range(one.start, one.end)}
    return all(start + n in places for n, c in enumerate(value) if c.isalnum())


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--pipeline", default="")
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--sentences", type=int, default=2000)
    arguments.add_argument("--misses", action="store_true", help="print what was missed")
    chosen = arguments.parse_args()
    structured = Structured().found
    persons: Find = names.detector(chosen.pipeline) if chosen.pipeline else lambda _: ()
    report: dict[str, object] = {}
    for held in (False, True):
        maker = Maker(chosen.seed, held=held)
        found = _sought(maker, structured, persons, chosen.sentences)
        if chosen.misses and not held:
            print("\n".join(found.pop("missed")))
        found.pop("missed", None)
        report["held out" if held else "tuned on"] = found
    maker = Maker(chosen.seed)
    english = [s.text for s in maker.clean(1000) if s.language == "en"]
    report["false_positives_names_en"] = sum(bool(persons(text)) for text in english) / len(english)
    report["ms"] = {kind: _timed(structured, text) for kind, text in _texts().items()}
    if chosen.pipeline:
        report["ms_names"] = _timed(persons, _texts()["prose"])
    print(json.dumps(report, indent=1))


def _sought(maker: Maker, structured: Find, persons: Find, n: int) -> dict[str, Any]:
    """What part of values is found, by kind, and of clean texts has anything found."""
    asked: dict[str, Counter[str]] = {"sentences": Counter(), "contexts": Counter()}
    hit: dict[str, Counter[str]] = {"sentences": Counter(), "contexts": Counter()}
    languages: dict[str, list[bool]] = {}
    missed: list[str] = []
    for form, some in (("sentences", maker.sensitive(n)), ("contexts", maker.placed(n))):
        for sentence in some:
            found = [*structured(sentence.text), *persons(sentence.text)]
            ((kind, value),) = sentence.values
            right = covered(sentence, found, value)
            asked[form][kind] += 1
            hit[form][kind] += right
            if kind not in ("PERSON", "ADDRESS"):
                languages.setdefault(sentence.language, []).append(right)
            if not right and kind != "PERSON":
                missed.append(f"{kind}: {sentence.text!r}")
    clean = {"easy": maker.clean(1000), "hard": maker.hard(600)}
    alarms = {name: [s.text for s in some if structured(s.text)] for name, some in clean.items()}
    return {
        **{form: {kind: round(hit[form][kind] / count, 4) for kind, count in sorted(by.items())}
           for form, by in asked.items()},
        "by_language_or_context": {k: round(sum(v) / len(v), 4) for k, v in languages.items()},
        "false_positives_easy": len(alarms["easy"]) / 1000,
        "false_positives_hard": len(alarms["hard"]) / 600,
        "missed": [*missed, *sorted(set(alarms["easy"] + alarms["hard"]))],
    }  # fmt: skip


def _texts() -> dict[str, list[str]]:
    """Texts of about 500 tokens: 2,000 characters and more."""
    maker = Maker(11)
    prose = []
    for _ in range(10):
        parts = [s.text for s in maker.clean(48)] + [s.text for s in maker.sensitive(2)]
        prose.append(" ".join(parts)[:2400])
    mail, phone = (maker.value(kind, "en") for kind in ("EMAIL", "PHONE"))
    rows = [(n, "Jane Roe", f"{n}{mail}", f"{phone[:-2]}{n + 10}", f"{n * 3.17:.2f}",
             f"2026-11-{n % 28 + 1:02d}") for n in range(40)]  # fmt: skip
    heads = ("id", "name", "email", "phone", "total", "day")
    table = "\n".join(",".join(map(str, row)) for row in (heads, *rows))
    objects = json.dumps([dict(zip(heads, row, strict=True)) for row in rows])
    log = "\n".join(
        f"2026-11-22T16:20:{n:02d}Z 10.0.{n}.1 GET /v1/users/{n * 7919} 200 {n * 31}ms id={n:08d}"
        for n in range(40)
    )
    return {"prose": prose, "csv": [table[:2000]], "json": [objects[:2000]], "log": [log[:2000]]}


def _timed(find: Find, texts: Sequence[str]) -> dict[str, float]:
    """CPU milliseconds for each of `texts`, the least of some tries."""
    took = [min(_once(find, text) for _ in range(9)) for text in texts]
    return {"median": round(statistics.median(took), 3), "worst": round(max(took), 3)}


def _once(find: Find, text: str) -> float:
    begun = time.process_time()
    find(text)
    return 1e3 * (time.process_time() - begun)


if __name__ == "__main__":
    main()
