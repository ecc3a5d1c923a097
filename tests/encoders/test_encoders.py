"""Encoders: unit vectors, the same in every process, near where meanings or words are near."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emafusion.encoders import Hashing, MiniLM, Remembered, Static, default, static
from emafusion.encoders.words import HEAD, TAIL, clip, names, words
from emafusion.errors import ConfigError
from emafusion.protocols import Encoder

TABLE = Static()
ENCODERS: list[Encoder] = [Hashing(64), Hashing(512, ngrams=(3, 3)), TABLE, Remembered(TABLE)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: type(e).__name__)
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=200), max_size=4))
def test_every_text_gives_a_unit_vector_or_zero(encoder: Encoder, texts: list[str]) -> None:
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), encoder.dim)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    assert all(abs(x - 1) < 1e-4 or x == 0 for x in lengths.tolist())


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: type(e).__name__)
def test_a_text_has_the_same_vector_alone_and_in_company(encoder: Encoder) -> None:
    texts = ["How do plants breathe?", "", "def f(x): return x"]
    together = encoder.encode(texts)
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(together[row], encoder.encode([text])[0])


def test_hashing_is_the_same_in_another_process() -> None:
    code = (
        "from emafusion.encoders import Hashing;"
        "print(Hashing(32).encode(['a quick brown fox'])[0].tobytes().hex())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "12345", "PYTHONPATH": str(Path(static.__file__).parents[2])},
    )
    mine = Hashing(32).encode(["a quick brown fox"])[0].tobytes().hex()
    assert other.stdout.strip() == mine


def test_hashing_names_what_changes_its_vectors() -> None:
    assert len({Hashing(64).name, Hashing(128).name, Hashing(64, ngrams=(3, 5)).name}) == 3


@pytest.mark.parametrize(
    ("anchor", "near", "far"),
    [
        (
            "the tenant broke the lease",
            "a landlord sued over a contract",
            "photosynthesis in leaves",
        ),
        ("medicine for a patient with fever", "a doctor treats an infection", "a bridge of steel"),
        ("shares and bond yields", "investing money in stocks", "poems of ancient Greece"),
        ("a Python function with a loop", "debugging software code", "a recipe with eggs"),
        ("the planets of the solar system", "telescopes and stars", "a court of appeal"),
    ],
)
def test_the_static_table_knows_meaning(anchor: str, near: str, far: str) -> None:
    vectors = default().encode([anchor, near, far])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.05


def test_static_cuts_unknown_words_into_pieces() -> None:
    whole, pieces = TABLE.rows("photosynthesis"), TABLE.rows("photosynthesisation")
    assert len(whole) >= 1
    assert len(pieces) > len(whole)
    assert TABLE.rows("12 + 5 = ? x") == []


def test_a_static_table_survives_saving(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 16)).astype(np.float32)
    static.save(tmp_path / "t.npz", ["red", "green", "##ish"], vectors, name="tiny-1")
    encoder = Static(tmp_path / "t.npz")
    assert (encoder.name, encoder.dim) == ("tiny-1", 16)
    assert encoder.rows("greenish red") == [1, 2, 0]
    wanted = (vectors[0] + vectors[1]) / np.linalg.norm(vectors[0] + vectors[1])
    assert float(encoder.encode(["Red, green!"])[0] @ wanted) > 0.999


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_a_damaged_table_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.npz"):
        static.load(path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.npz"):
        Static(tmp_path / "none.npz").encode(["x"])


def test_a_table_of_unequal_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    np.savez(
        path,
        name=np.frombuffer(b"odd", np.uint8),
        words=np.frombuffer(b"a\nb", np.uint8),
        vectors=np.zeros((3, 4), np.int8),
        scales=np.zeros(3, np.float16),
    )
    with pytest.raises(ConfigError, match="damaged"):
        static.load(path)


def test_minilm_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.onnx"):
        MiniLM(tmp_path)


class Counting:
    """An encoder that counts the texts it was asked for."""

    name = "counting"
    dim = 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32).reshape(-1, 2)


def test_remembered_encodes_a_text_once() -> None:
    inner = Counting()
    encoder = Remembered(inner)
    first = encoder.encode(["aa", "b", "aa"])
    second = encoder.encode(["b", "aa"])
    assert inner.asked == ["aa", "b"]
    np.testing.assert_array_equal(first[[1, 0]], second)
    assert encoder.encode([]).shape == (0, 2)


def test_remembered_forgets_what_was_not_used_for_longest() -> None:
    inner = Counting()
    encoder = Remembered(inner, size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        encoder.encode([text])
    assert inner.asked == ["a", "b", "c", "b"]


def test_changing_a_result_changes_no_memory() -> None:
    encoder = Remembered(Counting())
    encoder.encode(["abc"])[:] = 0
    assert encoder.encode(["abc"])[0, 0] == 3


def test_long_texts_are_read_at_both_ends() -> None:
    text = "start " + "x" * 50_000 + " end"
    assert len(clip(text)) == HEAD + TAIL + 1
    assert words(text)[0] == "start"
    assert words(text)[-1] == "end"


def test_words_and_names() -> None:
    assert words("Add 25% of x2!") == ["add", "25", "%", "of", "x", "2", "!"]
    assert names("Add 25% of x2, Zoë!") == ["add", "of", "zoë"]
