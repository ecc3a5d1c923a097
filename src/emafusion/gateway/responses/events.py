"""A response as a stream of the responses protocol's events, each numbered.

Knows their order: the response, its items one after another (begin, part, pieces, end), its end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from emafusion.errors import EmafusionError
from emafusion.gateway.body import named
from emafusion.gateway.faults import Fault, fault_of
from emafusion.gateway.pieces import Blocks, Said, Step, said_in
from emafusion.gateway.replies import encode
from emafusion.gateway.responses.asked import ResponsesAsked
from emafusion.gateway.responses.output import (
    begun,
    ending,
    extend,
    finish,
    item_of,
    part_of,
)
from emafusion.gateway.stream import COMMENT, progress
from emafusion.types import Answer, Chunk

_NAMES = {
    "text": "response.output_text",
    "refusal": "response.refusal",
    "reasoning": "response.reasoning_text",
    "call": "response.function_call_arguments",
}


class Events:
    """One stream's events."""

    def __init__(self, asked: ResponsesAsked) -> None:
        self._asked = asked
        self._blocks = Blocks(named(asked))
        self._response = begun(asked, time.time(), named(asked))
        self._output: list[dict[str, object]] = []
        self._begun = False
        self._number = -1

    def of(self, chunk: Chunk) -> bytes:
        """The events that `chunk` lets out, perhaps none yet."""
        if chunk.done is not None:
            return progress(chunk.done)
        return b"".join(map(self._told, self._blocks.take(said_in(chunk))))

    def last(self, answer: Answer) -> bytes:
        """The events that end the stream."""
        events = b"".join(map(self._told, self._blocks.rest(answer.completion)))
        self._response |= ending(answer, self._output)
        whole = {"type": f"response.{self._response['status']}", "response": self._response}
        return events + self._introduction() + self._event(whole)

    def failed(self, failure: EmafusionError | Fault) -> bytes:
        """The event that tells a caller to whom we have spoken already."""
        fault = failure if isinstance(failure, Fault) else fault_of(failure)
        events = self._introduction()
        told = {"code": fault.code or fault.type, "message": fault.message}
        self._response |= {"status": "failed", "error": told, "output": self._output}
        return events + self._event({"type": "response.failed", "response": self._response})

    def beat(self) -> bytes:
        """A comment: the protocol has no event for it."""
        return COMMENT

    def _told(self, step: Step) -> bytes:
        """The events for one step of an item."""
        if step.act == "begin":
            return self._introduction() + self._item(step.said)
        if step.act == "add":
            return self._piece(step.said)
        return self._end(step.said)

    def _introduction(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        created = self._event({"type": "response.created", "response": self._response})
        return created + self._event({"type": "response.in_progress", "response": self._response})

    def _item(self, said: Said) -> bytes:
        item = item_of(said, self._asked.request.id, len(self._output))
        self._output.append(item)
        place = len(self._output) - 1
        events = self._event(
            {"type": "response.output_item.added", "output_index": place, "item": item}
        )
        if said.kind != "call":
            added = {"type": "response.content_part.added", "part": part_of(said)}
            events += self._event({**added, **self._where()})
        return events

    def _piece(self, said: Said) -> bytes:
        extend(self._output[-1], said)
        if said.kind == "signature":
            return b""
        event = {"type": f"{_NAMES[said.kind]}.delta", **self._where(said), "delta": said.text}
        return self._event(event | ({"logprobs": said.logprobs} if said.kind == "text" else {}))

    def _end(self, said: Said) -> bytes:
        item = self._output[-1]
        finish(item)
        done = f"{_NAMES['reasoning' if said.kind == 'signature' else said.kind]}.done"
        events = b""
        if said.kind == "call":
            whole = {"name": item["name"], "arguments": item["arguments"]}
            events = self._event({"type": done, **self._where(said), **whole})
        else:
            content = item["content"]
            if isinstance(content, list) and not content:
                content.append(part_of(said))
            part = content[0] if isinstance(content, list) else {}
            name = "refusal" if said.kind == "refusal" else "text"
            text = {name: part[name]}
            text |= {"logprobs": part["logprobs"]} if said.kind == "text" else {}
            events = self._event({"type": done, **self._where(), **text})
            ended = {"type": "response.content_part.done", **self._where(), "part": part}
            events += self._event(ended)
        place = len(self._output) - 1
        return events + self._event(
            {"type": "response.output_item.done", "output_index": place, "item": item}
        )

    def _where(self, said: Said | None = None) -> dict[str, object]:
        """Which item and which of its parts; a call has none."""
        place = {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}
        return place if said is not None and said.kind == "call" else {**place, "content_index": 0}

    def _event(self, body: Mapping[str, object]) -> bytes:
        self._number += 1
        data = encode({**body, "sequence_number": self._number})
        return b"event: %b\ndata: %b\n\n" % (str(body["type"]).encode(), data)
