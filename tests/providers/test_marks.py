"""A cache is told what to keep by those upstreams that read it, and the others are not troubled."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emafusion.providers import marks, wire
from emafusion.types import Call, replace

from .calls import call, model

MARK = {"type": "ephemeral", "ttl": "1h"}
CARRIED = marks.carried(MARK)
PLAIN = {"cache_control": MARK}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "add", "parameters": {}}}
USE: dict[str, Any] = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 1}'},
}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def chat(mark: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """A conversation with `mark` on a block of every kind."""
    return (
        {"role": "system", "content": [text("Be brief."), text("Be kind.", **mark)]},
        {"role": "user", "content": [text("Hi", **mark)]},
        {"role": "assistant", "content": [text("I "), text("add.", **mark)], "tool_calls": [USE]},
        {"role": "tool", "tool_call_id": "c1", "content": [text("1", **mark)]},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "user", "content": "Go on"},
    )


UNMARKED = (
    {"role": "system", "content": "Be brief.\n\nBe kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "I add.", "tool_calls": [USE]},
    {"role": "tool", "tool_call_id": "c1", "content": "1"},
    {"role": "tool", "tool_call_id": "c2", "content": "2"},
    {"role": "user", "content": "Go on"},
)


def asked(mark: dict[str, Any], *, charges: bool) -> Call:
    price = 1.25 if charges else None
    return replace(
        call(tools=[TOOL | mark, TOOL]),
        messages=chat(mark),
        model=replace(model(), usd_per_mtok_cache_write=price),
    )


def test_carried_marks_reach_only_those_who_charge_for_what_they_keep() -> None:
    body = wire.request_body(asked(CARRIED, charges=True), stream=False)
    assert body["messages"] == list(chat(PLAIN))
    assert body["tools"] == [TOOL | PLAIN, TOOL]
    body = wire.request_body(asked(CARRIED, charges=False), stream=False)
    assert body["messages"] == list(UNMARKED)
    assert body["tools"] == [TOOL, TOOL]


def test_marks_of_the_chat_protocol_are_as_unknown_fields_are() -> None:
    for charges in (True, False):
        body = wire.request_body(asked(PLAIN, charges=charges), stream=False)
        assert body["messages"] == list(chat(PLAIN))
        assert body["tools"] == [TOOL | PLAIN, TOOL]


def test_what_other_vendors_put_beside_a_call_stays() -> None:
    seal = {"extra_content": {"google": {"thought_signature": "s"}}}
    message = {"role": "assistant", "content": None, "tool_calls": [USE | seal, USE | CARRIED]}
    [found] = marks.spelt([message], kept=False)
    assert found["tool_calls"] == [USE | seal, USE]


def test_a_picture_keeps_a_message_in_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    [found] = marks.spelt([{"role": "user", "content": [image, text("a", **CARRIED)]}], kept=False)
    assert found["content"] == [image, text("a")]


def test_marks_are_lost_by_none_who_speaks_anthropics_format() -> None:
    use = {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}
    for mark in (CARRIED, PLAIN):
        assert marks.native(chat(mark)) == [
            {"role": "system", "content": [text("Be brief."), text("Be kind.", **PLAIN)]},
            {"role": "user", "content": [text("Hi", **PLAIN)]},
            {"role": "assistant", "content": [text("I "), text("add.", **PLAIN), use]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "content": [text("1")],
                        **PLAIN,
                    },
                    {"type": "tool_result", "tool_use_id": "c2", "content": "2"},
                ],
            },
            {"role": "user", "content": "Go on"},
        ]
    assert marks.native(UNMARKED) == list(UNMARKED)


def test_pictures_and_files_and_calls_are_marked_there_too() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    far = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    file = {"type": "file", "file": {"file_data": "data:application/pdf;base64,BB=="}}
    thought = {"extra_content": {"anthropic": {"signature": "seal"}}}
    bad = {"id": "c2", "function": {"name": "f", "arguments": "{oops"}}
    found = marks.native(
        [
            {"role": "user", "content": [image | CARRIED, far | PLAIN, file | CARRIED, image]},
            {"role": "assistant", "content": None, "tool_calls": [USE | CARRIED, bad], **thought},
            {"role": "tool", "tool_call_id": "c1", "content": "1", **PLAIN},
        ]
    )
    source = {"type": "base64", "media_type": "image/png", "data": "AA=="}
    paper = {"type": "base64", "media_type": "application/pdf", "data": "BB=="}
    assert found == [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": source, **PLAIN},
                {
                    "type": "image",
                    "source": {"type": "url", "url": "https://x.test/a.png"},
                    **PLAIN,
                },
                {"type": "document", "source": paper, **PLAIN},
                image,
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}, **PLAIN},
                {"type": "tool_use", "id": "c2", "name": "f", "input": {"arguments": "{oops"}},
            ],
            **thought,
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "1", **PLAIN}],
        },
    ]


def test_tools_are_written_natively_only_where_one_is_marked() -> None:
    assert marks.native_tools([TOOL, TOOL]) is None
    assert marks.native_tools(None) is None
    schema = {"type": "object", "properties": {}}
    assert marks.native_tools([TOOL, TOOL | CARRIED]) == [
        {"name": "add", "input_schema": schema},
        {"name": "add", "input_schema": schema, **PLAIN},
    ]


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["content", "tool_calls", "extra_content", "cache_control", "anthropic"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["content", "tool_calls", "extra_content"]), values),
    st.sampled_from(["user", "assistant", "tool", "system"]),
)
def test_nothing_a_caller_writes_breaks_it(message: dict[str, Any], role: str) -> None:
    told = {"role": role, **message}
    marks.spelt([told], kept=True)
    marks.unmarked([told])
    marks.native([told])
    marks.tools(message.get("content"), kept=False)
    marks.native_tools(message.get("content"))
