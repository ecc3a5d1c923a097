"""What no detector reads counts as unread wherever it stands; what is text alone does not."""

from __future__ import annotations

from typing import Any

import pytest

from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.types import Findings, Request

PICTURE = {"type": "image_url", "image_url": {"url": "https://intra.example/p.png"}}
SOUND = {"data": "UklGRiQAAABXQVZF", "format": "wav"}
SOURCE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


async def findings(message: dict[str, Any], **params: Any) -> Findings:
    shield = Shield(Mint(b"a secret of sixteen bytes"), [], rules=Rules())
    return (await shield.protect(Request(id="d", messages=(message,), params=params))).findings


def user(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "text", "text": "What is this?"}, *parts],
        **fields,
    }


@pytest.mark.parametrize(
    ("message", "params"),
    [
        (user(PICTURE), {}),
        (user({"image_url": PICTURE["image_url"]}), {}),
        (user({"input_audio": SOUND}), {}),
        (user({"type": "text", "text": "x", "input_audio": SOUND}), {}),
        (user({"type": "text", "text": "x", "bytes": "iVBORw0KGgo="}), {}),
        (user({"type": ["text"], "text": "x"}), {}),
        (user({"type": "tool_result", "content": [PICTURE]}), {}),
        (user({"type": "tool_result", "content": [{"type": "image", "source": SOURCE}]}), {}),
        (user({"type": "tool_result", "content": PICTURE}), {}),
        (user(images=[PICTURE]), {}),
        (user(audio={"id": "audio_1"}), {}),
        (user(extra={"more": [{"file_id": "file_1"}]}), {}),
        (user(), {"images": ["iVBORw0KGgo="]}),
        (user(), {"extra_body": {"files": [{"file_data": "JVBERi0="}]}}),
        (user(), {"prompt_embeds": "AAAA"}),
        (user(), {"input": [[1, 2, 3]]}),
    ],
)
async def test_what_is_no_text_is_for_private_models(
    message: dict[str, Any], params: dict[str, Any]
) -> None:
    found = await findings(message, **params)
    assert found.unread
    assert found.private


FORM = {"type": "object", "properties": {"image": {"type": "string"}, "source": {}}}


@pytest.mark.parametrize(
    ("message", "params"),
    [
        (user(), {}),
        (user({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}), {}),
        (user({"type": "tool_result", "tool_use_id": "a", "content": "done"}), {}),
        (user({"type": "tool_result", "content": [{"type": "text", "text": "done"}]}), {}),
        (user(audio=None, name="jo"), {}),
        (user(), {"tools": [{"type": "function", "function": {"name": "f", "parameters": FORM}}]}),
        (user(), {"response_format": {"type": "json_schema", "json_schema": {"schema": FORM}}}),
        (user(), {"metadata": {"source": "web"}, "audio": {"voice": "a", "format": "wav"}}),
        (user(), {"input": ["one", "two"]}),
    ],
)
async def test_what_is_text_alone_is_read(message: dict[str, Any], params: dict[str, Any]) -> None:
    assert not (await findings(message, **params)).unread
