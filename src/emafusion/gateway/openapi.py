"""``GET /openapi.json``: every address as an OpenAPI 3.1 document.

Written by hand, for programs that read such documents; of the protocols' bodies it says what we
read ourselves. Further fields are allowed everywhere that a vendor's protocol is spoken.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emafusion.gateway.replies import encode
from emafusion.types import Knobs

Schema: TypeAlias = dict[str, object]

PATH: Final = "/openapi.json"
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 2**53}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}


async def openapi(_: HttpRequest) -> Response:
    """The endpoint that shows the document."""
    return Response(encode(document()), media_type="application/json")


def document() -> Schema:
    """The whole document."""
    from emafusion import __version__

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "emafusion",
            "version": __version__,
            "description": "Answers with the cheapest arrangement of models that answers well.",
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
        "security": [{}, {"bearer": []}, {"key": []}],
    }


def _paths() -> Schema:
    return {
        "/v1/chat/completions": {"post": _post("Chat", "ChatAnswer", stream=True)},
        "/v1/responses": {"post": _post("Responses", "Response", stream=True)},
        "/v1/responses/{id}": {
            "parameters": [_parameter("id")],
            "get": _get("A kept response", "Response"),
            "delete": _get("Forget a kept response", "Object"),
        },
        "/v1/messages": {"post": _post("Messages", "Message", stream=True, error="MessageError")},
        "/v1/messages/count_tokens": {"post": _post("Prompt", "Count", error="MessageError")},
        "/v1/embeddings": {"post": _post("Embeddings", "Vectors")},
        "/v1/feedback": {"post": _post("Feedback", "Object")},
        "/v1/models": {"get": _get("The catalog", "Models")},
        "/v1/models/{name}": {
            "parameters": [_parameter("name")],
            "get": _get("One model", "Model"),
        },
        "/v1/decisions/{id}": {
            "parameters": [_parameter("id")],
            "get": _get("Everything that happened to one request", "Object"),
        },
        "/healthz": {"get": {**_get("Whether the process answers", "Object"), "security": []}},
        PATH: {"get": _get("This document", "Object")},
    }


def _schemas() -> Schema:
    error: Schema = {"message": _TEXT, "type": _TEXT, "param": _nullable(_TEXT)}
    told = _object({**error, "code": _nullable(_TEXT)}, "message", "type")
    things: Schema = _listed({"type": "object"})
    return {
        "Knobs": {**_object(_knobs()), "additionalProperties": False},
        "Chat": _chat(),
        "ChatAnswer": _object({"choices": things}, "id", "choices", "model"),
        "Responses": _responses(),
        "Response": _object({"output": things}, "id", "status", "output"),
        "Messages": _messages({"max_tokens": _COUNT, "stream": _nullable(_FLAG)}, "max_tokens"),
        "Prompt": _messages({}),
        "Message": _object({"content": things}, "id", "content", "usage"),
        "Count": _object({"input_tokens": {"type": "integer"}}, "input_tokens"),
        "Embeddings": _embeddings(),
        "Vectors": _object({"data": things}, "data", "model"),
        "Feedback": {**_feedback(), "additionalProperties": False},
        "Models": _object({"data": _listed(_ref("Model"))}, "data"),
        "Model": _object({"id": _TEXT, "object": {"const": "model"}}, "id", "object"),
        "Object": {"type": "object"},
        "Error": _object({"error": told}, "error"),
        "MessageError": _object({"type": {"const": "error"}, "error": told}, "type", "error"),
    }


def _chat() -> Schema:
    said: Schema = {"anyOf": [_TEXT, _listed({"type": "object"}), {"type": "null"}]}
    properties: Schema = {
        **_SHARED,
        "messages": _listed(_object({"role": _TEXT, "content": said}, "role"), least=1),
        "stream_options": _nullable(_object({"include_usage": _FLAG})),
        "max_tokens": _nullable(_COUNT),
        "max_completion_tokens": _nullable(_COUNT),
        "n": _nullable(_COUNT),
    }
    return _object(properties, "model", "messages")


def _responses() -> Schema:
    properties: Schema = {
        **_SHARED,
        "input": {"anyOf": [_TEXT, _listed({"type": "object"}, least=1)]},
        "instructions": _nullable(_TEXT),
        "previous_response_id": _nullable(_TEXT),
        "store": _nullable(_FLAG),
        "max_output_tokens": _nullable(_COUNT),
        "metadata": _nullable({"type": "object"}),
    }
    return _object(properties, "model", "input")


def _messages(further: Schema, *required: str) -> Schema:
    spoken: Schema = {"anyOf": [_TEXT, _listed(_object({"type": _TEXT}, "type"))]}
    role: Schema = {"enum": ["user", "assistant"]}
    turn = _object({"role": role, "content": spoken}, "role", "content")
    tool = _object({"name": _NAME, "input_schema": {"type": "object"}}, "name")
    properties: Schema = {
        "model": _NAME,
        "messages": _listed(turn, least=1),
        "system": spoken,
        "tools": _listed(tool),
        "emafusion": _ref("Knobs"),
        **further,
    }
    return _object(properties, "model", "messages", *required)


def _embeddings() -> Schema:
    number: Schema = {"type": "integer"}
    texts = _listed({"anyOf": [_TEXT, number, _listed(number)]}, least=1)
    properties: Schema = {
        "model": _NAME,
        "input": {"anyOf": [_NAME, texts]},
        "encoding_format": {"enum": ["float", "base64"]},
        "dimensions": _nullable(_COUNT),
        "user": _nullable(_TEXT),
        "emafusion": _ref("Knobs"),
    }
    return _object(properties, "model", "input")


def _feedback() -> Schema:
    properties: Schema = {
        "decision_id": _NAME,
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "user": {"type": "string", "maxLength": 200},
        "comment": {"type": "string", "maxLength": 4000},
    }
    return _object(properties, "decision_id", "score")


def _knobs() -> Schema:
    """The knobs that :class:`~emafusion.types.Knobs` has, from the types of its fields."""
    import msgspec

    _, found = msgspec.json.schema_components([Knobs])
    return dict(found["Knobs"]["properties"])


def _post(asked: str, answer: str, *, stream: bool = False, error: str = "Error") -> Schema:
    whole: Schema = {"application/json": {"schema": _ref(answer)}}
    streamed: Schema = {"text/event-stream": {}} if stream else {}
    return {
        "operationId": asked,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(asked)}},
        },
        "responses": {
            "200": {"description": "The answer", "content": {**whole, **streamed}},
            **_failing(error),
        },
    }


def _get(what: str, answer: str) -> Schema:
    found: Schema = {"application/json": {"schema": _ref(answer)}}
    return {
        "summary": what,
        "responses": {"200": {"description": what, "content": found}, **_failing("Error")},
    }


def _failing(error: str) -> Schema:
    """Failures, of which every status has the same shape."""
    content = {"application/json": {"schema": _ref(error)}}
    return {
        "4XX": {"description": "What was wrong with the request", "content": content},
        "5XX": {"description": "What went wrong with answering it", "content": content},
    }


def _parameter(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _NAME}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _listed(items: Schema, *, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_SHARED: Final[Schema] = {
    "model": _NAME,
    "stream": _nullable(_FLAG),
    "temperature": _nullable(_NUMBER),
    "top_p": _nullable(_NUMBER),
    "tools": _nullable(_listed({"type": "object"})),
    "user": _nullable(_TEXT),
    "emafusion": _ref("Knobs"),
}
"""What both of OpenAI's protocols for talking have."""
