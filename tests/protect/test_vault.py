"""Placeholders: keyed, recovered however they are written, the same whole and in pieces."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.protect.placeholders import Mint
from emafusion.protect.vault import Unmasking, Vault

MINT = Mint(b"sixteen bytes or more")
VALUES = {"EMAIL": "jane.roe@harbour.example", "PHONE": "+44 20 7946 0018", "ID": 'A"\\1\n2'}


def filled() -> tuple[Vault, dict[str, str]]:
    vault = Vault(MINT, "team:a")
    return vault, {kind: vault.put(kind, value) for kind, value in VALUES.items()}


def test_a_value_has_one_placeholder_in_every_process_and_another_in_every_scope() -> None:
    first = Vault(MINT, "team:a").put("EMAIL", "jane@harbour.example")
    assert first == Vault(MINT, "team:a").put("EMAIL", "jane@harbour.example")
    assert first != Vault(MINT, "team:b").put("EMAIL", "jane@harbour.example")
    assert first != Vault(Mint(b"another secret, as long"), "team:a").put(
        "EMAIL", "jane@harbour.example"
    )
    assert first.startswith("[EMAIL_")


def test_two_spellings_of_a_value_both_come_back_and_both_can_be_found() -> None:
    vault = Vault(MINT, "s")
    first, second = (vault.put("EMAIL", said) for said in ("jane@x.example", "Jane@X.example"))
    assert vault.unmask(f"{first} {second}") == "jane@x.example Jane@X.example"
    known = MINT.placeholders("EMAIL", "JANE@x.example", scope="s")
    assert {first, second} <= set(known)


@pytest.mark.parametrize(
    "altered",
    [
        "{kind}_{digest}",
        "{lower}_{digest}",
        "[{kind} {digest}]",
        "[ {kind}_{digest} ]",
        r"\[{kind}\_{digest}\]",
        r"\\[{kind}_{digest}\\]",
        r"[{kind}\_{digest}]",
        "<{kind}_{digest}>",
        "【{kind}_{digest}】",
        "[{kind}-{upper}]",
        "[{kind}: {digest}]",
        "{kind}\\\\_{digest}",
    ],
)
def test_an_altered_placeholder_comes_back(altered: str) -> None:
    vault, places = filled()
    kind, digest = places["EMAIL"][1:-1].split("_")
    said = altered.format(kind=kind, lower=kind.lower(), digest=digest, upper=digest.upper())
    assert vault.unmask(f"write to {said}, please") == f"write to {VALUES['EMAIL']}, please"


def test_what_stands_for_nothing_here_stays() -> None:
    vault, places = filled()
    for said in (
        "[EMAIL_aaaaaaaaaa]",
        places["EMAIL"].replace("EMAIL", "PHONE"),
        places["EMAIL"][:-2] + "]",
        "the email university",
        "[EMAIL]",
    ):
        assert vault.unmask(said) == said
    assert Vault(MINT, "x").unmask(places["EMAIL"]) == places["EMAIL"]


def test_strings_of_json_stay_json() -> None:
    vault, places = filled()
    whole = json.dumps({"id": places["ID"], "to": [places["EMAIL"]]})
    assert json.loads(vault.unmask(whole, in_json=True)) == {
        "id": VALUES["ID"],
        "to": [VALUES["EMAIL"]],
    }


def test_what_cannot_become_a_placeholder_is_said_at_once() -> None:
    vault, places = filled()
    stream = Unmasking(vault)
    assert stream.feed("Plain words, ") == "Plain words, "
    assert stream.feed("then ") == "then "
    assert stream.feed(places["EMAIL"][:5]) == ""
    assert stream.feed(places["EMAIL"][5:]) == VALUES["EMAIL"]
    empty = Unmasking(Vault(MINT, "s"))
    assert empty.feed("[EMAIL_") == "[EMAIL_"


def test_cut_anywhere_a_stream_says_the_same() -> None:
    vault, places = filled()
    kind, digest = places["EMAIL"][1:-1].split("_")
    text = (
        f"xE{places['EMAIL']}\\{places['PHONE']}[[{places['ID']}]] {kind.lower()} {digest.upper()}"
        rf" \[{kind}\_{digest}\] bEMAIL_{digest} [EMAIL_{digest}"
    )
    whole = vault.unmask(text)
    assert whole.count(VALUES["EMAIL"]) == 4
    for cut in range(len(text) + 1):
        stream = Unmasking(vault)
        assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end() == whole, cut
    stream = Unmasking(vault)
    assert "".join(stream.feed(c) for c in text) + stream.end() == whole


PIECES = st.lists(
    st.one_of(
        st.sampled_from([*"[]\\<>{}_-: \nE", "EM", "email", "PHONE", "id", "\\[", "]]"]),
        st.sampled_from(list(filled()[1].values())),
        st.sampled_from([place[1:-1] for place in filled()[1].values()]),
        st.sampled_from([place.rstrip("]").split("_")[1] for place in filled()[1].values()]),
        st.text(max_size=4),
    ),
    max_size=12,
)


@given(PIECES, st.lists(st.integers(0, 200), max_size=6), st.booleans())
def test_pieces_say_what_the_whole_says(pieces: list[str], cuts: list[int], in_json: bool) -> None:
    vault, _ = filled()
    text = "".join(pieces)
    stream = Unmasking(vault, in_json=in_json)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    said = [stream.feed(text[a:b]) for a, b in pairwise(places)]
    assert "".join(said) + stream.end() == vault.unmask(text, in_json=in_json)
