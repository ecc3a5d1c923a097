from __future__ import annotations

import pytest

from emafusion.answers import Kind, canonical


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("The answer is 42.", "42"),
        ("$1,234.50", "1234.5"),
        ("Answer: **-7**", "-7"),
        ("−7", "-7"),
        ("\\boxed{\\frac{3}{4}}", "0.75"),
        ("2\\frac{1}{2}", "2.5"),
        ("3 1/2", "3.5"),
        ("2½", "2.5"),
        ("1.5 × 10^3", "1500"),
        ("6.02e23", "602000000000000000000000"),
        ("2 × 10⁻³", "0.002"),
        ("£3 million", "3000000"),
        ("50%", "50"),
        ("He buys 3 and 5, so 3 + 5 = 8 fruits.", "8"),
        ("There are 42 apples in 3 baskets.", "42"),
        ("25% of 80 is 20.", "20"),
        ("Work: 2*3=6\nAnswer: 6 kg", "6"),
        ("Answer:\n\n17", "17"),
        ("#### 18", "18"),
        ('{"reasoning": "2+2", "answer": "18"}', "18"),
        ("seventy-two", "72"),
        ("one hundred and five", "105"),
        ("twelve hundred", "1200"),
        ("It occurs twice.", "2"),
        ("12345678901234567891", "12345678901234567891"),
        ("1\u202f234", "1234"),
        ("0.1 + 0.2 = 0.3", "0.3"),
        ("H2O", None),
        ("version x2", None),
        ("no idea", None),
        ("", None),
    ],
)
def test_number(text: str, key: str | None) -> None:
    assert canonical(text, "number") == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("b.", "B"),
        ("**D**", "D"),
        ("The answer is (C).", "C"),
        ("The correct answer is option D: the fourth", "D"),
        ("The answer is **G. Weapons and war horses**", "G"),
        ("Answer: $\\boxed{C}$", "C"),
        ("B) Paris", "B"),
        ("Option C is right", "C"),
        ("First I thought (A) but the best choice is F", "F"),
        ("Long reasoning about B and C.\n\nThe answer is\nE", "E"),
        ("The answer is P", "P"),
        ("Answer: A large dog", None),
        ("I am not sure", None),
        ("A. red\nB. blue", None),
        ("The answer is Q", None),
    ],
)
def test_choice(text: str, key: str | None) -> None:
    assert canonical(text, "choice") == key


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("\\frac12", "0.5"),
        ("\\boxed{\\dfrac{\\sqrt{3}}{2}}", "$\\frac{\\sqrt3}{2}$"),
        ("The answer is $(1, 2)$.", "(1,2)"),
        ("x = 2\\cdot\\sqrt{3}", "2\\sqrt{3}"),
        ("3\\text{ cm}", "3"),
        ("90^\\circ", "90"),
        ("x^{10}", "x^10"),
        ("\\left[0,1\\right]", "[0,1]"),
        ("The final answer is 7, which is the y-coordinate of the point.", "7"),
    ],
)
def test_expressions_that_agree(a: str, b: str) -> None:
    assert canonical(a, "expression") == canonical(b, "expression") is not None


def test_expressions_that_differ() -> None:
    assert canonical("x+1", "expression") != canonical("x-1", "expression")
    assert canonical("\\frac{a+b}{c}", "expression") != canonical("a+\\frac{b}{c}", "expression")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[1,2]", "[1, 2]"),
        ("The output is `[1, 2]`.", "[1, 2]"),
        ("```\n[1,2]\n```", "[1, 2]"),
        ("assert f(1) == {'b': 2, 'a': 1}", "{'a': 1, 'b': 2}"),
        ("abc", "'abc'"),
        ("'abc'", "'abc'"),
        ("'89'", "89"),
        ('{"reasoning": "r", "answer": "  rock "}', "'  rock '"),
        ("('a',)", "('a',)"),
        ("set()", "set()"),
        ("Output: True", "True"),
        ("2.0", "2.0"),
        ("'C:\\d'", "'C:\\\\d'"),
    ],
)
def test_literal(text: str, key: str) -> None:
    assert canonical(text, "literal") == key


def test_a_literal_is_never_run() -> None:
    assert canonical("__import__('os').getcwd()", "literal") == repr("__import__('os').getcwd()")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('```json\n{"b": "x  y", "a": 1.0}\n```', '{"a":1,"b":"x y"}'),
        ('Sure: {"a": [1, 2,],} and [3]', '{"a":[1,2]}'),
        ("[1, 2] then {}", "[1,2]"),
        ("{not json}", None),
        ("no", None),
    ],
)
def test_json(text: str, key: str | None) -> None:
    assert canonical(text, "json") == key


def test_code_ignores_prose_fences_comments_and_blank_lines() -> None:
    plain = "def f(x):\n    return x"
    said = "Sure:\n```python\ndef f(x):\n\n    # the identity\n    return x   \n```\nDone."
    assert canonical(said, "code") == canonical(f"Here it is.\n{plain}", "code") == plain


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("The capital of Australia is Canberra.", "canberra"),
        ("Paris is the capital of France.", "paris"),
        ("It is São Paulo!", "sao paulo"),
        ("**Positive**", "positive"),
        ("Sure! Spam", "spam"),
        ("Answer: the Nile", "nile"),
        ("C#", "c#"),
        ("-5", "-5"),
        ("Harper's Bazaar", "harpers bazaar"),
        ("a", "a"),
        ("...", None),
    ],
)
def test_text(text: str, key: str | None) -> None:
    assert canonical(text, "text") == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("2024-03-03", "2024-03-03"),
        ("It falls on the 3rd of March, 2024.", "2024-03-03"),
        ("March 3, 2024", "2024-03-03"),
        ("3/13/2024", "2024-03-13"),
        ("13/3/2024", "2024-03-13"),
        ("From 2024-01-01 one gets 2024-01-11.", "2024-01-11"),
        ("2023-02-29", None),
        ("some day", None),
    ],
)
def test_date(text: str, key: str | None) -> None:
    assert canonical(text, "date") == key


def test_kinds_do_not_mix() -> None:
    kinds: list[Kind] = ["number", "choice", "date"]
    assert [canonical("(B) 7", kind) for kind in kinds] == ["7", "B", None]
