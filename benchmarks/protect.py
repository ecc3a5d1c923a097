"""How much of what is sensitive is found, what is found that is not, and how long it takes.

Run: ``python benchmarks/protect.py [--pipeline NAME]``. A value counts as found when every
character of it but blanks and marks is covered; a clean sentence is a false positive with one
entity in it. With a pipeline, names are looked for, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence

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
    chosen = arguments.parse_args()
    structured = Structured().found
    persons: Find = names.detector(chosen.pipeline) if chosen.pipeline else lambda _: ()
    maker = Maker(chosen.seed)
    asked: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    by_language: dict[str, list[bool]] = {}
    missed: list[str] = []
    for sentence in maker.sensitive(chosen.sentences):
        found = [*structured(sentence.text), *persons(sentence.text)]
        for kind, value in sentence.values:
            right = covered(sentence, found, value)
            asked[kind] += 1
            hit[kind] += right
            if kind not in ("PERSON", "ADDRESS"):
                by_language.setdefault(sentence.language, []).append(right)
            if not right and kind != "PERSON":
                missed.append(f"{kind}: {sentence.text}")
    clean = list(maker.clean(1000))
    alarms = [s.text for s in clean if structured(s.text)]
    named = [s.text for s in clean if s.language == "en" and persons(s.text)]
    report = {
        "recall": {kind: round(hit[kind] / asked[kind], 4) for kind in sorted(asked)},
        "structured_by_language": {k: round(sum(v) / len(v), 4) for k, v in by_language.items()},
        "false_positives": len(alarms) / len(clean),
        "false_positives_names_en": len(named) / sum(s.language == "en" for s in clean),
        "ms_500_tokens": _timed(structured),
        "ms_500_tokens_names": _timed(persons) if chosen.pipeline else None,
    }
    print(json.dumps(report, indent=1))
    print("\n".join(missed[:15]), *alarms[:12], *named[:12], sep="\n")


def _timed(find: Find) -> dict[str, float]:
    """CPU milliseconds for prompts of about 500 tokens with two values each."""
    maker = Maker(11)
    took = []
    for _ in range(30):
        parts = [s.text for s in maker.clean(48)] + [s.text for s in maker.sensitive(2)]
        text = " ".join(parts)[:2400]
        best = min(_once(find, text) for _ in range(5))
        took.append(best)
    return {"median": round(statistics.median(took), 3), "worst": round(max(took), 3)}


def _once(find: Find, text: str) -> float:
    begun = time.process_time()
    find(text)
    return 1e3 * (time.process_time() - begun)


if __name__ == "__main__":
    main()
