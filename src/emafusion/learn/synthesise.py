"""Synthesises questions with known answers, and writes them in the interchange format.

Knows the shares of the splits, the columns of ``queries.parquet``, and how to say which taxonomy
labels the questions cover. The families and the seeds know what is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emafusion.errors import DataError, MissingExtraError
from emafusion.evaluate import files
from emafusion.evaluate.questions import Question
from emafusion.learn.families import Split, generate
from emafusion.learn.interchange import provenance
from emafusion.learn.seeds import Report, Source, coverage, draw
from emafusion.learn.seeds.drawing import ReadAll

if TYPE_CHECKING:
    import pyarrow as pa

SHARES: Final[Mapping[Split, float]] = MappingProxyType({"train": 0.65, "val": 0.15, "test": 0.2})
"""How much of the questions each split gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """Questions by split.

    Attributes
    ----------
    questions
        For each split its questions. No two splits share a prompt, a fact or other content; the
        held-out wordings are in ``test`` alone.
    report
        What drawing from seeds found out; ``None`` for the built-in families.
    """

    questions: Mapping[Split, Sequence[Question]]
    report: Report | None = None

    def coverage(self) -> dict[str, dict[str, int]]:
        """For each taxonomy axis, how many questions carry each label, the commonest first."""
        return coverage.count([question for part in self.questions.values() for question in part])

    def missing(self, labels: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The given labels of each axis that no question carries: where the outcomes stay blind."""
        covered = self.coverage()
        return {
            axis: [label for label in names if label not in covered.get(axis, {})]
            for axis, names in labels.items()
        }

    def write(self, folder: Path) -> Path:
        """Write ``queries.parquet`` into a folder, which is made when it is not there.

        Raises
        ------
        MissingExtraError
            ``pyarrow`` is not installed.
        StoreError
            The file could not be written; an older one is then as it was.
        """
        path = folder / "queries.parquet"
        files.write(path, files.parquet(_table(self.questions)), parents=True)
        return path


def synthesise(n: int, *, seed: int, shares: Mapping[Split, float] = SHARES) -> Synthesis:
    """Draws about ``n`` balanced questions, the same ones for the same arguments.

    Parameters
    ----------
    n
        How many questions in all splits together, at least one for each.
    seed
        What they are drawn from. Another seed draws others, never across splits.
    shares
        The part of ``n`` each split gets; the parts must add up to 1.

    Raises
    ------
    DataError
        The shares do not add up to 1, or ``n`` is too small or too large.
    """
    _check(n, shares)
    return Synthesis(
        questions={
            split: generate(round(n * share), seed, split) for split, share in shares.items()
        }
    )


def from_seeds(
    sources: Sequence[Source],
    n: int,
    *,
    seed: int,
    classifier: ReadAll | None = None,
    shares: Mapping[Split, float] = SHARES,
) -> Synthesis:
    """Draws about `n` questions from seeds, the same ones for the same arguments.

    Parameters
    ----------
    sources
        What :func:`emafusion.learn.seeds.read` gives.
    n, seed, shares
        As :func:`synthesise`. Where the seeds run out there are fewer; the report says which did.
    classifier
        Gives the taxonomy labels that a seed does not state, from bare texts.

    Raises
    ------
    DataError
        As :func:`synthesise`, or a seed cannot be filled.
    """
    _check(n, shares)
    sizes = {split: round(n * share) for split, share in shares.items()}
    questions, report = draw(sources, sizes, seed=seed, classifier=classifier)
    return Synthesis(questions=questions, report=report)


def _check(n: int, shares: Mapping[Split, float]) -> None:
    if abs(sum(shares.values()) - 1.0) > 1e-9 or min(shares.values()) < 0:
        raise DataError(f"the shares of the splits must add up to 1, not {dict(shares)}")
    if n < len(shares):
        raise DataError(f"{n} questions cannot fill {len(shares)} splits; ask for more")


def _table(questions: Mapping[Split, Sequence[Question]]) -> pa.Table:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("pyarrow", "learn") from error
    rows = [(split, question) for split, part in questions.items() for question in part]
    text, count = pa.string(), pa.int64()
    return pa.table(
        {
            "query_id": pa.array([q.id for _, q in rows], text),
            "task": pa.array([q.labels["task"] for _, q in rows], text),
            "subtask": pa.array([q.family for _, q in rows], text),
            "prompt": pa.array([q.prompt for _, q in rows], text),
            "reference": pa.array([q.reference for _, q in rows], text),
            "split": pa.array([split for split, _ in rows], text),
            "grader": pa.array([q.grader.to_json() for _, q in rows], text),
            "labels": pa.array([json.dumps(dict(q.labels)) for _, q in rows], text),
            "phrasing": pa.array([q.phrasing for _, q in rows], count),
            "difficulty": pa.array([q.difficulty for _, q in rows], count),
            "provenance": pa.array([provenance(q) for _, q in rows], text),
        }
    )
