"""Models by name.

It knows what a model is and how to say that one is not there; it does not know where a model's
prices come from (:mod:`emafusion.catalog.resolve` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files

import msgspec

from emafusion.errors import ConfigError, UnknownModelError
from emafusion.types import Model

CAPABILITIES = frozenset(
    {"audio", "embeddings", "json", "logprobs", "streaming", "tools", "vision"}
)
"""What a model may be able to do beyond text: the words for ``Model.capabilities``.

One with ``"embeddings"`` turns texts to vectors, and is never asked for an answer.
"""


class Catalog(Mapping[str, Model]):
    """Models by name, in the order they were given.

    Parameters
    ----------
    models : iterable of Model
        No two of one name: :class:`~emafusion.errors.ConfigError`.
    """

    def __init__(self, models: Iterable[Model]) -> None:
        self._models: dict[str, Model] = {}
        for model in models:
            if model.name in self._models:
                raise ConfigError(f"two models are named {model.name!r}; rename one")
            self._models[model.name] = model

    def __getitem__(self, name: str) -> Model:
        """The model `name`; raises :class:`~emafusion.errors.UnknownModelError`."""
        model = self._models.get(name)
        if model is None:
            raise UnknownModelError(f"no model is named {name!r}; {nearest(name, self)}", "model")
        return model

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __repr__(self) -> str:
        return f"Catalog({list(self._models)})"


def local_models(provider: str = "local") -> tuple[Model, ...]:
    """The shipped models that run in process, asked through `provider`, smallest first."""
    data = files(__package__).joinpath("local.toml").read_bytes()
    tables = msgspec.toml.decode(data, type=dict[str, dict[str, object]])
    return tuple(
        msgspec.convert({"name": name, "provider": provider, **table}, Model)
        for name, table in tables.items()
    )


def nearest(name: str, names: Iterable[str]) -> str:
    """What to try instead of the unknown `name`, as the end of a message."""
    known = list(names)
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"there are {', '.join(map(repr, known[:12]))}" if known else "there is none"
