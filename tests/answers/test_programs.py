"""Programs found in replies, and the examples that prompts and replies give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.answers.programs import LONGEST, MOST, Example, examples, find, parse, probes, same
from growth import LINEAR, growth

DOUBLE = "def double(x):\n    return 2 * x\n"


def pairs(text: str) -> list[tuple[str, str]]:
    return [(example.call, example.expected) for example in examples(text)]


@pytest.mark.parametrize(
    "reply",
    [
        f"```python\n{DOUBLE}```",
        f"Here it is:\n\n```py\n{DOUBLE}```\nIt doubles.",
        f"```\n{DOUBLE}```",
        f"Sure. Here is the function:\n\n{DOUBLE}",
        f"```python\n{DOUBLE}",
        f"```python\nprint(1)\n```\n\nand the whole:\n```python\n{DOUBLE}```",
        f"   ```python\n{DOUBLE}   ```",
    ],
)
def test_the_program_is_found(reply: str) -> None:
    program = find(reply)
    assert program is not None
    assert program.strip() == DOUBLE.strip()


@pytest.mark.parametrize(
    "reply",
    [
        "42",
        "The answer is 4.",
        "",
        "yes",
        "```js\nlet x = 1;\n```",
        '```json\n{"a": 1}\n```',
        "[1]",
    ],
)
def test_what_is_no_python_program_is_none(reply: str) -> None:
    assert find(reply) is None


def test_a_block_that_parses_is_preferred_to_a_longer_one_that_does_not() -> None:
    found = find(f"```python\n{DOUBLE}```\n```python\ndef broken(:\n    {'x' * 80}\n```")
    assert found is not None
    assert parse(found) is not None


def test_a_broken_program_in_a_python_fence_is_still_a_program() -> None:
    assert find("```python\ndef broken(:\n```") == "def broken(:\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">>> f(2)\n4", [("f(2)", "4")]),
        ('"""\n    >>> f([1, 2], k="a")\n    [2, 1]\n    """', [("f([1, 2], k='a')", "[2, 1]")]),
        (">>> f(\n...   2)\n4\n>>> f(3)\n6\n", [("f(2)", "4"), ("f(3)", "6")]),
        ("assert f(2) == 4", [("f(2)", "4")]),
        ("assert 4 == f(2), 'wrong'", [("f(2)", "4")]),
        ("- `assert f('a') == 'b'`", [("f('a')", "'b'")]),
        ("f(2) -> 4", [("f(2)", "4")]),
        ("f(2) → 4 and f(3) => 6.", [("f(2)", "4"), ("f(3)", "6")]),
        ("`f(2)` returns `4`.", [("f(2)", "4")]),
        ("`f(-2)` should return -4.5, as said", [("f(-2)", "-4.5")]),
        ("f((1, 2)) == {'a': [1]}", [("f((1, 2))", "{'a': [1]}")]),
        ('f("a)b") # "x"', [("f('a)b')", "'x'")]),
        ("Solution().f(2) = True", [("Solution().f(2)", "True")]),
        ("assert f(1) is None", [("f(1)", "None")]),
    ],
)
def test_examples_are_read(text: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "def f(x) -> int:",
        "f(x) -> 4",
        "assert f(__import__('os').system('id')) == 0",
        "assert f(2) != 4",
        "assert f(2)",
        "print(2) -> 2",
        "open('/etc/passwd') == 1",
        "f(2)\n\n4",
        "f(2) -> undefined",
        "f(open('x')) returns 4",
        "a.b(2) -> 4",
        ">>> f(2)\nTraceback (most recent call last):\nValueError",
        "f(*[1]) -> 2 f(**{'a': 1}) -> 2",
        "f(2",
    ],
)
def test_what_is_no_example_with_literals_is_left(text: str) -> None:
    assert examples(text) == []


def test_an_example_counts_once() -> None:
    assert examples("f( 2 ) -> 4\nassert f(2) == 4") == [Example(call="f(2)", expected="4")]


def test_examples_are_bounded() -> None:
    assert len(examples("\n".join(f"f({n}) -> {n}" for n in range(500)))) == MOST


def test_probes_call_what_most_programs_define() -> None:
    two = "def f(a, b, c=1): pass\ndef g(a): pass"
    assert [call[:5] for call in probes([two, "def f(x, y): return x", "def g(): pass"])][:2] == [
        "f(12,",
        "f(2, ",
    ]
    assert all(parse(call) for call in probes([two, two]))


@pytest.mark.parametrize(
    "found",
    [[], [DOUBLE], [DOUBLE, "def double(x, y): pass"], ["x = (", "x = ("], ["def _f(x): 1"] * 2],
)
def test_without_a_function_in_common_there_are_no_probes(found: list[str]) -> None:
    assert probes(found) == []


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1", "1.0", True),
        ("{1, 2}", "{2, 1}", True),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1.0}", True),
        ("0.30000000000000004", "0.3", True),
        ("'1'", "1", False),
        ("[1, 2]", "[2, 1]", False),
        ("[1]", "(1,)", False),
        ("True", "1", False),
        ("1e400", "1e400", True),
        ("<X object>", "<X object>", True),
    ],
)
def test_values_are_compared_as_values(one: str, other: str, equal: bool) -> None:
    assert same(one, other) is equal


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        ("", "(", ""),
        ("", "f(", ""),
        ("", "f(2) -> ", ""),
        ("", ">>> ", ""),
        ("", ">>> f(\n... ", ""),
        ("", "```python\n", ""),
        ("assert f(", "[", "]" * 900 + ") == 1"),
        ("assert ", "-", "1"),
        ("f('", "\\", ""),
        ("f(2)", " ", ""),
        ("def f(): return ", "(", ""),
        ("f(2) ->", "`", ""),
    ],
)
def test_hostile_text_is_read_in_linear_time(start: str, piece: str, end: str) -> None:
    examples(start + piece * 900 + end)
    quarter, whole = (
        start + piece * (size // len(piece)) + end for size in (LONGEST // 4, LONGEST)
    )
    assert growth(examples, quarter, whole) < LINEAR
    assert growth(find, quarter, whole) < LINEAR


@given(st.text(alphabet="f(2)[]{}'\"\\-> =#`.,:1aé\n", max_size=200))
def test_no_text_is_too_odd(text: str) -> None:
    for example in examples(text):
        assert same(example.expected, example.expected)
        assert parse(example.call) is not None
    find(text)
