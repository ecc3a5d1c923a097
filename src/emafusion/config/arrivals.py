"""Models that cannot answer yet, because their files are on their way.

Knows which they are and who may be asked meanwhile; it does not know how a file comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emafusion.protocols import Protector
from emafusion.types import Clearance, Model, Request, replace


class Arrivals:
    """The models that cannot answer yet, the next one to arrive first.

    Parameters
    ----------
    names : iterable of str
        The models, in the order in which they are fetched.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def here(self, name: str) -> None:
        """The model `name` can answer now."""
        self._names.remove(name)

    def failed(self, name: str) -> None:
        """The file of `name` could not be had: every other one is more likely to come."""
        self._names.remove(name)
        self._names.append(name)

    def waiting(self) -> tuple[str, ...]:
        """The models that cannot answer yet, the next one to arrive first."""
        return tuple(self._names)


class ReadyFirst:
    """A :class:`~emafusion.protocols.Protector`: a request does not wait where it need not.

    Of the models that `inner` clears, those that are still to arrive are left out while another
    can answer; where none can, all but the next to arrive are.

    Parameters
    ----------
    inner : Protector
        Says who may see a request.
    arrivals : Arrivals
        Says who cannot answer yet.
    """

    def __init__(self, inner: Protector, arrivals: Arrivals) -> None:
        self.inner = inner
        self.arrivals = arrivals

    def protect(self, request: Request, models: Sequence[Model]) -> Clearance:
        """The models that may see `request`, as far as it need not wait for them."""
        clearance = self.inner.protect(request, models)
        waiting = [name for name in self.arrivals.waiting() if name in clearance.models]
        ready = clearance.models.difference(waiting) or frozenset(waiting[:1])
        return replace(clearance, models=ready)
