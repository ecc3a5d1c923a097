from __future__ import annotations

import pytest

from emafusion.providers.redact import redacted


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
