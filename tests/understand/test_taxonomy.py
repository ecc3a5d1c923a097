"""The label tree: the shipped one is whole, a damaged one is refused by the name of its fault."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from emafusion.errors import ConfigError, DataError
from emafusion.learn.taxonomy_prompts import generate, split_of
from emafusion.types import AXES
from emafusion.understand import Taxonomy
from emafusion.understand.slots import Vocabulary

from .conftest import TREE


@pytest.fixture(scope="module")
def shipped() -> Taxonomy:
    return Taxonomy.load()


def test_the_shipped_tree_has_the_labels_of_the_design(shipped: Taxonomy) -> None:
    assert [len(shipped.labels(axis)) for axis in AXES] == [14, 4, 11, 7]
    assert "code_understanding" in shipped.labels("task")
    assert all(text for axis in AXES for text in shipped.axes[axis].values())


def test_every_shipped_label_has_six_templates_and_a_held_out_one(shipped: Taxonomy) -> None:
    for split, least in (("train", 6), ("test", 1)):
        seeds = [seed for seed in shipped.seeds if split_of(seed) == split]
        counts = Counter(
            (axis, label)
            for seed in seeds
            for d in seed.domains
            for axis, label in seed.labels(d).items()
        )
        for axis in AXES:
            for label in shipped.labels(axis):
                assert counts[axis, label] >= least, (split, axis, label)


def test_prompts_are_distinct_filled_and_repeatable(shipped: Taxonomy) -> None:
    prompts = generate(shipped, 300, seed=4)
    assert [p.text for p in prompts] == [p.text for p in generate(shipped, 300, seed=4)]
    assert len({p.text for p in prompts}) == 300
    assert not [p.text for p in prompts if "{{" in p.text and "}}" in p.text and "int:" in p.text]
    for prompt in prompts:
        assert all(prompt.labels[axis] in shipped.axes[axis] for axis in AXES)


def test_held_out_templates_stay_out(shipped: Taxonomy) -> None:
    train = {p.template for p in generate(shipped, 400, seed=1, split="train")}
    test = {p.template for p in generate(shipped, 200, seed=1, split="test")}
    assert not train & test


def test_a_prompt_that_shows_no_domain_is_general(tree: Taxonomy) -> None:
    prompts = generate(tree, 80, seed=2, split="all")
    for prompt in prompts:
        told = any(
            word in prompt.text.lower()
            for word in ("court", "contract", "judge", "tenant", "appeal", "witness", "verdict")
        )
        assert prompt.labels["domain"] == ("law" if told else "general")


def test_too_many_prompts_are_refused(tree_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    path.write_text(
        tree_file.read_text()
        .replace("{{int:10-99}}", "1")
        .replace("{{int:2-9}}", "1")
        .replace("{{int:2-99}}", "1")
        .replace("{{int:100-999}}", "1")
        .replace("{{int:1-99}}", "1")
    )
    with pytest.raises(DataError, match="distinct"):
        generate(Taxonomy.load(path), 5000)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('complexity = "simple"', 'complexity = "simpel"', r"'simpel'; did you mean 'simple'"),
        ('format = "prose"', "", "label for 'format' is missing"),
        ("Translate: {{thing}}", "Translate: {{thnig}}", "no values for slot 'thnig'"),
        ("{{int:10-99}} minus", "{{int:99-10}} minus", "needs a range"),
        ("{{int:10-99}} minus", "{{int}} minus", "not of a known form"),
        ("a red house;", "a {{thing}} house;", "slot 'thing' contains itself"),
        ('law = "the court', 'finance = "the court', r"slot 'thing' \(domain 'law'\)"),
        ("version = 1", "version = 2", "version 2"),
        ("version = 1", "version = 1\ncolour = 3", "colour"),
        ('description = "Courts."', "", "description"),
        ('[domain.law]\ndescription = "Courts."', "", "axis 'domain' needs at least two labels"),
        ('domain = "general"', 'domain = ["general", "lw"]', "unknown label 'lw'"),
        ("version = 1", "version = 1\nvocabulary = 'missing.toml'", "missing.toml"),
        ("[task.arithmetic]", "[task.arithmetic", "tree"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in TREE
    path = tmp_path / "tree.toml"
    path.write_text(TREE.replace(old, new))
    with pytest.raises(ConfigError, match=named):
        Taxonomy.load(path)


def test_a_seed_cannot_deny_the_label_it_stands_under(tmp_path: Path) -> None:
    path = tmp_path / "tree.toml"
    path.write_text(
        TREE.replace('complexity = "hard"', 'complexity = "hard"\ntask = "translation"')
    )
    with pytest.raises(ConfigError, match="task is 'arithmetic' here"):
        Taxonomy.load(path)


def test_a_missing_tree_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        Taxonomy.load(tmp_path / "nowhere.toml")


def test_a_vocabulary_may_stand_beside_the_tree(tmp_path: Path) -> None:
    tree, slots = TREE.split("[slots.thing]")
    (tmp_path / "v.toml").write_text(f"[slots.thing]{slots}")
    (tmp_path / "t.toml").write_text(
        tree.replace("version = 1", "version = 1\nvocabulary='v.toml'")
    )
    assert len(Taxonomy.load(tmp_path / "t.toml").seeds) == 12


def test_slots_repeat_and_differ() -> None:
    words = Vocabulary(plain={"n": ("a", "b", "c")}, by_domain={})
    for seed in range(20):
        one, again, other = words.fill("{{n}} {{n}} {{n2}}", "x", random.Random(seed)).split()
        assert one == again != other


def test_built_in_slots() -> None:
    words = Vocabulary(plain={"n": tuple("abcdefghijkl")}, by_domain={})
    rng = random.Random(0)
    assert 2 <= int(words.fill("{{int:2-9}}", "x", rng)) <= 9
    assert -1.05 <= float(words.fill("{{decimal:-1.0-1.0}}", "x", rng)) <= 1.05
    assert len(words.fill("{{repeat:n:3-3}}", "x", rng).split(" ")) == 3
    assert len(words.fill("{{lines:n:4-4}}", "x", rng).split("\n")) == 4
    options = words.fill("{{options:n}}", "x", rng).split("\n")
    assert 2 <= len(options) <= 10
    assert len(set(options)) == len(options)
    assert words.fill("\\frac{{{int:7-7}}}{2}", "x", rng) == "\\frac{7}{2}"
