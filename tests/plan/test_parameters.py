"""What parameters leave of a choice, and what of an answer's form."""

from __future__ import annotations

import pytest

from emafusion.plan.parameters import formless, one_voice
from emafusion.types import Request


def request(**params: object) -> Request:
    return Request(id="x", messages=({"role": "user", "content": "Hi"},), params=params)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 0, "top_p": 0.9, "seed": 7, "max_tokens": 900, "user": "a"},
        {"presence_penalty": 0, "frequency_penalty": 0.5, "metadata": {"a": "b"}},
        {"stream": True, "stream_options": {"include_usage": True}, "reasoning_effort": "low"},
        {"n": 1, "logprobs": False, "top_logprobs": 0, "stop": None, "tools": [], "functions": ()},
        {"response_format": {"type": "text"}, "modalities": ["text"], "logit_bias": {}},
        {"tool_choice": "auto", "guided_json": None, "stop": ""},
    ],
)
def test_sampling_and_saying_nothing_leave_everything_open(params: dict[str, object]) -> None:
    assert formless(request(**params))
    assert not one_voice(request(**params))


@pytest.mark.parametrize(
    "params",
    [
        {"response_format": {"type": "json_object"}},
        {"stop": ["\n"]},
        {"logit_bias": {"7": -100}},
    ],
)
def test_a_form_is_one_answers_whoever_gives_it(params: dict[str, object]) -> None:
    assert not formless(request(**params))
    assert not one_voice(request(**params))


@pytest.mark.parametrize(
    "params",
    [
        {"tools": [{"type": "function"}]},
        {"functions": [{"name": "f"}]},
        {"n": 2},
        {"logprobs": True},
        {"guided_json": {"type": "object"}},
        {"structured_outputs": {"json": {}}},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy"}},
        {"web_search_options": {"search_context_size": "low"}},
        {"prediction": {"type": "content", "content": "x"}},
        {"nobody_knows": False},
    ],
)
def test_anything_else_is_one_models_to_answer(params: dict[str, object]) -> None:
    assert one_voice(request(**params))
    assert not formless(request(**params))
