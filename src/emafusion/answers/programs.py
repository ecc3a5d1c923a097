"""The Python program in a reply, and examples of calls with the results they should have.

Knows fences, doctests, asserts and the ways prose says what a call returns. Runs nothing; of an
example's arguments it takes literals alone, so nothing that is quoted here computes anything.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from emafusion.answers import literal
from emafusion.answers.source import program as source_program

_FENCE: Final = re.compile(
    r"^[ \t]{0,12}```[ \t]{0,4}([\w+#.-]{0,20})[^\n]*\n(.*?)(?:^[ \t]{0,12}```|\Z)", re.M | re.S
)
_PYTHON: Final = frozenset({"python", "python3", "py", "py3", "pycon"})
_UNNAMED: Final = frozenset({"", "code", "text"})
_PROMPT: Final = re.compile(r"[ \t]*>>> ?(.*)")
_MORE: Final = re.compile(r"[ \t]*\.\.\. ?(.*)")
_ASSERT: Final = re.compile(r"(?<![\w.])(assert\b[^\n`]*)")
_CALL: Final = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\(\)\.[A-Za-z_]\w*)?\(")
# Blanks are counted: a pattern that may take any number of them takes its time over thousands.
_RETURNS: Final = re.compile(
    r"[`* \t]{0,8}(?:[-=]{1,3}>|→|⇒|➞|==?|≡|#(?:[ \t]{0,4}(?:->|=>|→|[Rr]eturns:?|[Oo]utput:?))?"
    r"|(?:(?:should|must|will|would)[ ])?(?:return|give|yield|output|produce|equal|evaluate)s?"
    r"(?:[ ]to)?|is|:)[`* \t:]{0,8}"
)
_PLAIN: Final = re.compile(
    r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]\w)|(?:True|False|None)\b|set\(\)"
)
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_BUILTINS: Final = frozenset(dir(builtins))

# What no loop waits long for comes first; 0 and what lies below keep some busy for ever.
_PROBES: Final[Mapping[int, Sequence[str]]] = {
    1: (
        "5", "12", "1", "'abba'", "'Hello, World 12'", "[3, 1, 2, 3]", "['b', 'a', 'bc']",
        "[[1, 2], [3, 4]]", "{'a': 1, 'b': 2}", "''", "[]", "2.5", "0", "-3",
    ),
    2: (
        "12, 8", "2, 3", "'hello', 'l'", "[3, 1, 2], 2", "2, [3, 1, 2]", "[1, 2, 3], [2, 3, 4]",
        "'listen', 'silent'", "'a b c', 2", "{'a': 1}, {'b': 2}", "[], 1", "0, 5",
    ),
    3: ("3, 4, 5", "'banana', 'a', 'o'", "[1, 2, 3, 4], 1, 3", "2, 10, 7", "10, 1, 5"),
}  # fmt: skip

LONGEST: Final = 60_000
"""Characters of a text that are searched; longer programs are not read as programs."""
MOST: Final = 64
"""Examples taken from one text."""
_LONGEST_CALL: Final = 1_000
_STARTS_TRIED: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One call and what it should return, both as Python source.

    Attributes
    ----------
    call
        A call with literal arguments, in the one spelling ``ast.unparse`` gives it.
    expected
        The literal it should return.
    """

    call: str
    expected: str


def find(text: str) -> str | None:
    """The Python program in a reply, or ``None`` where it holds none.

    Of several fenced blocks the longest that parses is taken. A program without a fence must parse
    and define, import or assign something: prose and single values are no programs.
    """
    text = text[:LONGEST]
    fenced = [(tag.lower(), block) for tag, block in _FENCE.findall(text)]
    blocks: list[str] = [b for tag, b in fenced if tag in _PYTHON and b.strip()]
    blocks += [b for tag, b in fenced if tag in _UNNAMED and _acts(parse(b))]
    if blocks:
        return max(blocks, key=lambda block: (parse(block) is not None, len(block)))
    if fenced or "```" in text:
        return None
    bare = source_program(text)
    return bare if _acts(parse(bare)) else None


def parse(program: str) -> ast.Module | None:
    """The syntax tree of `program`, or ``None`` where it is no Python."""
    if len(program) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            # What a draft's escapes deserve in warnings is not the caller's business.
            warnings.simplefilter("ignore")
            return ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def examples(text: str) -> list[Example]:
    """The examples a text gives, in its order, each once, at most :data:`MOST`.

    Read are doctests, ``assert f(2) == 4``, and ``f(2)`` followed on its line by an arrow, an
    equals sign, a comment, or a word such as "returns", and a literal.
    """
    text = text[:LONGEST]
    found: dict[Example, None] = {}
    for source in (_doctests(text), _asserts(text), _stated(text)):
        for example in source:
            found.setdefault(example)
            if len(found) == MOST:
                return list(found)
    return list(found)


def probes(programs: Sequence[str]) -> list[str]:
    """Calls to compare programs by where nobody gives an example.

    They call the function that most programs define, at least two of them and with as many
    required arguments, with values of every plain kind; those it was not made for fail.
    """
    defined = Counter(place for program in programs for place in dict.fromkeys(_functions(program)))
    (name, arity), shared = max(defined.items(), key=lambda item: item[1], default=(("", 0), 0))
    return [f"{name}({values})" for values in _PROBES.get(arity, ())] if shared > 1 else []


def _functions(program: str) -> Iterator[tuple[str, int]]:
    """The name and the number of required arguments of each function a program defines."""
    tree = parse(program)
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            given = node.args
            yield node.name, len(given.posonlyargs) + len(given.args) - len(given.defaults)


def same(one: str, other: str) -> bool:
    """Whether two printed values are the same literal: 1 and 1.0 are, "1" and 1 are not."""
    return key(one) == key(other)


def key(printed: str) -> str:
    """One text for printed values that are equal; floats agree to ten significant digits."""
    read = literal.parse(printed)
    return "?" + printed if read is None else "=" + literal.key(_settled(read[0]))


def _settled(value: object) -> object:
    if isinstance(value, float):
        rounded = float(f"{value:.10g}")
        return int(rounded) if abs(rounded) < 1e15 and rounded.is_integer() else rounded
    if isinstance(value, dict):
        return {_settled(name): _settled(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(map(_settled, value))
    return value


def _acts(tree: ast.Module | None) -> bool:
    """Whether a program does anything but name values."""
    acting = (
        ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom,
        ast.Assign, ast.For, ast.While,
    )  # fmt: skip
    return tree is not None and any(isinstance(node, acting) for node in tree.body)


def _doctests(text: str) -> Iterator[Example]:
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        opened = _PROMPT.match(lines[position])
        position += 1
        if opened is None:
            continue
        statement, answer = [opened[1]], []
        while position < len(lines) and (more := _MORE.match(lines[position])):
            statement.append(more[1])
            position += 1
        while position < len(lines) and _answers(lines[position]):
            answer.append(lines[position].strip())
            position += 1
        yield from _example("\n".join(statement).split("#")[0], "\n".join(answer))


def _answers(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith((">>>", '"""', "'''", "```"))


def _asserts(text: str) -> Iterator[Example]:
    for line in _ASSERT.finditer(text):
        tree = parse(line[1].strip()) if len(line[1]) <= _LONGEST_CALL else None
        test = tree.body[0].test if tree and isinstance(tree.body[0], ast.Assert) else None
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            continue
        if isinstance(test.ops[0], ast.Eq | ast.Is):
            left, right = test.left, test.comparators[0]
            call, value = (left, right) if isinstance(left, ast.Call) else (right, left)
            yield from _example(ast.unparse(call), ast.unparse(value))


def _stated(text: str) -> Iterator[Example]:
    calls = _CALL.finditer(text)
    for opening, _ in zip(calls, range(_STARTS_TRIED), strict=False):
        end = _closing(text, opening.end() - 1)
        told = _RETURNS.match(text, end) if end > 0 else None
        if told is None:
            continue
        stop = _value_end(text, told.end())
        if stop > 0:
            yield from _example(text[opening.start() : end], text[told.end() : stop])


def _example(call: str, expected: str) -> Iterator[Example]:
    """The example itself, where the call is one of literals and its result is a literal."""
    node = _expression(call)
    read = literal.parse(expected)
    if read is not None and isinstance(node, ast.Call) and _harmless(node):
        yield Example(call=ast.unparse(node), expected=repr(read[0]))


def _expression(text: str) -> ast.expr | None:
    tree = parse(text.strip()) if len(text) <= _LONGEST_CALL else None
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return None
    return tree.body[0].value


def _harmless(call: ast.Call) -> bool:
    """Whether a call names one function, or a method of ``Solution()``, with literals for it."""
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call):
        made = function.value
        function = made.func if not made.args and not made.keywords else function
    named = isinstance(function, ast.Name) and function.id not in _BUILTINS
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return (
        named
        and all(keyword.arg for keyword in call.keywords)
        and all(literal.parse(ast.unparse(value)) is not None for value in values)
    )


def _value_end(text: str, start: int) -> int:
    """Where the literal that starts at `start` ends; -1 where none starts there."""
    if start >= len(text):
        return -1
    if text[start] in _CLOSERS:
        return _closing(text, start)
    if text[start] in "'\"":
        return _quoted(text, start)
    plain = _PLAIN.match(text, start)
    return plain.end() if plain else -1


def _closing(text: str, start: int) -> int:
    """The position after the bracket that closes the one at `start`; -1 where none does soon."""
    waiting: list[str] = []
    position, end = start, min(len(text), start + _LONGEST_CALL)
    while 0 <= position < end:
        mark = text[position]
        if mark in "'\"":
            position = _quoted(text, position)
            continue
        position += 1
        if mark in _CLOSERS:
            waiting.append(_CLOSERS[mark])
        elif mark in ")]}" and waiting.pop() != mark:
            return -1
        if not waiting:
            return position
    return -1


def _quoted(text: str, start: int) -> int:
    """The position after the string that starts at `start`; -1 where its line ends first."""
    position, end = start + 1, min(len(text), start + _LONGEST_CALL)
    while position < end and text[position] != "\n":
        if text[position] == text[start]:
            return position + 1
        position += 2 if text[position] == "\\" else 1
    return -1
