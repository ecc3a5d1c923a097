"""MiniLM sentence embeddings through ONNX: the accurate, slow encoder, behind the extra ``minilm``.

The model's files are the user's: a folder with ``model.onnx`` and ``tokenizer.json``. Nothing is
downloaded here, and nothing but this file knows onnxruntime.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emafusion.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIM = 384


class MiniLM:
    """Sentence vectors of all-MiniLM-L6-v2: mean of the last layer's tokens, scaled to length one.

    Parameters
    ----------
    folder : str or Path
        Holds ``model.onnx`` (any precision) and ``tokenizer.json``.
    max_tokens : int
        Longer texts are cut there.
    threads : int
        Threads for one batch.
    batch : int
        Texts per run of the model.

    Raises
    ------
    ConfigError
        Where a file is missing, or (:class:`~emafusion.errors.MissingExtraError`) a library is.

    References
    ----------
    Wang et al., "MiniLM", NeurIPS 2020; Reimers & Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(
        self, folder: str | Path, *, max_tokens: int = 256, threads: int = 1, batch: int = 32
    ) -> None:
        self.folder = Path(folder)
        self.max_tokens = max_tokens
        self.threads = threads
        self.batch = batch
        self._lock = threading.Lock()
        self._parts: tuple[Any, Any] | None = None
        for name in ("model.onnx", "tokenizer.json"):
            if not (self.folder / name).is_file():
                raise ConfigError(f"no file {name!r} in the MiniLM folder {str(self.folder)!r}")

    @property
    def name(self) -> str:
        """The model and the length its texts are cut to."""
        return f"minilm-l6-v2-{self.max_tokens}"

    @property
    def dim(self) -> int:
        """384."""
        return _DIM

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of `texts`, shape ``(len(texts), 384)``."""
        vectors = np.zeros((len(texts), _DIM), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            vectors[rows] = self._run([texts[i] for i in rows])
        return vectors

    def _run(self, texts: list[str]) -> NDArray[np.float32]:
        tokenizer, session = self._load()
        with self._lock:
            encodings = tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encodings], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encodings], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {entry.name for entry in session.get_inputs()}
        output = session.run(None, {k: v for k, v in feeds.items() if k in wanted})[0]
        summed = (output * mask[..., None]).sum(axis=1)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = (summed / np.maximum(length, 1e-9)).astype(np.float32)
        return scaled

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._parts is None:
                self._parts = self._open()
            return self._parts

    def _open(self) -> tuple[Any, Any]:
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError(error.name or "onnxruntime", "minilm") from error
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.enable_truncation(self.max_tokens)
        tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(self.folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        return tokenizer, session
