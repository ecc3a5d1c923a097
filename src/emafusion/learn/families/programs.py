"""Questions about Python: what a snippet prints, and small functions to write. Printed values come
from the same computation in this file; written functions are run against test cases.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from emafusion.answers.structured import Json
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, labelled
from emafusion.learn.families.words import WORDS

_LITERAL: Final = Grader(type="literal")


def _output(rng: random.Random, level: Difficulty) -> Item:
    word = rng.choice(WORDS)
    values = [rng.randint(1, 20) for _ in range(rng.randint(3, 5))]
    n, m = rng.randint(2, 9), rng.randint(2, 5)
    snippets: dict[int, tuple[tuple[str, object], ...]] = {
        1: (
            (f"print({n} + {m})", n + m),
            (f"print(len({word!r}))", len(word)),
            (f"print({word!r}.upper())", word.upper()),
            (f"print(max({values}))", max(values)),
            (f"x = {n}\nx = x * {m}\nprint(x)", n * m),
            (f"print({word!r}[0])", word[0]),
        ),
        2: (
            (f"print({word!r}[{m}:])", word[m:]),
            (f"print(sum({values}) // {m})", sum(values) // m),
            (f"print(sorted({values}))", sorted(values)),
            (f"t = 0\nfor i in range({n}):\n    t += i\nprint(t)", sum(range(n))),
            (f"print([v * {m} for v in {values[:3]}])", [v * m for v in values[:3]]),
            (f"print({values}[-1] % {m})", values[-1] % m),
            (f"print({word[0]!r} in {word[1:]!r})", word[0] in word[1:]),
        ),
        3: (
            (f"print({word!r}[::-1][:{m}])", word[::-1][:m]),
            (f"print([v for v in {values} if v % 2 == 0])", [v for v in values if v % 2 == 0]),
            (
                f"d = {{}}\nfor c in {word!r}:\n    d[c] = d.get(c, 0) + 1\nprint(max(d.values()))",
                max(word.count(c) for c in word),
            ),
            (f"a, b = 0, 1\nfor _ in range({n}):\n    a, b = b, a + b\nprint(a)", _fibonacci(n)),
            (
                f"def f(n):\n    return 1 if n == 0 else {m} * f(n - 1)\nprint(f({n % 4 + 2}))",
                m ** (n % 4 + 2),
            ),
            (f"x = {values}\ny = x\ny.append({n})\nprint(len(x))", len(values) + 1),
            (
                f"print(list(zip({values[:2]}, {word[:2]!r})))",
                list(zip(values[:2], word[:2], strict=True)),
            ),
            (f"x = {n}\nwhile x < {n * 20}:\n    x = x * 2 + 1\nprint(x)", _doubled(n)),
        ),
    }
    code, value = rng.choice(snippets[level])
    return Item(slots={"code": code}, reference=str(value), grader=_LITERAL)


def _fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def _doubled(n: int) -> int:
    x = n
    while x < n * 20:
        x = x * 2 + 1
    return x


Task = tuple[str, str, Callable[..., object], tuple[tuple[object, ...], ...], str]


def _tasks(rng: random.Random, level: Difficulty) -> tuple[Task, ...]:
    """Name, description, the function itself, arguments to try, and its source."""
    n, letter = rng.randint(2, 9), rng.choice("aeiost")
    if level == 1:
        return _expressions(n)
    return _one_liners(n, letter) if level == 2 else _algorithms(n)


def _expressions(n: int) -> tuple[Task, ...]:
    return (
        (
            f"add_{n}",
            f"returns its argument plus {n}",
            lambda x: x + n,
            ((1,), (-5,), (0,)),
            f"x: x + {n}",
        ),
        (
            f"times_{n}",
            f"returns its argument times {n}",
            lambda x: x * n,
            ((3,), (0,), (-2,)),
            f"x: x * {n}",
        ),
        (
            "is_even",
            "returns True if its integer argument is even, else False",
            lambda x: x % 2 == 0,
            ((2,), (3,), (0,), (-1,)),
            "x: x % 2 == 0",
        ),
        (
            "first",
            "returns the first element of a list",
            lambda v: v[0],
            (([4, 5],), ([9],)),
            "v: v[0]",
        ),
        (
            "area",
            "takes width and height and returns the area of the rectangle",
            lambda a, b: a * b,
            ((2, 3), (5, 5)),
            "a, b: a * b",
        ),
        (
            "shout",
            "returns its string argument in upper case",
            lambda s: s.upper(),
            (("ab",), ("",)),
            "s: s.upper()",
        ),
    )


def _one_liners(n: int, letter: str) -> tuple[Task, ...]:
    return (
        (
            f"count_{letter}",
            f'counts how often the letter "{letter}" occurs in a string',
            lambda s: s.count(letter),
            ((letter * 3,), ("",), ("x" + letter,)),
            f"s: s.count({letter!r})",
        ),
        (
            "is_palindrome",
            "returns whether a string reads the same backwards",
            lambda s: s == s[::-1],
            (("level",), ("ab",), ("",)),
            "s: s == s[::-1]",
        ),
        (
            f"above_{n}",
            f"takes a list of numbers and returns a list of those greater than {n}",
            lambda v: [x for x in v if x > n],
            (([1, n, n + 1],), ([],), ([20, 0, 30],)),
            f"v: [x for x in v if x > {n}]",
        ),
        (
            "mean",
            "returns the mean of a non-empty list of numbers",
            lambda v: sum(v) / len(v),
            (([1, 2, 3],), ([5],)),
            "v: sum(v) / len(v)",
        ),
        (
            "initials",
            "takes a full name and returns its initials in upper case, without dots",
            lambda s: "".join(w[0].upper() for w in s.split()),
            (("ada lovelace",), ("Bo",)),
            "s: ''.join(w[0].upper() for w in s.split())",
        ),
        (
            f"every_{n}th",
            f"takes a list and returns every {n}th element, beginning with the first",
            lambda v: v[::n],
            (([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],), ([],)),
            f"v: v[::{n}]",
        ),
    )


def _algorithms(n: int) -> tuple[Task, ...]:
    return (
        (
            "second_largest",
            "returns the second largest distinct value of a list",
            lambda v: sorted(set(v))[-2],
            (([1, 3, 2],), ([5, 5, 4],), ([-1, -2],)),
            "v: sorted(set(v))[-2]",
        ),
        (
            "run_lengths",
            "takes a string and returns a list of (character, run length) tuples",
            _runs,
            (("aab",), ("",), ("abba",)),
            "",
        ),
        (
            "digit_sum",
            "returns the sum of the decimal digits of an integer, which may be negative",
            lambda x: sum(map(int, str(abs(x)))),
            ((123,), (-45,), (0,)),
            "x: sum(map(int, str(abs(x))))",
        ),
        (
            f"rotate_{n}",
            f"returns a list rotated to the left by {n} places, for any length, empty too",
            lambda v: v[n % len(v) :] + v[: n % len(v)] if v else [],
            (([1, 2, 3],), ([],), (list(range(12)),)),
            f"v: v[{n} % len(v):] + v[:{n} % len(v)] if v else []",
        ),
        (
            "flatten",
            "flattens a list nested to any depth into one list",
            _flat,
            (([1, [2, [3, []]]],), ([],)),
            "",
        ),
        (
            f"is_prime_above_{n}",
            f"returns True if its argument is a prime number greater than {n}, else False",
            lambda x: x > n and all(x % d for d in range(2, x)) and x > 1,
            ((7,), (11,), (9,), (2,), (1,)),
            f"x: x > {n} and x > 1 and all(x % d for d in range(2, x))",
        ),
    )


def _runs(text: str) -> list[tuple[str, int]]:
    runs: list[tuple[str, int]] = []
    for c in text:
        if runs and runs[-1][0] == c:
            runs[-1] = (c, runs[-1][1] + 1)
        else:
            runs.append((c, 1))
    return runs


def _flat(value: list[object]) -> list[object]:
    return [leaf for item in value for leaf in (_flat(item) if isinstance(item, list) else [item])]


_LONG_SOURCE: Final = {
    "run_lengths": "def run_lengths(s):\n    import itertools\n"
    "    return [(c, len(list(g))) for c, g in itertools.groupby(s)]",
    "flatten": "def flatten(v):\n"
    "    return [x for i in v for x in (flatten(i) if isinstance(i, list) else [i])]",
}


def _writing(rng: random.Random, level: Difficulty) -> Item:
    name, what, function, arguments, source = rng.choice(_tasks(rng, level))
    cases: list[Json] = [[repr(given), repr(function(*given))] for given in arguments]
    reference = _LONG_SOURCE.get(name) or _defined(name, source)
    grader = Grader(type="code", params={"entry": name, "cases": cases})
    return Item(slots={"name": name, "what": what}, reference=reference, grader=grader)


def _defined(name: str, source: str) -> str:
    parameters, _, body = source.partition(": ")
    return f"def {name}({parameters}):\n    return {body}"


FAMILIES: Final = (
    Family(
        name="code_output",
        labels=labelled("code_understanding", "software", "free_text"),
        wordings=(
            "What does this Python code print? Reply with the output only.\n{code}",
            "```python\n{code}\n```\nOutput:",
            "Predict the output of this program, nothing else:\n{code}",
            "Run this Python in your head and give just what it prints.\n\n{code}",
        ),
        held_out=(
            "Here is a Python snippet.\n{code}\nWhich text appears on the screen? Only that.",
            "State the printed result of\n```\n{code}\n```",
        ),
        draw=_output,
    ),
    Family(
        name="code_writing",
        labels=labelled("code_generation", "software", "code"),
        wordings=(
            "Write a Python function {name} that {what}. Reply with code only.",
            "Implement `{name}` in Python: it {what}. No explanation.",
            "In Python, define {name}; it {what}. Only the code.",
            "Python task: a function called {name} that {what}. Give just the function.",
        ),
        held_out=(
            "I need a Python function named {name}. It {what}. Output only its source.",
            "Code a function {name} (Python) which {what}. No comments, no text.",
        ),
        draw=_writing,
    ),
)
