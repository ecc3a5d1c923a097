"""The fast splitter: many ways to ask several things, and what only looks like them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.understand.splitting import parts_of
from growth import LINEAR, growth

APPLES = (
    "Tom picked 12 apples in the garden and gave a third of them to his sister Ann.\n"
    "How many apples does Tom have left in the end?"
)
GLACIER = (
    "Which of the following best defines a glacier in modern geology?\n"
    "(A) a frozen lake\n(B) moving land ice\n(C) a cold current\n(D) a kind of hail"
)
CODE = (
    "You are given a Python function. Complete the assertion with a literal.\n\n"
    "[PYTHON]\ndef f(x):\n    # 1. What is x?\n    return x + 1\nassert f(1) == ??\n[/PYTHON]"
)
POEM = "Write a poem of eight lines about the harbour of Lisbon in winter, without any rhymes."
ALL = (APPLES, GLACIER, CODE, POEM)

PHRASED = {
    "numbers": f"1. {APPLES}\n\n2. {GLACIER}\n\n3. {CODE}\n\n4. {POEM}",
    "brackets": f"Answer these 4 questions:\n1) {APPLES}\n2) {GLACIER}\n3) {CODE}\n4) {POEM}",
    "inline": f"I have four questions: (1) {APPLES} (2) {GLACIER} (3) {CODE} (4) {POEM}",
    "worded": f"Q1: {APPLES}\nQ2: {GLACIER}\nQ3: {CODE}\nQ4: {POEM}\n\nThanks a lot!",
    "headings": "\n\n".join(
        f"## Task {letter}\n{each}" for letter, each in zip("ABCD", ALL, strict=True)
    ),
    "letters": f"Answer all four.\n\nA. {APPLES}\n\nB. {GLACIER}\n\nC. {CODE}\n\nD. {POEM}",
    "bullets": f"Handle these four requests:\n- {APPLES}\n- {GLACIER}\n- {CODE}\n- {POEM}",
    "rules": "\n\n---\n\n".join(ALL) + "\n\n---\n\nPlease answer all four.",
    "ordinals": f"First, {APPLES}\n\nSecond, {GLACIER}\n\nThird, {CODE}\n\nFinally, {POEM}",
    "also": f"{APPLES}\n\nAlso, {GLACIER}\n\nIn addition: {CODE}\n\nAnd one last thing: {POEM}",
    "tags": "".join(f"<question>\n{each}\n</question>\n" for each in ALL),
    "array": "Answer each question in this list:\n" + json.dumps(ALL),
    "paragraphs": "I have four questions.\n\n" + "\n\n".join(ALL),
    "closing": f"1. {APPLES}\n2. {GLACIER}\n3. {CODE}\n4. {POEM}\n\nNumber your answers.",
}


@pytest.mark.parametrize("name", PHRASED)
def test_every_part_comes_back_as_it_was_asked(name: str) -> None:
    split = parts_of(PHRASED[name])
    assert split is not None
    assert [part.text for part in split.parts] == list(ALL)
    assert split.source == "fast"
    assert all(part.after == () for part in split.parts)


LOOK_ALIKE = {
    "each alone 1": APPLES,
    "each alone 2": GLACIER,
    "each alone 3": CODE,
    "data": "Sort these by length:\n1. What is a sea?\n2. Who was the first king of Spain?",
    "translate": "Translate these questions into French:\n1. Where is Oslo?\n2. Who is Ann?",
    "statements": "Which of these is true?\n(1) Bees fly.\n(2) Fish sing.\n(3) Neither.",
    "one story": "A train leaves at 9:00.\n1. When does it arrive?\n2. How late is it?",
    "multi-hop": "Ann has 3 pens. How many has she after buying 2? And then how many are blue?",
    "leaning": "What are tides? Also, how do they differ from waves?",
    "few shots": "Q: What is 2+2?\nA: 4\nQ: What is 3+3?\nA: 6\nQ: What is 4+4?\nA:",
    "steps": "Write a program that does this:\n1. Read a file.\n2. Count lines.\n3. Print it.",
    "roman": "Consider:\nI. All cats purr.\nII. Some dogs purr.\nWhich can be false?",
    "json": 'Convert to YAML:\n["What is the sea?", "Who was the first king of Spain?"]',
    "passage": "Ann moved to Rome in 1990 and wrote books.\n1. Where did Ann move?\n2. What for?",
    "count": f"Answer these three questions.\n1. {APPLES}\n2. {POEM}",
    "nine": "\n".join(f"{n}. What is the square of the number {n}?" for n in range(1, 10)),
    "rank": "Rank by difficulty:\n- What is love?\n- Who wrote Hamlet?",
    "quoted": "> On Monday Ann wrote:\n> Could you call me?\n> Also, when do we meet?\n\nHow do I "
    "say that I am ill?",
    "sections": "## Task\nWhat is a sea?\n\n## Rules\nCan you rhyme?",
    "sentences": "Nick compares jobs. Job A pays 10 an hour. Job B pays 12. Which one is better?",
    "one announced": "Answer the following question.\n\nHow do I sort?\nI tried it.\nIs it bad?",
    "table of data": "| name | town |\n|---|---|\n| Ann | Oslo |\n| Bob | Rome |\n\nWho is Ann?",
    "done boxes": "- [x] buy milk\n- [ ] call Ann\n\nTurn my list into a message.",
    "empty": "",
}


@pytest.mark.parametrize("name", LOOK_ALIKE)
def test_what_only_looks_composite_is_left_whole(name: str) -> None:
    assert parts_of(LOOK_ALIKE[name]) is None


def test_a_part_that_names_an_earlier_one_comes_after_it() -> None:
    split = parts_of(
        "Task 1: What is the area in square metres of a field of 40 by 30 metres?\n"
        "Task 2: Name the longest river of the continent of South America, please.\n"
        "Task 3: Divide the result of task 1 by the number of days in a leap year."
    )
    assert split is not None
    assert [part.after for part in split.parts] == [(), (), (0,)]


def test_a_part_that_names_a_later_one_is_not_split() -> None:
    text = "Task 1: Double the result of task 2. How much?\nTask 2: What is 3 + 4 in binary digits?"
    assert parts_of(text) is None


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    split = parts_of(text)
    assert split is None or 2 <= len(split.parts) <= 8


LABELS = st.sampled_from(["1. ", "2. ", "3) ", "(a) ", "- ", "First, ", "Also, ", "Q1: ", "---\n"])
CHUNKS = st.sampled_from([*ALL, "\n", " ", "Thanks!", "Which is best?", "[", "{", "<q>", "</q>"])


@settings(max_examples=100, deadline=None)
@given(st.lists(LABELS | CHUNKS, max_size=14))
def test_parts_are_excerpts_and_come_after_earlier_ones_only(chunks: list[str]) -> None:
    text = "".join(chunks)
    split = parts_of(text)
    if split is not None:
        plain = " ".join(text.split())
        assert 2 <= len(split.parts) <= 8
        for place, part in enumerate(split.parts):
            assert part.text
            assert " ".join(part.text.split()) in plain
            assert all(0 <= each < place for each in part.after)


HOSTILE = (
    "Aa, ",
    "1.\n",
    "<a>",
    " ",
    "\n",
    "\t \n",
    "- - ",
    "First second ",
    "(A) x\n(B) y\n",
    "[",
)


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("most", [10_000, 100_000])
def test_a_hostile_prompt_takes_linear_time(unit: str, most: int) -> None:
    quarter, whole = (unit * (size // len(unit)) for size in (most // 4, most))
    assert growth(parts_of, quarter, whole) < LINEAR


TWO = "1. What is DNA?\n2. Who wrote the opera Carmen?"


@pytest.mark.parametrize(
    "prompt",
    [
        f"Answer both questions in valid JSON.\n{TWO}",
        f"Answer all in one JSON object.\n{TWO}",
        f"Answer both questions in 50 words.\n{TWO}",
        f"Answer without repeating yourself:\n{TWO}",
        f"Answer in French, except the second.\n{TWO}",
        f"Each answer must rhyme with the previous one.\n{TWO}",
        f"Answer these and say which is the hardest, in one word.\n{TWO}",
        f"Use only the text below.\nCarmen is by Bizet.\n{TWO}",
        f"{TWO}\n3. What is ATP?\n\nAnswer only the third question.",
        f"{TWO}\nWrite all the answers as a poem.",
        f"{TWO} Write all the answers as a poem.",
        f"{TWO}\n\nAnswer in French.",
        "Reply to this email:\n\nHi Bob,\n1. Can you send it?\n2. When is it due?\n\nThanks, Al",
    ],
)
def test_words_that_bind_the_answers_together_keep_the_prompt_whole(prompt: str) -> None:
    assert parts_of(prompt) is None


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (f"Answer each in one word.\n{TWO}", "Answer in one word."),
        (f"Be concise and reply in German.\n{TWO}", "Be concise and reply in German."),
        (
            f"You are a pirate. Answer in pirate speak:\n{TWO}",
            "You are a pirate. Answer in pirate speak.",
        ),
        (
            f"{TWO}\n\nAnswer both questions in at most ten words each.",
            "Answer in at most ten words.",
        ),
        (f"{TWO} Answer each in one word.", "Answer in one word."),
        (f"Answer each question as a JSON list:\n{TWO}", "Answer as a JSON list."),
        (f"Please answer these questions in French.\n\n{TWO}", "Please answer in French."),
        (f"For each question, give only the final answer:\n{TWO}", "Give only the final answer."),
        (f"{TWO}\n\nKeep your answers short.", "Keep your answer short."),
    ],
)
def test_words_that_bind_each_answer_go_to_every_part(prompt: str, told: str) -> None:
    split = parts_of(prompt)
    assert split is not None
    assert [part.text for part in split.parts] == [
        f"{told}\n\nWhat is DNA?",
        f"{told}\n\nWho wrote the opera Carmen?",
    ]


SIGNED = "Hi,\n\nCould you look at these questions?\n\n{}\n\nKind regards,\nAnn\nHead of Sales"
FRAMED = {
    "signed": SIGNED.format(f"1. {APPLES}\n\n2. {GLACIER}"),
    "boxes": f"Please answer these questions:\n- [ ] {APPLES}\n- [ ] {GLACIER}",
    "topics": f"## Fruit\n\n{APPLES}\n\n## Ice\n\n{GLACIER}",
    "postscript": f"{APPLES}\n\nPS: {GLACIER}",
    "languages": f"Erste Frage: {APPLES}\nDeuxième question : {GLACIER}",
}


@pytest.mark.parametrize("name", FRAMED)
def test_what_frames_a_list_is_no_part_of_it(name: str) -> None:
    split = parts_of(FRAMED[name])
    assert split is not None
    assert [part.text for part in split.parts] == [APPLES, GLACIER]


def test_the_rows_of_a_table_are_asks() -> None:
    text = "| no | question |\n|---|---|\n| 1 | How deep is it? |\n| 2 | Who wrote Carmen? |"
    split = parts_of(text)
    assert split is not None
    assert [(part.label, part.text) for part in split.parts] == [
        ("1.", "How deep is it?"),
        ("2.", "Who wrote Carmen?"),
    ]


def test_a_mail_to_work_on_keeps_its_thanks() -> None:
    mail = "Make this mail polite.\n\nHi Bob,\nI need a week off.\nThank you for your time,\nAnn"
    split = parts_of(f"Q1: {APPLES}\nQ2: {mail}")
    assert split is not None
    assert split.parts[1].text == mail


@pytest.mark.parametrize("prompt", ["1. ١", "1. What is x? ٣. Why?", "१. a?\n२. b?"])
def test_digits_of_other_scripts_are_read(prompt: str) -> None:
    parts_of(prompt)
