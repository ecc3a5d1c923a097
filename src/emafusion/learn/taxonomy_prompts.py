"""Labelled prompts from the taxonomy's seed templates: what the fast classifier learns from.

Whole templates are held out for the test split, so that accuracy there is about unseen phrasing.
Knows how templates become prompts; knows no classifier.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from emafusion.errors import DataError
from emafusion.types import Axis
from emafusion.understand import Taxonomy
from emafusion.understand.taxonomy import Seed

Split = Literal["train", "test", "all"]
_TEST_SHARE = 5
"""One template in this many is held out, chosen by a hash of its text."""
GENERAL = "general"
"""The domain label of prompts that show no domain, where the taxonomy has it."""
_WRAPPED = 0.25
_LOWERED = 0.08
_BARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPrompt:
    """A prompt, its label on each axis, and the template it came from."""

    text: str
    labels: Mapping[Axis, str]
    template: str


def generate(
    taxonomy: Taxonomy, n: int, *, seed: int = 0, split: Split = "train"
) -> list[LabelledPrompt]:
    """`n` distinct prompts from the templates of `split`, labels balanced by task and domain.

    The same arguments give the same prompts. Raises :class:`~emafusion.errors.DataError` where the
    templates cannot give `n` distinct ones.
    """
    rng = random.Random(f"{seed}:{split}")
    groups = _groups([s for s in taxonomy.seeds if split in {"all", split_of(s)}])
    weights = [len(group) ** 0.75 for group in groups]
    if not groups:
        raise DataError(f"the taxonomy has no templates in the split {split!r}")
    prompts: dict[str, LabelledPrompt] = {}
    for _ in range(20 * n):
        if len(prompts) == n:
            break
        prompt = _prompt(taxonomy, rng.choice(rng.choices(groups, weights)[0]), rng)
        prompts.setdefault(prompt.text, prompt)
    if len(prompts) < n:
        raise DataError(f"the templates give only {len(prompts)} distinct prompts, {n} were asked")
    return list(prompts.values())


def split_of(seed: Seed) -> Literal["train", "test"]:
    """The split that `seed`'s template belongs to, by a hash of its text."""
    return "test" if crc32(f"{seed.template}/1".encode()) % _TEST_SHARE == 0 else "train"


def _groups(seeds: list[Seed]) -> list[list[Seed]]:
    """Seeds that share all labels: drawing a group first keeps rare kinds from drowning."""
    groups: dict[tuple[str, ...], list[Seed]] = {}
    for seed in seeds:
        groups.setdefault((seed.task, seed.format, seed.complexity, *seed.domains), []).append(seed)
    return list(groups.values())


def _prompt(taxonomy: Taxonomy, seed: Seed, rng: random.Random) -> LabelledPrompt:
    domain = rng.choice(seed.domains)
    text, told = taxonomy.vocabulary.fill_and_tell(seed.template, domain, rng)
    if not told and GENERAL in seed.domains:
        domain = GENERAL  # nothing in the text shows the domain that was drawn
    for change in (_wrap(taxonomy), _lower, _unstop):
        text = change(text, rng)
    return LabelledPrompt(text=text, labels=seed.labels(domain), template=seed.template)


def _wrap(taxonomy: Taxonomy) -> Callable[[str, random.Random], str]:
    def wrap(text: str, rng: random.Random) -> str:
        if taxonomy.before and rng.random() < _WRAPPED:
            text = rng.choice(taxonomy.before) + text
        if taxonomy.after and rng.random() < _WRAPPED:
            text += rng.choice(taxonomy.after)
        return text

    return wrap


def _lower(text: str, rng: random.Random) -> str:
    return text.lower() if rng.random() < _LOWERED else text


def _unstop(text: str, rng: random.Random) -> str:
    return text.rstrip("?.!: \n") if rng.random() < _BARE else text
