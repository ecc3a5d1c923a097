"""A small taxonomy and a classifier fitted on it, once for all tests here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from emafusion.encoders import Hashing
from emafusion.learn.fit_understand import fit
from emafusion.types import Completion, Draft, Message, Purpose, Request, Usage
from emafusion.understand import FastClassifier, Taxonomy

TREE = """
version = 1

[task.translation]
description = "Into another language."
[[task.translation.seeds]]
complexity = "simple"
domain = "*"
format = "prose"
templates = ["Translate: {{thing}}", "Say {{thing}} in French", "{{thing}} in German, please",
             "How do you say {{thing}}?", "What is {{thing}} in Dutch?", "Into Polish: {{thing}}"]

[task.arithmetic]
description = "Numbers."
[[task.arithmetic.seeds]]
complexity = "hard"
domain = "general"
format = "number"
templates = ["What is {{int:10-99}} + {{int:10-99}}?", "Compute {{int:10-99}} * {{int:2-9}}.",
             "{{int:10-99}} minus {{int:2-9}}", "Add {{int:2-99}} to {{int:2-99}} and halve it",
             "{{int:100-999}} / {{int:2-9}} = ?", "Sum of {{int:1-99}} and {{int:1-99}}?"]

[complexity.simple]
description = "One step."
[complexity.hard]
description = "More."
[domain.general]
description = "Anything."
[domain.law]
description = "Courts."
[format.prose]
description = "Text."
[format.number]
description = "A number."

[slots.thing]
general = "a red house; good morning; my old cat; the weather; a cup of tea; two tickets"
law = "the court; a contract; the judge; the tenant; an appeal; a witness; the verdict"
"""


@pytest.fixture(scope="session")
def tree_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tree") / "tree.toml"
    path.write_text(TREE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tree(tree_file: Path) -> Taxonomy:
    return Taxonomy.load(tree_file)


@pytest.fixture(scope="session")
def fast(tree: Taxonomy) -> FastClassifier:
    encoder = Hashing(64)
    return FastClassifier.from_arrays(fit(taxonomy=tree, encoder=encoder, n=150), encoder)


def request_of(text: str, **params: object) -> Request:
    return Request(id="r", messages=({"role": "user", "content": text},), params=params)


class Says:
    """A port behind which one model always says the same, or always fails the same way."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Sequence[Message], Purpose]] = []

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: Purpose,
        params: Mapping[str, object] | None = None,
    ) -> Draft:
        assert params is not None
        assert params["temperature"] == 0
        self.asked.append((model, messages, purpose))
        if isinstance(self.answer, Exception):
            raise self.answer
        said = Completion(text=self.answer, usage=Usage())
        return Draft(model=model, completion=said, cost_usd=0.0, latency_s=0.0)
