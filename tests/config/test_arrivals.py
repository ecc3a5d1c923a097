"""While a model's file is on its way, requests go to those that are ready."""

from __future__ import annotations

from emafusion.config.arrivals import Arrivals, ReadyFirst
from emafusion.protect import VisibilityProtector
from emafusion.types import Knobs, Model, Request


def model(name: str, *, private: bool = False) -> Model:
    return Model(
        name=name,
        provider="p",
        upstream=name,
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=1.0,
        visibility="private" if private else "public",
    )


POOL = [model("remote"), model("first", private=True), model("second", private=True)]


def cleared(
    arrivals: Arrivals, names: str = "remote first second", private: bool = False
) -> set[str]:
    messages = ({"role": "user", "content": "Hi"},)
    request = Request(id="dec_1", messages=messages, knobs=Knobs(private=private))
    named = [one for one in POOL if one.name in names.split()]
    clearance = ReadyFirst(VisibilityProtector(), arrivals).protect(request, named)
    assert clearance.data_class == ("restricted" if private else "public")
    return set(clearance.models)


def test_only_what_is_here_is_asked_as_long_as_something_is() -> None:
    arrivals = Arrivals(["first", "second"])
    assert cleared(arrivals) == {"remote"}
    arrivals.here("first")
    assert cleared(arrivals) == {"remote", "first"}
    assert cleared(arrivals, private=True) == {"first"}
    arrivals.here("second")
    assert cleared(arrivals) == {"remote", "first", "second"}


def test_where_nothing_is_here_the_next_to_arrive_is_waited_for() -> None:
    arrivals = Arrivals(["first", "second"])
    assert cleared(arrivals, private=True) == {"first"}
    assert cleared(arrivals, "second") == {"second"}
    arrivals.failed("first")
    assert cleared(arrivals, private=True) == {"second"}
    arrivals.failed("second")
    assert cleared(arrivals, private=True) == {"first"}


def test_nobody_is_cleared_who_was_not() -> None:
    assert cleared(Arrivals(["first"]), "remote", private=True) == set()
