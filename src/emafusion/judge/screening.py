"""A draft as another model may read it, by the kind of answer that was asked for.

Prose speaks as it stands. JSON and programs are data: only what stands around them, and their
strings and comments, are words that could be meant for a judge. Does not know what words to a
judge are (:mod:`emafusion.judge.advances`).
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator

from emafusion import answers
from emafusion.answers import programs, structured
from emafusion.judge import disguises
from emafusion.judge.advances import addressed, cleaned

STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def bare(text: str, asked: str) -> str:
    """`text`, a draft for the request `asked`, without words to its judge or unseen characters.

    JSON and programs that hold no such words come back whole. Empty where nothing else is left.
    """
    if not isinstance(_passages(text, asked), str):
        if not speaks(text, asked):
            return disguises.visible(text).strip()
        if addressed(text, asked=asked) is None:
            # Only once it was decoded did a string say so: as it stands it cannot be taken out.
            return ""
    return disguises.visible(cleaned(text, asked=asked)).strip()


def speaks(text: str, asked: str) -> bool:
    """Whether `text`, a draft for the request `asked`, speaks to its judge or its writer.

    A string that the request itself holds was asked for, whatever it says.
    """
    found = _passages(text, asked)
    if isinstance(found, str):
        return addressed(found, asked=asked) is not None
    return any(
        addressed(passage, asked=asked) is not None for passage in found if passage not in asked
    )


def _passages(text: str, asked: str) -> str | list[str]:
    """What is to be read of `text`: itself, or of JSON and programs their words, in a list."""
    kind = answers.guess_kind(asked)
    if kind == "json" and (read := structured.find(text)) is not None:
        return [text.replace(read[1], "\n", 1), *_strings(read[1])]
    program = programs.find(text) if kind == "code" else None
    tree = programs.parse(program) if program is not None else None
    if program is not None and tree is not None:
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        written = [value for value in constants if isinstance(value, str)]
        return [text.replace(program, "\n", 1), *written, "\n".join(_comments(program))]
    return text


def _strings(written: str) -> Iterator[str]:
    """The strings of JSON, names included: all that are written, the repeated names' too."""
    for found in STRING.findall(written):
        yield str(json.loads(found, strict=False))


def _comments(program: str) -> Iterator[str]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(program).readline):
            if token.type == tokenize.COMMENT:
                yield token.string.lstrip("# ")
    except (tokenize.TokenError, SyntaxError):
        # What parses may yet be cut off behind its last statement; all before it was read.
        return
