from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.errors import ConfigError
from emafusion.providers.openai import OpenAIProvider
from emafusion.providers.redact import places, redacted
from growth import LINEAR, growth


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefgh12345678",
        "sk-ant-api03-AbCdEf123456",
        "sk-****************7890",
        "gsk_abc123def456",
        "hf_abcdef123456",
        "AIzaSyA1234567890abcdefghijk",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_keys_are_removed(key: str) -> None:
    text = redacted(f"Incorrect API key provided: {key}. You can find it.")
    assert key not in text
    assert text == "Incorrect API key provided: [redacted]. You can find it."


def test_credentials_in_addresses_are_removed() -> None:
    assert "hunter2" not in redacted("cannot reach http://me:hunter2@host/v1")
    assert "abc" not in redacted("header Authorization: Bearer abc")
    assert redacted("at https://token@host/a") == "at https://[redacted]host/a"
    assert "ter2" not in redacted("at https://me:hun@ter2@host/a")


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    assert redacted("a\x1b[31mb\u202ec\x00d") == "a�[31mb�c�d"


def test_where_an_upstream_was_asked_is_known_in_each_way_it_may_quote_it() -> None:
    known = places("http://me:pw@10.1.2.3:8000/v1")
    told = redacted("no 10.1.2.3:8000, nor 10.1.2.3, nor http://me:pw@10.1.2.3:8000/v1", *known)
    assert told == "no [redacted], nor [redacted], nor [redacted]"
    assert places("http://model/v1") == ["http://model/v1"]


def test_a_known_secret_is_removed_whatever_it_looks_like() -> None:
    assert redacted("my key is plain", "plain", None, "") == "my key is [redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens is too large: 99999. This model supports at most 16384 completion tokens",
        "The model `gpt-4o-mini-2024-07-18` does not exist",
        "Unsupported parameter: 'max_tokens' with 'claude-3-5-sonnet-20241022'",
        "key_error in api_version 3",
    ],
)
def test_what_helps_the_user_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_message_is_one_short_line() -> None:
    text = redacted("first\nsecond " + "word " * 200)
    assert text.startswith("first second word")
    assert len(text) == 300


@pytest.mark.parametrize(
    "piece", ["-", "-sk", "sk-", "a1-", "://", "://a:", "a:b@", "bearer ", " "]
)
def test_long_text_takes_no_longer_than_its_length(piece: str) -> None:
    """Quadratic, the first took five seconds for 16,000."""
    assert len(redacted(piece * 200_000)) <= 300
    quarter, whole = (piece * (size // len(piece)) for size in (10_000, 40_000))
    assert growth(redacted, quarter, whole) < LINEAR


@given(
    st.lists(
        st.sampled_from(
            ["-", "_", "*", "sk-", "x-sk-", "api", "a1", "://", "?", "@", " ", "bearer "]
        )
    ).map("".join),
    st.sampled_from(["sk-live-abcd1234", "0123456789abcdef0123456789abcdef"]),
)
def test_a_key_is_found_whatever_stands_before_it(before: str, key: str) -> None:
    assert key not in redacted(f"{before} {key} and more")


def test_a_word_that_is_cut_is_left_out() -> None:
    """Half a key need not look like one."""
    long = "b1" * 2040
    assert redacted(f"at {long} and sk-abcdefgh12345678 it") == "at [redacted] and"


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ("the base_url 'htp://h/v1?token=abc' is no", "the base_url 'htp://h/v1?[redacted]' is no"),
        ("see https://h/a#access=b.", "see https://h/a#[redacted]."),
        ("is it http://h/v1?", "is it http://h/v1?"),
        ("is it? ://", "is it? ://"),
    ],
)
def test_queries_of_addresses_are_removed(told: str, left: str) -> None:
    assert redacted(told) == left


def test_an_address_that_is_none_is_told_of_without_its_token() -> None:
    """`/readyz` repeats why a configuration was refused."""
    with pytest.raises(ConfigError, match="is no address") as refused:
        OpenAIProvider("htp://host/v1?token=hunter2")
    assert "hunter2" not in str(refused.value)
