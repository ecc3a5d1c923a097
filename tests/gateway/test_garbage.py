"""While a process serves, garbage is looked for seldom, and not among what stays."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from emafusion.gateway import garbage


class Knot:
    """What holds itself, so that only a search frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def untouched() -> Iterator[tuple[int, int, int]]:
    """The thresholds as they are; nothing is left set aside."""
    before = gc.get_threshold()
    yield before
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_it_is_looked_for_seldom_only_while_serving(untouched: tuple[int, int, int]) -> None:
    with pytest.raises(KeyboardInterrupt), garbage.seldom():
        garbage.set_aside()
        assert gc.get_threshold() == (garbage.OBJECTS, *untouched[1:])
        assert gc.get_freeze_count() > 0
        raise KeyboardInterrupt


def test_what_was_replaced_is_freed(untouched: tuple[int, int, int]) -> None:
    with garbage.seldom():
        served = Knot()
        seen = weakref.ref(served)
        garbage.set_aside()
        del served
        gc.collect()
        assert seen() is not None
        garbage.renew()
        assert seen() is None
        assert gc.get_freeze_count() > 0


def test_nothing_is_set_aside_anew_where_nothing_was(untouched: tuple[int, int, int]) -> None:
    with garbage.seldom():
        garbage.renew()
        assert gc.get_freeze_count() == 0


def test_a_server_in_another_thread_changes_nothing(untouched: tuple[int, int, int]) -> None:
    found: list[object] = []

    def serve() -> None:
        with garbage.seldom():
            garbage.set_aside()
            found.extend([gc.get_threshold(), gc.get_freeze_count()])

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert found == [untouched, 0]
