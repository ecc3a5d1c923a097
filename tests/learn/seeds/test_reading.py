from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from emafusion.errors import DataError
from emafusion.learn.seeds import FamilySeed, Seed, read
from emafusion.learn.seeds.reading import _Fields
from emafusion.learn.synthesise import from_seeds

SOUND = """
[[seed]]
name = "sum"
template = "What is {a} + {b}?"
compute = "a + b"
grader = "number"
[seed.slots]
a = "1..9"
b = [1, 2]
"""


def written(folder: Path, text: str, name: str = "seeds.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_and_json_lines_say_the_same(tmp_path: Path) -> None:
    fields = {
        "name": "sum",
        "template": "What is {a} + {b}?",
        "compute": "a + b",
        "grader": "number",
        "slots": {"a": "1..9", "b": [1, 2]},
    }
    (toml,) = read([written(tmp_path, SOUND)])
    (lines,) = read([written(tmp_path, json.dumps(fields) + "\n\n", "seeds.jsonl")])
    assert isinstance(toml, Seed)
    assert isinstance(lines, Seed)
    assert toml.slots == lines.slots
    assert toml.wordings == lines.wordings
    assert toml.answered({"a": 3, "b": 4}) == lines.answered({"a": 3, "b": 4})
    assert toml.answered({"a": 3, "b": 4})[0] == "7"


def test_wordings_are_kept_apart_where_there_are_enough(tmp_path: Path) -> None:
    def splits(count: int, held_out: int = 0) -> list[str]:
        worded = ", ".join(f'"W{n} {{a}}"' for n in range(count))
        held = ", ".join(f'"H{n} {{a}}"' for n in range(held_out))
        text = f"""
            [[seed]]
            name = "s"
            wordings = [{worded}]
            held_out = [{held}]
            reference = "{{a}}"
            slots = {{ a = ["x", "y"] }}
        """
        (seed,) = read([written(tmp_path, text)])
        assert isinstance(seed, Seed)
        return ["+".join(sorted(wording.splits)) for wording in seed.wordings]

    assert splits(1) == ["test+train+val"]
    assert splits(2, 1) == ["train+val", "train+val", "test"]
    assert splits(3, 2) == ["train", "train", "val", "test", "test"]
    assert splits(4) == ["train", "train", "val", "test"]


def test_a_family_is_named(tmp_path: Path) -> None:
    (seed,) = read([written(tmp_path, '[[seed]]\nname = "mood"\nfamily = "sentiment"\nweight = 2')])
    assert isinstance(seed, FamilySeed)
    assert (seed.family.name, seed.weight) == ("sentiment", 2.0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "sum"', 'nam = "sum"', "nam"),
        ("{b}?", "{c}?", "{c} stands in"),
        ("b = [1, 2]", "b = [1, 2]\nc = [3]", "slot 'c' is used nowhere"),
        ('"1..9"', '"9..1"', "runs backwards"),
        ('"1..9"', '"some"', "is no range"),
        ('"1..9"', "[]", "not empty"),
        ('"1..9"', "3", "fills nothing"),
        ('"1..9"', "{ table = 'gone' }", "there is no table 'gone'"),
        ('"1..9"', "{ tabel = 'gone' }", "is no kind of slot"),
        ('"1..9"', "{ rows = [{x = 1}], pick = 2 }", "need each"),
        ('"1..9"', "{ rows = [{x = 1}, {y = 1}] }", "other columns"),
        ('"1..9"', "{ generate = 'names', count = 0 }", "count must be"),
        ('"1..9"', "{ compute = 'b.__class__' }", "not part of the expression language"),
        ('"a + b"', '"a + c"', "reads 'c'"),
        ('"a + b"', '"a +"', "is not an expression"),
        ('"a + b"', "\"a + 'x'\"", "cannot be worked out"),
        ('"number"', '"numbr"', "unknown grader type 'numbr'"),
        ('"number"', '{ type = "number", slack = 1 }', "no parameter 'slack'"),
        ('compute = "a + b"\n', "", "needs a reference"),
        ('"number"', '"judged"', "which judges do not read"),
        ('"number"', '{ type = "judged", rubrik = "x" }', "no parameter 'rubrik'"),
        ('grader = "number"', 'reference = "{a}"', "keep one"),
        ('grader = "number"', 'labels = { task = "sums" }', "there is no task 'sums'"),
        ('grader = "number"', 'labels = { kind = "x" }', "there is no axis 'kind'"),
        ('grader = "number"', 'variations = ["typo"]', "did you mean 'typos'"),
        ('grader = "number"', "difficulty = 4", "must be 1, 2 or 3"),
        ('grader = "number"', "weight = 0", "weight must be above 0"),
        ('grader = "number"', "weight = nan", "no number"),
        ('grader = "number"', "weight = 1e300", "too large"),
        ('grader = "number"', "weight = 10000000", "weight must be"),
        ('"1..9"', "[1e-999]", "too fine"),
        ('"1..9"', '"0..99999999999999999999999999999999999"', "larger step"),
        ('"1..9"', '"0.000000000000000000000000000000001..9"', "larger step"),
        ('"1..9"', "{ repeat = '²', each = '{x}', columns = {x = [1]} }", "how many rows"),
        ('"1..9"', "{ repeat = 2.5, each = '{x}', columns = {x = [1]} }", "how many rows"),
        ('"1..9"', "{ table = [1] }", "there is no table [1]"),
        ('"1..9"', "{ repeat = 2, each = '{x}', columns = {x = [1]}, again = [[1]] }", "again"),
        (
            '"1..9"',
            "{ repeat = 2, each = '{x}', columns = {x = {generate = 'names'}} }",
            "cannot be generated",
        ),
        ('"number"', '{ type = "number", tolerance = "a" }', "tolerance of a grader"),
        ('"number"', '{ type = "number", relative = -1 }', "relative of a grader"),
        ('"number"', '{ type = "choice", options = 5 }', "options of a choice"),
        ('"number"', '{ type = "code", cases = "x" }', "cases"),
        ('"number"', '{ type = "code", cases = [["(1,)", "1"]], timeout_s = "a" }', "mark a reply"),
        ('"number"', '{ type = "constraint", max_words = "a" }', "whole numbers"),
        ('"number"', '{ type = "sql", setup = 5 }', "SQL of a question"),
        ('grader = "number"', 'family = "sentiment"', "takes its wordings"),
        ('template = "What is {a} + {b}?"', 'wordings = ["{a}{b}", "{a}{b}"]', "are the same"),
        ('template = "What is {a} + {b}?"', "", "needs a template"),
        ('"What is {a} + {b}?"', '"{a} {b} {context}"', "has no context"),
        ("b = [1, 2]", "context = [1]", "not the name 'context'"),
    ],
)
def test_what_is_wrong_with_a_seed_names_it_and_its_file(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    assert old in SOUND
    path = written(tmp_path, SOUND.replace(old, new))
    with pytest.raises(DataError) as caught:
        read([path])
    message = str(caught.value)
    assert told in message
    assert "seeds.toml" in message
    assert "seed 'sum'" in message or "seed 1" in message or "is not TOML" in message


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("seeds.yaml", "seed: []", "are read from .toml and .jsonl files"),
        ("seeds.toml", "seed = 3 4", "is not TOML"),
        ("seeds.toml", "[[sed]]", "unknown table 'sed'"),
        ("seeds.toml", "", "has no seed"),
        ("seeds.jsonl", '{"name": ', "line 1 is not JSON"),
        ("seeds.jsonl", "3", "seed 1"),
        ("seeds.jsonl", '{"name": "\\ud800"}', "line 1 is not JSON.*surrogates"),
        ("seeds.jsonl", '{"name": "s", "weight": NaN}', "line 1 is not JSON.*no number"),
        ("seeds.jsonl", '{"name": "s", "weight": 1e400}', "line 1 is not JSON.*too large"),
        ("seeds.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("seeds.jsonl", "", "there is no seed"),
    ],
)
def test_what_is_wrong_with_a_file(name: str, text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        read([written(tmp_path, text, name)])


def test_a_missing_file_and_a_name_used_twice_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the seeds in .*gone\.toml"):
        read([tmp_path / "gone.toml"])
    paths = [written(tmp_path, SOUND), written(tmp_path, SOUND, "again.toml")]
    with pytest.raises(DataError, match=r"'seeds\.toml' has a seed of that name"):
        read(paths)


def test_the_seed_that_the_documentation_shows_can_be_drawn_from(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "seeds.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", page, flags=re.S)
    made = from_seeds(read([written(tmp_path, shown)]), 30, seed=1)
    assert sum(len(part) for part in made.questions.values()) == 30
    fields = set(re.findall(r"^\| `([a-z_]+)`(?:, `([a-z_]+)`)? \|", page, flags=re.M))
    told = {name for pair in fields for name in pair if name}
    assert told | {"name"} == set(_Fields.__struct_fields__)


@pytest.mark.parametrize("given", ["", 'grader = { type = "judged", rubric = "Kind to {a}." }\n'])
def test_a_seed_may_leave_its_replies_to_judges(given: str, tmp_path: Path) -> None:
    text = SOUND.replace('compute = "a + b"\ngrader = "number"\n', given)
    assert text != SOUND
    (seed,) = read([written(tmp_path, text)])
    assert isinstance(seed, Seed)
    scope = {name: slot.at(0) for name, slot in seed.slots.items()}
    reference, grader = seed.answered(scope)
    assert (reference, grader.type) == ("", "judged")
    assert math.isnan(grader.grade("Dear Ms Ito, thank you.", reference))
    assert str(grader.params.get("rubric", "")) == ("Kind to 1." if given else "")
