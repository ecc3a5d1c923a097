"""One JSON answer from several: who wins each field, and laws that hold for any drafts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.answers import structured
from emafusion.answers.structured import Json
from emafusion.execute.fields import Fused, Weighted, fuse
from emafusion.execute.schema import Schema
from growth import LINEAR, growth


def of(*values: object, weights: Sequence[float] = ()) -> list[Weighted]:
    """Drafts that say `values`, all trusted alike unless `weights` says otherwise."""
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return [
        Weighted(text=text, weight=weight)
        for text, weight in zip(texts, weights or [1.0] * len(texts), strict=True)
    ]


def fused(*values: object, weights: Sequence[float] = (), format_: object = None) -> Fused:
    result = fuse(of(*values, weights=weights), response_format=format_)
    assert result is not None
    return result


def value(*values: object, weights: Sequence[float] = (), format_: object = None) -> object:
    return json.loads(fused(*values, weights=weights, format_=format_).text)


def schema(**node: object) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": node}}


# ------------------------------------------------------------------ fields


def test_each_field_is_voted_on_by_itself() -> None:
    result = fused({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 9, "b": 3})
    assert json.loads(result.text) == {"a": 1, "b": 3}
    assert result.draft == 1
    assert result.provenance == {"/a": (0, 1), "/b": (1, 2)}
    assert result.confidence == pytest.approx({"/a": 2 / 3, "/b": 2 / 3})
    assert result.least == pytest.approx(2 / 3)


def test_weight_beats_number_and_ties_go_to_the_most_trusted() -> None:
    assert value({"a": 1}, {"a": 2}, {"a": 2}, weights=[5, 1, 1]) == {"a": 1}
    assert value({"a": 1}, {"a": 2}, weights=[1, 2]) == {"a": 2}
    assert value({"a": 1}, {"a": 2}, {"a": 2}, weights=[2, 1, 1]) == {"a": 1}


def test_no_single_draft_need_be_right_throughout() -> None:
    wrong_a, wrong_b, wrong_c = ({"a": 1, "b": 1, "c": 1} | {n: 0} for n in "abc")
    result = fused(wrong_a, wrong_b, wrong_c)
    assert json.loads(result.text) == {"a": 1, "b": 1, "c": 1}
    assert result.draft is None


@pytest.mark.parametrize(
    ("same", "other"),
    [(1, 1.0), ("Paris", " paris "), ("2024-03-05", "March 5, 2024"), (0.3, 0.1 + 0.2)],
)
def test_what_means_the_same_votes_together_and_keeps_its_spelling(
    same: object, other: object
) -> None:
    chosen = fused({"a": same}, {"a": other}, {"a": "else"}, weights=[1.1, 1, 2])
    assert repr(json.loads(chosen.text)["a"]) == repr(same)
    assert chosen.provenance["/a"] == (0, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, "1"), (None, "null"), ("2024-03-05T10:00", "2024-03-05T11:00"), ("", None)],
)
def test_what_differs_does_not_vote_together(one: object, other: object) -> None:
    assert fused({"a": one}, {"a": other}).provenance["/a"] == (0,)


def test_a_key_of_the_minority_is_dropped_unless_it_is_required() -> None:
    drafts = {"a": 1, "note": "x"}, {"a": 1}, {"a": 1}
    assert value(*drafts) == {"a": 1}
    assert fused(*drafts).least == pytest.approx(2 / 3)
    wanted = schema(type="object", required=["note"])
    assert value(*drafts, format_=wanted) == {"a": 1, "note": "x"}


def test_objects_within_are_fused_too() -> None:
    result = fused({"p": {"x": 1, "y/z": 0}}, {"p": {"x": 1, "y/z": 2}}, {"p": {"x": 3, "y/z": 2}})
    assert json.loads(result.text) == {"p": {"x": 1, "y/z": 2}}
    assert result.provenance == {"/p/x": (0, 1), "/p/y~1z": (1, 2)}


def test_a_field_of_several_kinds_takes_the_weightiest_kind() -> None:
    assert value({"a": [1]}, {"a": {"b": 1}}, {"a": {"b": 2}}, weights=[1.5, 1, 1.1]) == {
        "a": {"b": 2}
    }


# ------------------------------------------------------------------ arrays


def test_objects_in_an_array_are_aligned_by_what_names_them() -> None:
    one = [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]
    two = [{"id": 2, "v": "b"}, {"id": 1, "v": "x"}, {"id": 3, "v": "c"}]
    three = [{"id": 1, "v": "x"}, {"id": 2, "v": "b"}]
    assert value(one, two, three) == [{"id": 1, "v": "x"}, {"id": 2, "v": "b"}]


def test_without_a_name_objects_are_aligned_by_position() -> None:
    drafts = [{"v": 1}, {"v": 2}], [{"v": 1}, {"v": 3}], [{"v": 0}, {"v": 3}]
    assert value(*drafts) == [{"v": 1}, {"v": 3}]
    longer = [{"v": 7}, {"v": 7}, {"v": 7}]
    assert value(*drafts, longer) == [{"v": 1}, {"v": 3}]


def test_names_that_nobody_shares_align_nothing() -> None:
    one = [{"id": "a1", "name": "x"}, {"id": "a2", "name": "y"}]
    two = [{"id": "b1", "name": "y"}, {"id": "b2", "name": "x"}]
    assert [item["name"] for item in json.loads(fused(one, two).text)] == ["x", "y"]


def test_sets_of_scalars_keep_what_most_have_in_the_most_trusted_order() -> None:
    drafts = ["d", "a", "b", "c"], ["a", "b", "c", "e"], ["A", "b", "f", "c", "g"]
    assert value(*({"t": d} for d in drafts), weights=[3, 2.5, 2]) == {"t": ["a", "b", "c"]}


def test_pairs_are_one_thing() -> None:
    assert value({"at": [1, 2]}, {"at": [1, 3]}, {"at": [4, 3]}, weights=[1, 2, 1.5]) == {
        "at": [1, 3]
    }


def test_numbers_of_one_length_are_voted_on_one_by_one() -> None:
    assert value([1, 2, 3, 4], [1, 2, 9, 4], [0, 2, 3, 5]) == [1, 2, 3, 4]


def test_arrays_that_share_nothing_are_taken_whole() -> None:
    assert value(["a", "b"], ["c", "d", "e"], ["f"], weights=[1, 2, 1.5]) == ["c", "d", "e"]
    assert value({"x": []}, {"x": []}, {"x": [1]}) == {"x": []}


# ------------------------------------------------------------------ layout


def test_the_layout_is_the_most_trusted_drafts() -> None:
    wide = json.dumps({"b": 1, "a": [1, 2], "c": "é"}, indent=4, ensure_ascii=False)
    tight = '{"a":[1,2],"b":2,"c":"é"}'
    other = '{"a": [1, 2], "b": 1, "c": "e"}'
    assert fused(wide, tight, other, weights=[2, 1, 1.5]).text == wide
    mixed = fused(tight, other, '{"a": [1, 2], "b": 1, "c": "é"}', weights=[1.2, 1, 1])
    assert mixed.text == '{"a": [1, 2], "b": 1, "c": "é"}'
    three = fused(
        '{"a":1,"b":1,"c":0}', '{"a":1,"b":0,"c":1}', '{"c":1,"b":1,"a":0}', weights=[3, 2, 1.5]
    )
    assert three.text == '{"a":1,"b":1,"c":1}'
    assert three.draft is None


def test_a_fence_stays_where_all_have_one() -> None:
    fence = "```json\n{}\n```"
    assert (
        fused(fence.format('{"a": 1}'), fence.format('{"a": 1}')).text == '```json\n{"a": 1}\n```'
    )
    assert fused(fence.format('{"a": 1}'), '{"a": 1}').text == '{"a": 1}'
    assert fused('Here you are: {"a": 1}. Fine?', '{"a": 2}').text == '{"a": 1}'


# ------------------------------------------------------------------ when not to fuse


@pytest.mark.parametrize(
    "drafts",
    [
        [],
        [{"a": 1}],
        [{"a": 1}, "no idea"],
        ["yes", "no"],
        [{"a": 1}, [1]],
        [{"a": 1, "b": 2}, {"c": 1, "d": 2}],
        [[{"a": 1}], [{"b": 1}]],
        [[1, 2], [{"b": 1}]],
    ],
)
def test_drafts_of_no_common_schema_are_not_fused(drafts: list[object]) -> None:
    assert fuse(of(*drafts)) is None


def test_one_stray_draft_is_left_aside() -> None:
    result = fused({"a": 1}, {"a": 1}, {"zzz": 4})
    assert json.loads(result.text) == {"a": 1}
    assert result.confidence == {"/a": 1.0}


def test_a_stray_draft_of_most_weight_forbids_fusing() -> None:
    assert fuse(of({"a": 1}, {"a": 1}, {"zzz": 4}, weights=[1, 1, 5])) is None


# ------------------------------------------------------------------ schemas


def test_where_fusing_breaks_the_schema_the_best_draft_that_keeps_it_is_taken() -> None:
    wanted = schema(
        type="object",
        anyOf=[
            {"properties": {"a": {"const": 1}, "b": {"const": 1}}},
            {"properties": {"a": {"const": 2}, "b": {"const": 2}}},
        ],
    )
    drafts = {"a": 1, "b": 3}, {"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 2}
    weights = [1.0, 1.1, 1.2, 1.3]
    assert value(*drafts, weights=weights) == {"a": 1, "b": 2}
    result = fused(*drafts, weights=weights, format_=wanted)
    assert json.loads(result.text) == {"a": 2, "b": 2}
    assert result.draft == 2
    assert result.provenance == {"/a": (2,), "/b": (2, 3)}


def test_where_nobody_keeps_the_schema_nothing_is_fused() -> None:
    wanted = schema(type="object", required=["z"])
    assert fuse(of({"a": 1}, {"a": 1}), response_format=wanted) is None


@pytest.mark.parametrize(
    ("node", "good", "bad"),
    [
        ({"type": "object"}, {}, []),
        ({"type": ["object", "array"]}, [], None),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 2.0}, {"a": 2.5}),
        ({"properties": {"a": {"type": "number"}}}, {"a": 2}, {"a": True}),
        ({"properties": {"a": {"type": "boolean"}}}, {"a": True}, {"a": 1}),
        ({"properties": {"a": {"enum": ["x", 1]}}}, {"a": 1.0}, {"a": True}),
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": None}, {"a": 1}),
        ({"required": ["a"]}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1}, {"a": 1, "b": 1}),
        ({"additionalProperties": {"type": "string"}}, {"b": "x"}, {"b": 1}),
        ({"items": {"type": "string"}, "minItems": 1}, ["x"], [1]),
        ({"minItems": 2, "maxItems": 3}, [1, 1], [1]),
        ({"maxItems": 1}, [1], [1, 1]),
        ({"$defs": {"n": {"type": "null"}}, "items": {"$ref": "#/$defs/n"}}, [None], [1]),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1}, {"a": 1, "b": 1}),
        ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1}, {"a": 1}),
        ({"$ref": "#"}, {"a": 1}, None),
        ({"items": {"$ref": "#"}}, [[[]]], None),
        ({"allOf": [{"$ref": "#"}]}, [], None),
        ({"type": 3, "required": 4, "enum": {}, "items": 5, "properties": []}, {}, None),
    ],
)
def test_the_schema_is_kept(node: dict[str, object], good: object, bad: object) -> None:
    found = Schema.of(schema(**node))
    assert found is not None
    kept: Json = json.loads(json.dumps(good))
    broken: Json = json.loads(json.dumps(bad))
    if "enum" not in node:
        assert found.permits(kept)
    if bad is not None:
        assert not found.permits(broken)


@pytest.mark.parametrize(
    "odd", [None, 3, "json", {}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": 1}]
)
def test_an_odd_response_format_asks_for_nothing(odd: object) -> None:
    assert value({"a": 1}, {"a": 1}, format_=odd) == {"a": 1}


# ------------------------------------------------------------------ laws

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2, allow_nan=False).map(lambda x: round(x, 1)),
    st.sampled_from(["Paris", "paris", " Rome", "2024-01-02", "2 January 2024", "é\ud800"]),
)
NAMES = st.sampled_from(["id", "name", "a", "b", "x/y", "~"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
TOPS = st.one_of(st.lists(VALUES, max_size=4), st.dictionaries(NAMES, VALUES, max_size=5))
WEIGHTS = st.floats(-2, 4, allow_nan=False)
DRAFTS = st.lists(st.builds(Weighted, text=TOPS.map(json.dumps), weight=WEIGHTS), max_size=5)


def leaves(item: object) -> list[str]:
    """Every scalar and empty container within `item`, in its own spelling."""
    if isinstance(item, dict | list) and item:
        inner = item.values() if isinstance(item, dict) else item
        return [leaf for entry in inner for leaf in leaves(entry)]
    return [json.dumps(item)]


@given(DRAFTS)
def test_every_leaf_was_given_by_those_who_are_named(drafts: list[Weighted]) -> None:
    result = fuse(drafts)
    if result is None:
        return
    found = json.loads(result.text)
    result.text.encode()
    given_ = {leaf for draft in drafts for leaf in leaves(json.loads(draft.text))}
    assert set(leaves(found)) - {"{}"} <= given_
    assert len(result.provenance) == len(leaves(found))
    assert all(result.provenance.values())
    assert result.confidence.keys() == result.provenance.keys()
    assert all(0.0 < share <= 1.0 for share in result.confidence.values())
    assert 0.0 < result.least <= min(result.confidence.values())
    if result.draft is not None:
        assert json.loads(drafts[result.draft].text) == found


RECORDS = st.dictionaries(NAMES, SCALARS | st.dictionaries(NAMES, SCALARS, max_size=3), max_size=4)


@given(st.lists(RECORDS, min_size=2, max_size=4))
def test_who_is_named_gave_that_leaf_there(records: list[dict[str, Json]]) -> None:
    result = fuse(of(*records))
    for pointer, named in (result.provenance if result else {}).items():
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        said = []
        for draft in named:
            found: Json = json.loads(json.dumps(records[draft]))
            for step in steps:
                assert isinstance(found, dict)
                found = found[step]
            said.append(found)
        settled = {structured.key(item) for item in said if not isinstance(item, str | dict)}
        assert len(settled) <= 1


@given(TOPS, st.integers(2, 4), WEIGHTS)
def test_equal_drafts_fuse_to_themselves(top: Json, count: int, weight: float) -> None:
    text = json.dumps(top, indent=2)
    result = fuse([Weighted(text=text, weight=weight)] * count)
    assert result is not None
    assert result.text == text
    assert result.least == 1.0


@given(DRAFTS, TOPS)
def test_a_draft_of_overwhelming_weight_wins_all(drafts: list[Weighted], top: Json) -> None:
    text = json.dumps(top)
    result = fuse([*drafts, Weighted(text=text, weight=1000.0)])
    assert result is None or result.text == text


@given(st.lists(TOPS, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_drafts_does_not_matter(tops: list[Json], chance: random.Random) -> None:
    drafts = [Weighted(text=json.dumps(t), weight=1.0 + 0.37 * n) for n, t in enumerate(tops)]
    order = list(range(len(drafts)))
    chance.shuffle(order)
    one, other = fuse(drafts), fuse([drafts[place] for place in order])
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.text == other.text
        assert one.confidence == other.confidence
        mapped = {p: tuple(sorted(order[d] for d in ds)) for p, ds in other.provenance.items()}
        assert one.provenance == mapped


@given(DRAFTS, st.dictionaries(NAMES, st.sampled_from([{"type": "string"}, {"type": "number"}])))
def test_a_schema_is_kept_or_nothing_is_fused(
    drafts: list[Weighted], fields: dict[str, object]
) -> None:
    format_ = schema(type="object", properties=fields, required=list(fields)[:2])
    result = fuse(drafts, response_format=format_)
    asked = Schema.of(format_)
    assert asked is not None
    assert result is None or asked.permits(json.loads(result.text))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60 + "]" * 60,
        '{"a": NaN}',
        '{"a": Infinity, "b": -Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "9" * 4000 + "}",
        '{"a": 1e308, "b": 1e-400, "c": -0.0}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"a": "tab\there"}',
        '{"a": 1,}',
        '{"": {"": ""}}',
        '{"a": "' + "x" * 1_000_000 + '"}',
        "\x00",
        "[]",
        "",
    ],
)
def test_hostile_json_is_survived(text: str) -> None:
    survived(text)


@pytest.mark.parametrize(
    ("start", "piece", "middle", "end"),
    [
        ("", "[", "", ""),
        ("", '{"a":', "1", "}"),
        ('{"a": "', "x", '"}', ""),
        ("", "```json\n", "", ""),
        ("```\n", "\n", "", ""),
    ],
)
def test_long_hostile_json_takes_linear_time(start: str, piece: str, middle: str, end: str) -> None:
    quarter, whole = (start + piece * n + middle + end * n for n in (5000, 20_000))
    assert growth(survived, quarter, whole) < LINEAR


def survived(text: str) -> None:
    for drafts in ([text, text], [text, '{"a": 1}'], [text, text, '{"a": 1}']):
        result = fuse(of(*drafts))
        assert result is None or json.loads(result.text, parse_constant=int) is not None


def test_odd_weights_are_survived() -> None:
    odd = [float("nan"), float("inf"), float("-inf")]
    assert fused({"a": 1}, {"a": 2}, {"a": 3}, weights=odd).text == '{"a": 2}'


def test_large_answers_are_fused_in_linear_time() -> None:
    whole = [{"id": n, "v": n * n, "w": f"item {n}"} for n in range(2000)]

    def fused_whole(table: list[dict[str, object]]) -> None:
        assert value(table, table[:-1], table[1:]) == table

    assert growth(fused_whole, whole[:500], whole) < LINEAR
