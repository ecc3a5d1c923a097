"""Agreement in content: how much of what the other drafts say a draft says too.

Knows words and pairs of words; no meaning, no model and no truth. What many say is more likely to
belong into an answer, so it weighs more: the pyramid of content units (Nenkova & Passonneau,
"Evaluating Content Selection in Summarization: The Pyramid Method", 2004), its units being words
rather than what a person marked. A share of what was said rises with a draft's length, so
length beyond what is usual among the drafts earns nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LONGEST: Final = 12_000
"""Characters of a draft that are read."""
TIMES_USUAL: Final = 3
"""Of a draft so many times as long as the median one, no more is read."""
FEWEST_WORDS: Final = 30
"""Words that are read of every draft."""
# Scripts that put no space between words are read sign by sign.
_WORD: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|[^\W\d_]{3,}|\d+")

_Units: TypeAlias = frozenset[str | tuple[str, str]]


def shared(texts: Sequence[Sequence[str | None]]) -> Array:
    """The share of what the others say that each draft says too, weighed by how many say it.

    Equal drafts count as one voice.

    Parameters
    ----------
    texts : sequence of n rows of m texts
        ``None`` where there is no draft.

    Returns
    -------
    ndarray, shape (n, m)
        In [0, 1]; NaN where there is no draft, or no other that differs.
    """
    import numpy as np

    found = np.full((len(texts), len(texts[0]) if texts else 0), np.nan)
    for place, row in enumerate(texts):
        voices = _voices({text for text in row if text is not None})
        said = _shares(voices)
        for column, text in enumerate(row):
            if text is not None and len(voices) > 1:
                found[place, column] = said[text]
    return found


def _voices(texts: set[str]) -> dict[str, _Units]:
    """The units of each text, none of which is read much further than the usual one."""
    read = {text: _WORD.findall(text[:LONGEST].casefold()) for text in sorted(texts)}
    lengths = sorted(len(words) for words in read.values())
    usual = lengths[(len(lengths) - 1) // 2] if lengths else 0  # of two, the shorter
    most = max(TIMES_USUAL * usual, FEWEST_WORDS)
    return {text: _units(words[:most]) for text, words in read.items()}


def _units(words: Sequence[str]) -> _Units:
    return frozenset({*words, *pairwise(words)})


def _shares(voices: dict[str, _Units]) -> dict[str, float]:
    """Of each text, the share of the other voices' units, counted as often as they are said."""
    said: Counter[str | tuple[str, str]] = Counter()
    for units in voices.values():
        said.update(units)
    whole = said.total()
    return {
        text: (sum(said[unit] for unit in units) - len(units)) / max(whole - len(units), 1)
        for text, units in voices.items()
    }
