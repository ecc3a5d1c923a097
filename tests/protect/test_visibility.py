"""Private requests, private models."""

from __future__ import annotations

from emafusion.protect import VisibilityProtector
from emafusion.types import Knobs, Model, Request, replace

PUBLIC = Model(name="a", provider="p", upstream="a", usd_per_mtok_in=1, usd_per_mtok_out=1)
PRIVATE = replace(PUBLIC, name="b", visibility="private")


def request(*, private: bool) -> Request:
    return Request(
        id="x", messages=({"role": "user", "content": "hi"},), knobs=Knobs(private=private)
    )


def test_public_requests_may_go_anywhere() -> None:
    found = VisibilityProtector().protect(request(private=False), (PUBLIC, PRIVATE))
    assert found.models == {"a", "b"}
    assert found.data_class == "public"


def test_private_requests_stay_private_even_where_that_leaves_nobody() -> None:
    protector = VisibilityProtector()
    assert protector.protect(request(private=True), (PUBLIC, PRIVATE)).models == {"b"}
    assert protector.protect(request(private=True), (PUBLIC,)).models == frozenset()
