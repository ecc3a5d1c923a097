"""Secrets in JSON that the field around theirs, or one beside it, names: in any text."""

from __future__ import annotations

import json

import pytest

from emafusion.protect.structured import Structured

FOUND = Structured().found
VALUE, KEY = "S3cr3t!x9", "aB3dE5fG7hI9jK1lM3nO"
NAMED: list[tuple[dict[str, object], list[str]]] = [
    ({"password": {"current": "0ld!Secret", "new": VALUE}}, ["0ld!Secret", VALUE]),
    ({"password": {"value": "hunter22"}}, ["hunter22"]),
    ({"passwords": {"db": VALUE, "port": 5432, "api": "T0psecret!"}}, [VALUE, "T0psecret!"]),
    ({"secrets": {"DB": VALUE}}, [VALUE]),
    ({"api_key": {"value": KEY}}, [KEY]),
    ({"type": "password", "value": VALUE}, [VALUE]),
    ({"element": "Password field", "text": VALUE}, [VALUE]),
    ({"element": "Confirm password textbox", "ref": "e12", "text": VALUE}, [VALUE]),
]
"""What is read, and the secrets in it."""


def said(text: str) -> set[str]:
    return {text[one.start : one.end] for one in FOUND(text) if one.kind == "KEY"}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(("given", "secrets"), NAMED)
def test_a_secret_is_found_by_the_fields_around_it(
    given: dict[str, object], secrets: list[str], indent: int | None
) -> None:
    text = json.dumps(given, indent=indent)
    assert said(text) == set(secrets)
    assert said(json.dumps({"result": text})) == set(secrets)


@pytest.mark.parametrize(
    "given",
    [
        {"password": {"type": "string", "minLength": 8, "pattern": "^[A-Za-z0-9!]{8,}$"}},
        {"password2": {"$ref": "#/$defs/Password2"}},
        {"password": {"new": "Neues Passwort 1"}},
        {"passwords": {"file": "src/auth2.py"}},
        {"secret": {"namespace": "prod-2", "uid": "9f86d081-884c-4d65-9a2f-eaa0c55ad015"}},
        {"secret": {"value": "get_secret(2)"}},
        {"secretKeyRef": {"name": "mysql-pass1", "key": "password1"}},
        {"api_key": {"value": "prod-2"}},
        {"type": "token", "value": "identifier_1"},
        {"type": "password", "text": "Password (8+ chars)"},
        {"title": "Password reset", "text": "PROJ-1234"},
        {"kind": "Secret", "id": "a1-b2-c3"},
    ],
)
def test_what_only_describes_a_secret_is_none(given: dict[str, object]) -> None:
    assert said(json.dumps(given)) == set()
