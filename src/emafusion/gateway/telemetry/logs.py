"""The log as lines of JSON: one for each event, none of them with a prompt, an answer or a key.

Knows :mod:`logging` and how text is made safe to print. Where the lines go is the caller's.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
import time
import traceback
from collections import deque
from datetime import UTC, datetime
from typing import IO, Final

import msgspec

from emafusion.errors import EmafusionError
from emafusion.gateway.telemetry.observations import Observation
from emafusion.providers.redact import redacted

QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes that are told of only where they fail: probes ask every few seconds."""
FRAMES: Final = 20
"""How many of a failure's innermost calls are told."""
WAITING: Final = 10_000
"""Lines that may wait for a slow reader; further ones are dropped, and counted."""
CLOSING_S: Final = 2.0
"""How long the last lines may take, where nobody reads them."""
GATHER_S: Final = 0.05
"""How long lines gather before they are written together."""

Line = dict[str, object]


class JsonLog(logging.Handler):
    """Writes log records, and a line for each request, as JSON, in a thread of its own.

    No request waits for the reader: where :data:`WAITING` lines wait already a further one is
    dropped, and how many were is told once there is room.

    A message is redacted and cut to 300 characters. Of an exception that emafusion did not raise on
    purpose the kind and the places are told, never its text, which may hold anything. Whatever the
    values are, a line is one line of valid JSON in ASCII: no control sequence survives.

    Parameters
    ----------
    stream : text stream, optional
        Standard error by default.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._waiting: deque[logging.LogRecord | Line] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._write, name="emafusion-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand `record` to the thread."""
        # Its values may change before the thread reads them.
        record.msg, record.args = record.getMessage(), None
        self._put(record)

    def began(self, seen: Observation) -> None:
        """Nothing yet: a request is told of when it is over."""

    def ended(self, seen: Observation) -> None:
        """Tell of one request."""
        if seen.status >= 400 or seen.route not in QUIET:
            self._put(_request(seen))

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._over = True
        self._wake.set()
        self._thread.join(CLOSING_S)
        super().close()

    def _put(self, item: logging.LogRecord | Line) -> None:
        if len(self._waiting) >= WAITING:
            self._dropped += 1
            return
        self._waiting.append(item)
        if not self._wake.is_set():
            self._wake.set()

    def _write(self) -> None:
        over = False
        while not over:
            self._wake.wait()
            if not self._over:
                time.sleep(GATHER_S)
            self._wake.clear()
            # Read after the clearing, so that an end told meanwhile wakes us once more.
            over = self._over
            self._flush()

    def _flush(self) -> None:
        lines = [_encoded(self._waiting.popleft()) for _ in range(len(self._waiting))]
        if self._dropped:
            told = f"{self._dropped} lines were dropped: the log's reader is too slow"
            self._dropped = 0
            lines.append(_encoded(_head(time.time(), told, level="warning", logger=__name__)))
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads any more; there is no one to tell
            self._dropped += len(lines)


def configure(level: str = "info", *, stream: IO[str] | None = None) -> JsonLog:
    """Have everything that is logged written to `stream` (standard error) as lines of JSON.

    Lines still waiting are written when the interpreter ends, or by ``close()``.
    """
    log = JsonLog(stream)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(log)
    root.setLevel(level.upper())
    return log


def _request(seen: Observation) -> Line:
    """A request's line: identifiers, counts and times, nothing that anyone wrote."""
    line = _head(seen.began_s, "request", level="info", logger="emafusion.requests")
    line["method"] = seen.method if seen.method.isalpha() and len(seen.method) < 20 else "?"
    line["route"] = seen.route
    line["status"] = seen.status
    line["latency_ms"] = round(1000.0 * seen.took_s, 3)
    if seen.first_byte_s is not None:
        line["first_byte_ms"] = round(1000.0 * seen.first_byte_s, 3)
    caller = seen.caller
    if caller.key:
        line["key"] = caller.key
    if caller.team:
        line["team"] = caller.team
    if seen.failure:
        line["error"] = seen.failure
    passage = seen.passage
    if passage is None:
        return line
    line["decision"] = passage.request.id
    line["stream"] = passage.stream
    outcome = passage.outcome
    if outcome is not None:
        usages = [step.usage for step in outcome.steps]
        line["model"] = outcome.model
        line["calls"] = len(usages)
        line["cost_usd"] = round(outcome.cost_usd, 9)
        line["confidence"] = round(outcome.confidence, 4)
        line["prompt_tokens"] = sum([usage.prompt_tokens for usage in usages])
        line["completion_tokens"] = sum([usage.completion_tokens for usage in usages])
    return line


def _head(created: float, message: str, *, level: str, logger: str) -> Line:
    return {"time": created, "level": level, "logger": logger, "message": message}


def _encoded(item: logging.LogRecord | Line) -> str:
    line = _of_record(item) if isinstance(item, logging.LogRecord) else item
    created = line["time"]
    if isinstance(created, float):
        line["time"] = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
    try:
        text = msgspec.json.encode(line).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot hold
        text = ""
    if not text or not text.isascii():
        text = json.dumps({name: _finite(value) for name, value in line.items()})
    return text + "\n"


def _of_record(record: logging.LogRecord) -> Line:
    message = redacted(record.getMessage())
    line = _head(record.created, message, level=record.levelname.lower(), logger=record.name)
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return line
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    line["exception"] = type(error).__name__
    line["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    if isinstance(error, EmafusionError):
        line["reason"] = redacted(str(error))
    return line


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
