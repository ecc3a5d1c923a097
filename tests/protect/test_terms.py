"""A company's own terms are found however they are written, and in no other word."""

from __future__ import annotations

import pytest

from emafusion.protect.recognisers.terms import Terms
from emafusion.protect.structured import Structured
from growth import LINEAR, growth


def said(term: str, text: str) -> list[str]:
    return [text[one.start : one.end] for one in Structured((Terms([term]),)).found(text)]


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("Project Halcyon", "project  halcyon", "project  halcyon"),
        ("Project Halcyon", "PROJECT\nHALCYON", "PROJECT\nHALCYON"),
        ("Project Halcyon", "x project-halcyon", "project-halcyon"),
        ("Project Halcyon", "project_halcyon.xlsx", "project_halcyon"),
        ("Project Halcyon", "ProjectHalcyon", "ProjectHalcyon"),
        ("project_halcyon", "Project Halcyon", "Project Halcyon"),
        ("Halcyon", "Halcyon_v2", "Halcyon"),
        ("Halcyon", r"a\nHalcyon\tb", "Halcyon"),
        ("Straße 7", "STRASSE 7", "STRASSE 7"),
        ("Strasse", "straße", "straße"),
        ("café", "cafe\u0301", "cafe\u0301"),
        ("cafe\u0301", "CAFÉ", "CAFÉ"),
        ("İstanbul", "istanbul", "istanbul"),
        ("istanbul", "İSTANBUL", "İSTANBUL"),
        ("Ελλάς", "ΕΛΛΆΣ", "ΕΛΛΆΣ"),
        ("鳳凰計画", "これは鳳凰計画です", "鳳凰計画"),
        ("K2計画", "次のK2計画で", "K2計画"),
        ("Halcyon", "次のHalcyonで", "Halcyon"),
        ("โครงการลับ", "นี่คือโครงการลับนะ", "โครงการลับ"),
        ("AT&T", "at&t.", "at&t"),
        ("C++", "in C++ and", "C++"),
        ("Halcyon", "H\u0430lcyon", "H\u0430lcyon"),
        ("x-17", "x\u201117", "x\u201117"),
        ("Project Halcyon", "theProjectHalcyonTeam", "ProjectHalcyon"),
        ("Project Halcyon", "Project HalcyonTeam", "Project Halcyon"),
        ("Halcyon", "theHalcyonTeam", "Halcyon"),
        ("Project Halcyon", "com.acme.Project.Halcyon", "Project.Halcyon"),
        ("Project Halcyon", "Project **Halcyon**", "Project **Halcyon"),
        ("Project Halcyon", "Project+Halcyon", "Project+Halcyon"),
        ("Project Halcyon", "a/Project/Halcyon", "Project/Halcyon"),
        ("Project Halcyon", "Project: Halcyon", "Project: Halcyon"),
        ("Project Halcyon", "Project Halcyons", "Project Halcyon"),
        ("Überläufer", "Uberlaufer", "Uberlaufer"),
        ("Überläufer", "Ueberlaeufer", "Ueberlaeufer"),
        ("Čapek", "capek", "capek"),
    ],
)
def test_a_term_is_found_however_it_is_written(term: str, text: str, found: str) -> None:
    assert said(term, text) == [found]


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("Halcyon", "halcyonic"),
        ("Halcyon", "Halcyon2"),
        ("Halcyon", "prehalcyon"),
        ("Halcyon", "Halcyoné"),
        ("Project Halcyon", "project. Halcyon"),
        ("Project Halcyon", "the project, halcyon"),
        ("Project Halcyon", "Project Halcyonsx"),
        ("Project Halcyon", "theProjectX"),
        ("Halcyon", "Halcyons"),
        ("Halcyon", "theHalcyon2"),
        ("cafe", "café"),
        ("x-17", "x-17b"),
        ("Project Halcyon", "a Project\n\x00\nHalcyon days"),
        ("C++", "C+"),
    ],
)
def test_other_words_are_none(term: str, text: str) -> None:
    assert said(term, text) == []


def test_many_terms_take_time_linear_in_the_text() -> None:
    find = Structured((Terms([f"term {n}" for n in range(500)] + ["計画", "x"[:1] * 2]),)).found
    assert growth(find, "word 計 " * 5_000, "word 計 " * 20_000) < LINEAR
    find = Structured((Terms(["a b", "Ab Ab"]),)).found
    for piece in ("aAbAb", "a+", "ü", "Ab**"):
        assert growth(find, piece * 5_000, piece * 20_000) < LINEAR, piece
