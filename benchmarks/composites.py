"""Composite prompts built from recorded queries, and single prompts that only look composite.

    python benchmarks/composites.py FOLDER --out FILE --phrasings train|held-out --count 400
    python benchmarks/composites.py FOLDER --measure [--phrasings …]   # the fast splitter's figures

FOLDER holds recorded outcomes (only its queries are read). A third of the lines each are
composites of 2 to 5 queries, recorded single prompts, and made-up look-alikes; the latter two have
``parts: null``. Phrasings and look-alikes for training and those held out are disjoint.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pyarrow import parquet

from emafusion.evaluate.composites import Composite, measure, write
from emafusion.understand.splitting import parts_of

Phrase = Callable[[Sequence[str]], str]

ORDINALS = ("first", "second", "third", "fourth", "fifth")
CARDINALS = ("zero", "one", "two", "three", "four", "five")
ROMAN = ("I", "II", "III", "IV", "V")


def labels(label: str, *, before: str = "", after: str = "", gap: str = "\n\n") -> Phrase:
    """A list whose items start with `label`, where {n} {a} {A} {r} {R} {o} {O} count them."""

    def phrase(parts: Sequence[str]) -> str:
        items = []
        for i, part in enumerate(parts):
            names = {
                "n": str(i + 1),
                "a": "abcde"[i],
                "A": "ABCDE"[i],
                "r": ROMAN[i].lower(),
                "R": ROMAN[i],
                "o": ORDINALS[i],
                "O": ORDINALS[i].capitalize(),
                "N": CARDINALS[i + 1].capitalize(),
                "k": str(len(parts)),
            }
            items.append(label.format(**names) + part)
        count = {"k": CARDINALS[len(parts)], "K": CARDINALS[len(parts)].capitalize()}
        return before.format(**count) + gap.join(items) + after.format(**count)

    return phrase


def joints(
    middle: str, *, first: str = "", last: str | None = None, before: str = "", after: str = ""
) -> Phrase:
    """Asks joined by `middle`, the last one by `last`."""

    def phrase(parts: Sequence[str]) -> str:
        count = {"k": CARDINALS[len(parts)], "K": CARDINALS[len(parts)].capitalize()}
        text = before.format(**count) + first + parts[0]
        for part in parts[1:-1]:
            text += middle + part
        return text + (middle if last is None else last) + parts[-1] + after.format(**count)

    return phrase


def around(opening: str, closing: str, *, before: str = "", after: str = "") -> Phrase:
    """Every ask between tags that may count with {n}."""

    def phrase(parts: Sequence[str]) -> str:
        items = [
            opening.format(n=n) + part + closing.format(n=n) for n, part in enumerate(parts, 1)
        ]
        return before + "\n".join(items) + after

    return phrase


def as_array(parts: Sequence[str]) -> str:
    return "Answer every question in this list:\n" + json.dumps(list(parts), ensure_ascii=False)


def as_object(parts: Sequence[str]) -> str:
    named = {f"question_{n}": part for n, part in enumerate(parts, 1)}
    return json.dumps(named, ensure_ascii=False, indent=1)


def as_records(parts: Sequence[str]) -> str:
    rows = [{"id": n, "prompt": part} for n, part in enumerate(parts, 1)]
    return "Please respond to each request below.\n" + json.dumps({"requests": rows})


TRAIN: Mapping[str, Phrase] = {
    "dots": labels("{n}. "),
    "dots announced": labels("{n}. ", before="Please answer these {k} questions:\n\n"),
    "brackets": labels("{n}) ", before="Could you help me with the following?\n", gap="\n"),
    "round": labels("({n}) ", before="Answer all of the following.\n"),
    "inline": labels("({n}) ", before="I have {k} unrelated questions: ", gap=" "),
    "inline dots": labels("{n}. ", gap=" ", after=" Please answer all of them."),
    "colons": labels("{n}: ", after="\n\nThanks!"),
    "hashes": labels("#{n} ", before="Hi! {K} things today.\n\n"),
    "Q": labels("Q{n}: ", gap="\n"),
    "Q dots": labels("Q{n}. ", after="\n\nGive the answers one after the other."),
    "Question": labels("Question {n}: "),
    "Question line": labels("Question {n}\n", before="Solve these problems.\n\n"),
    "Task dash": labels("Task {n} - ", after="\n\nNumber your answers."),
    "Part": labels("Part {A}: ", before="This has {k} parts.\n"),
    "letters": labels("{a}) ", before="Answer the {k} questions below.\n\n"),
    "capitals": labels("{A}. ", before="Please handle each of these {k} requests separately.\n\n"),
    "small roman": labels("{r}. ", before="Here are {k} problems for you.\n\n"),
    "roman": labels("{R}. ", before="Answer these {k} questions:\n\n"),
    "heading": labels("## Question {n}\n"),
    "bold": labels("**Problem {n}**\n", before="Work through the problems below.\n\n"),
    "ordinal": labels("{O} question: ", gap="\n"),
    "ordinal comma": labels("{O}, ", gap="\n\n"),
    "of": labels("Question {n} of {k}: "),
    "hyphens": labels("- ", before="Please answer the following {k} questions:\n", gap="\n"),
    "stars": labels("* ", before="I need answers to all of these:\n\n"),
    "dots round": labels("• ", before="{K} questions:\n", gap="\n", after="\nThank you!"),
    "rule": joints("\n\n---\n\n"),
    "stars rule": joints("\n***\n", before="Answer each question separately.\n***\n"),
    "equals rule": joints(
        "\n=====\n", after="\n=====\nPlease answer both or all of them in order."
    ),
    "next": joints("\n\nNext question: ", before="I have {k} questions. "),
    "also": joints("\n\nAlso, ", last="\n\nFinally, "),
    "first then finally": joints(" Then, ", first="First, ", last=" Finally, "),
    "addition": joints("\n\nIn addition: ", last="\n\nAnd another thing: "),
    "tags": around("<question>", "</question>"),
    "numbered tags": around("<q{n}>\n", "\n</q{n}>", before="Answer every question.\n"),
    "square tags": around("[Q{n}]", "[/Q{n}]", after="\nAnswer them one by one."),
    "array": as_array,
    "object": as_object,
    "paragraphs": joints("\n\n", before="Please answer these {k} questions.\n\n"),
    "lines": joints("\n", before="Please answer the following {k} questions:\n"),
    "plural paragraphs": joints("\n\n", before="I have a few questions.\n\n"),
    "repeated": labels("Question: ", gap="\n"),
}

HELD_OUT: Mapping[str, Phrase] = {
    "square": labels("[{n}] ", before="Hello, kindly respond to every item.\n"),
    "slash": labels("{n}/ ", gap="\n"),
    "exercise": labels("Exercise {n}.\n", before="Homework help, please!\n\n"),
    "shouted": labels("PROBLEM {N}: ", gap="\n"),
    "item hash": labels("Item #{n} -- ", after="\n\nKeep the replies in the same order."),
    "level three": labels("### {n}. ", before="You will find {k} tasks below.\n\n"),
    "my": labels("My {o} question is: ", gap="\n"),
    "German": labels("Frage {n}: ", before="Bitte beantworte die folgenden Fragen:\n"),
    "Spanish": labels("Pregunta {n}: "),
    "arrows": labels("→ ", before="Quick batch of {k} questions for you.\n", gap="\n"),
    "bold number": labels("**{n}.** "),
    "inline Q": labels("Q{n}) ", gap=" "),
    "one more": joints("\n\nOne more question: ", last="\n\nLast one: "),
    "to begin": joints("\n\nNext, ", first="To begin with, ", last="\n\nLastly, "),
    "unrelated": joints("\n\nOn an unrelated note, ", before="Hi there! "),
    "bars": joints(" || ", before="Respond to each: "),
    "tildes": joints("\n~~~~~~\n"),
    "task tags": around('<task id="{n}">', "</task>", before="Complete all tasks.\n"),
    "records": as_records,
    "after all": joints("\n\n", after="\n\nPlease answer all {k} questions above, separately."),
}

HEADINGS = ("Warm-up", "Main course", "A side issue", "For Priya", "Leftovers")
ENGLISH_FRENCH_GERMAN = ("First question: ", "Deuxième question : ", "Dritte Frage: ",
                         "Cuarta pregunta: ", "Fifth question: ")  # fmt: skip
ASKERS = ("My boss wants to know:", "My sister asks:", "A colleague asks:", "The client asks:",
          "My neighbour wants to know:")  # fmt: skip


def under(heads: Sequence[str], *, before: str = "", gap: str = "\n\n") -> Phrase:
    """Every ask behind a head of its own."""

    def phrase(parts: Sequence[str]) -> str:
        return before + gap.join(head + part for head, part in zip(heads, parts, strict=False))

    return phrase


def as_table(parts: Sequence[str]) -> str:
    rows = [f"| {n} | {' '.join(part.split())} |" for n, part in enumerate(parts, 1)]
    return "Please answer what is in this table.\n\n| # | question |\n|---|---|\n" + "\n".join(rows)


FRESH: Mapping[str, Phrase] = {
    "mail in prose": joints(
        "\n\nThe next thing is this: ",
        first="The first thing: ",
        before="Hi team,\n\nHope you are well. I need to sort out {k} things before Friday.\n\n",
        after="\n\nBest wishes,\nMara",
    ),
    "mail with a list": labels(
        "{n}. ",
        before="Dear assistant,\n\nCould you look at these when you have a minute?\n\n",
        after="\n\nKind regards,\nTariq Okafor\nHead of Operations",
    ),
    "do the following": joints("\nAlso: ", before="Please do the following: "),
    "indented": labels("  {n}) ", before="Please take care of:\n", gap="\n"),
    "topic headings": under([f"## {head}\n\n" for head in HEADINGS]),
    "number headings": labels("# Number {N}\n\n"),
    "blank lines": joints("\n\n"),
    "languages": under(ENGLISH_FRENCH_GERMAN),
    "French list": labels("{n}) ", before="Bonjour ! Voici mes {k} questions :\n", gap="\n"),
    "Q in line": labels("Q{n}: ", gap=" "),
    "table": as_table,
    "boxes": labels("- [ ] ", before="To do today:\n", gap="\n"),
    "ordinals": under(["Firstly, ", "Secondly, ", "Thirdly, ", "Fourthly, ", "Fifthly, "]),
    "postscripts": under(["", "PS: ", "PPS: ", "PPPS: ", "PPPPS: "]),
    "askers": under([f"{asker} " for asker in ASKERS], gap="\n"),
}

CITIES = ("Lima", "Oslo", "Cairo", "Quito", "Hanoi", "Perth", "Lagos", "Turin")
NAMES = ("Mara", "Ivo", "Lena", "Otis", "Priya", "Sven", "Tariq", "Wanda")
TOPICS = ("tides", "glaciers", "bread", "violins", "bees", "canals", "comets", "moss")

LOOKS_TRAIN: Sequence[str] = (
    "Sort these by length:\n1. {t0}\n2. {t1} and {t2}\n3. {t3}",
    "Which of the following statements is true?\n(1) {t0} are older than {t1}.\n(2) {t1} are red.\n"
    "(3) Neither.",
    "Translate these questions into French:\n1. What is the capital of the country of {c0}?\n"
    "2. Where do {t0} come from?\n3. How far is {c1}?",
    "Which of these questions is the hardest?\n1. What causes {t0}?\n2. Who studies {t1}?",
    "Write a Python function that does the following:\n1. Read a file.\n2. Count its lines.\n"
    "3. Print the count.",
    "{n0} has {i} marbles. How many does {n0} have after giving away 3, and then how many are left "
    "when {n1} takes half of the rest?",
    "{n0} buys {i} apples and {n1} buys twice as many. How many apples do they have together? "
    "Then, how many would each get if they shared with a friend?",
    "Read the passage and answer.\n\nThe {t0} near {c0} were studied by {n0} for {i} years.\n\n"
    "1. Who studied the {t0}?\n2. For how long did the study last?\n3. Near which city was it?",
    "Which is a city in Europe?\nA. {c0}\nB. {c1}\nC. {c2}\nD. {c3}",
    "Consider the statements.\nI. All {t0} are {t1}.\nII. Some {t1} are {t2}.\nIII. No {t2} are "
    "{t0}.\nWhich can be true together?",
    "Q: What is the capital near {c0}?\nA: {c1}\nQ: What do people in {c2} like?\nA: {t0}\n"
    "Q: Who was {n0}?\nA:",
    'Convert this JSON to YAML:\n{{"q1": "What are {t0}?", "q2": "What are {t1}?"}}',
    "Fix this code:\n```python\n# 1. What is x?\nx = {i}\n# 2. What is y?\ny = x + 1\n```",
    "# 1. Load the data\nrows = load('{t0}')\n# 2. Print the rows\nprint(rows)",
    "Give me a recipe for {t0} soup: first, list the ingredients; then, explain the steps; "
    "finally, suggest a wine.",
    "Write an essay on {t0}. First, introduce the subject. Second, discuss {t1}. "
    "Finally, conclude.",
    "Let f(x) = x^2 + {i}.\n(a) Find f'(x).\n(b) Find where f is least.\n(c) Sketch f.",
    "A train leaves {c0} at 9:00 at {i} km/h.\n1. When does it reach {c1}, 300 km away?\n2. How "
    "late is it if it stops for ten minutes?",
    "Here is my shopping list:\n- milk\n- {t0}\n- eggs\n\nWhat can I cook with these?",
    "Rank these interview questions by difficulty:\n- What is your name?\n- Why do you like {t0}?\n"
    "- How would you explain {t1} to a child?",
    "I visited {c0}. Also, I saw {c1}. Finally, I went to {c2}. What should I see in {c3}?",
    "What are {t0}? Also, how do they differ from {t1}?",
    "Summarise the following notes:\n1. Meeting with {n0} about {t0}.\n2. Call {n1} in {c0}.\n"
    "3. Write the report on {t1}.",
    "Write a poem about {t0}. Then translate it into Spanish.",
    "Answer in three steps: 1. Restate the question. 2. Think. 3. Conclude. The question: why are "
    "there {t0} in {c0}?",
    "How do I remove {t0} from a roof? I tried water. I tried salt. What else is there?",
    'Grade these answers to the question "What are {t0}?"\n1. They are {t1}.\n2. Who knows?\n'
    "3. Are they not like {t2}?",
    "Classify each question as polite or rude:\n1) Could you tell me about {t0}?\n2) What do you "
    "want from {c0}?\n3) Where is {n0}?",
)

LOOKS_HELD_OUT: Sequence[str] = (
    "Proofread this list of questions for my quiz:\n1. Whats the capitol of {c0}?\n2. Who descover"
    "ed {t0}?",
    "Write a survey with these questions:\n- Do you like {t0}?\n- How often do you visit {c0}?",
    "My teacher asked: 1. What are {t0}? 2. What are {t1}? How do I tell her that I was ill?",
    "{n0} walks {i} km. {n1} walks twice as far. How far does {n1} walk? And how far do both walk?",
    "Given premises 1) all {t0} are {t1}, 2) no {t1} are {t2}, what follows about {t0} and {t2}?",
    "Plan a trip to {c0}. Day 1: museums. Day 2: food. Day 3: find something for children.",
    "Explain step by step how to bake with {t0}. Next, give the oven "
    "settings, and lastly the time.",
    "Suppose {n0} tosses a coin {i} times.\na. What is the expected number of heads?\nb. What is "
    "the variance?\nc. How does it change if the coin is biased?",
    "Pick the odd one out: (a) {t0} (b) {t1} (c) {c0} (d) {t2}",
    "Here are examples.\nInput: What are {t0}?\nOutput: question\nInput: Go to {c0}!\n"
    "Output: order\n"
    "Input: Where is {n0}?\nOutput:",
    "Turn the questions in <q>What are {t0}?</q> and <q>Where is {c0}?</q> into statements.",
    "How many words are in the following?\n\nWhat are {t0}?\n\nWhere is {c0}?",
    "Compare {c0} and {c1}:\n* Which is larger?\n* Which has better food?\n* Which is cheaper?",
    "Do not answer these questions, only say which is about nature:\n1. What are {t0}?\n2. Who is "
    "the mayor of {c0}?",
    "Draft an email to {n0}. Include: 1. a greeting 2. an apology for the {t0} 3. a date to meet "
    "in {c0}",
)


LOOKS_FRESH: Sequence[str] = (
    "Bread with {t0}\n\nIngredients:\n- 500 g flour\n- 10 g salt\n- {i} g yeast\n\nSteps:\n1. "
    "Mix everything.\n2. Knead for ten minutes.\n3. Let it rest.\n4. Bake for {i} minutes.\n\n"
    "How can I make this without yeast?",
    "Explain this clause to {n0}:\n\n4.1 The Tenant shall (a) pay rent on time; (b) keep the "
    "{t0} clean; and (c) give notice of {i} days.\n4.2 The Landlord may enter at any reasonable "
    "time.",
    "1. The Seller shall deliver the {t0} to {c0}.\n2. The Buyer shall pay within {i} days.\n3. "
    "This agreement is governed by the law of {c1}.\n\nWhat happens if the Buyer pays late?",
    "What does this print?\n\ndef f(x):\n    # Step 1: double\n    y = 2 * x\n    # Step 2: "
    "add\n    return y + {i}\n\nprint(f(3))",
    "Here is main.py:\n\nimport sys\n\nfor line in sys.stdin:\n    print(line)\n\nand here is "
    "run.sh:\n\npython main.py < {t0}.txt\n\nWhy is every line followed by an empty one?",
    "1. {n0} is older than {n1}.\n2. {n1} is older than {n2}.\n3. {n3} is younger than {n2}.\n"
    "Who is the oldest?",
    "Fact 1: {n0} lives in {c0}.\nFact 2: Everyone in {c0} keeps {t0}.\nFact 3: Whoever keeps "
    "{t0} sleeps badly.\nQuestion: Does {n0} sleep badly?",
    "{n0}: How was {c0}?\n{n1}: Wonderful! Did you see the {t0}?\n{n0}: No, where are they?\n"
    "{n1}: Near the harbour.\n\nWhat did {n0} miss?",
    "Interviewer: Why do you want this job?\nCandidate: Because of the {t0}.\nInterviewer: Where "
    "do you see yourself in five years?\nCandidate: In {c0}.\n\nHow could the candidate answer "
    "better?",
    "Which of the following is true of {t0}?\n\n(i) They are found near {c0}.\n(ii) They are {i} "
    "years old.\n\nA. only (i)\nB. only (ii)\nC. both\nD. neither",
    "Question 3 ({i} points). A ball is thrown upward at {i} m/s.\n(a) How high does it rise?\n"
    "(b) How long is it in the air?\n(c) How fast is it when it lands?",
    "> On Monday {n0} wrote:\n> Could you send me the report on {t0}?\n> Also, when is the "
    "meeting in {c0}?\n\nHow do I politely say that I need another week?",
    "Help me answer this mail:\n\nDear {n0},\n\nWhen will the {t0} be delivered? Also, could you "
    "tell me who signs for them?\n\nRegards,\n{n1}",
    "Write a FAQ page for a shop that sells {t0}. It should answer:\n- Where do you ship?\n- How "
    "do I return an item?\n- Do you have a store in {c0}?",
    "I have two children, {n0} and {n1}. {n0} is {i} months old. First, she refused to eat. Then "
    "she began to cry at night. Finally, she got a rash. What should I do?",
    "My project:\n\n## Background\n\nWe count {t0} near {c0}.\n\n## Methods\n\nWe asked {i} "
    "people what they saw.\n\n## Results\n\nMost saw nothing.\n\nWrite an abstract for it.",
    "Create a quiz about {t0} with {i} questions. For each question: 1. give four options, 2. "
    "mark the right one, 3. explain why it is right.",
    "- [x] buy {t0}\n- [ ] call {n0}\n- [ ] book the flight to {c0}\n\nTurn my list into a "
    "polite message to my assistant.",
    "What is wrong with my argument? First, all {t0} are old. Second, what is old is fragile. "
    "Therefore {t0} are fragile.",
    "| name | city |\n|---|---|\n| {n0} | {c0} |\n| {n1} | {c1} |\n\nWho lives in {c1}?",
    "{n0} asks: what are {t0}? {n1} asks: where is {c0}? Who of them asks about nature?",
    "I want to learn about {t0}.\n\nI have read {i} books already.\n\nWhat should I read "
    "next?\n\nI prefer short books.",
    "How do {t0} form?\n\nAnd why do they differ so much between {c0} and {c1}?",
)


def look_alike(template: str, rng: random.Random) -> str:
    fills: dict[str, object] = {"i": rng.randint(12, 96)}
    for letter, stock in (("c", CITIES), ("n", NAMES), ("t", TOPICS)):
        chosen = rng.sample(stock, 4)
        fills |= {f"{letter}{at}": word for at, word in enumerate(chosen)}
    return template.format(**fills)


SETS: Mapping[str, tuple[Mapping[str, Phrase], Sequence[str]]] = {
    "train": (TRAIN, LOOKS_TRAIN),
    "held-out": (HELD_OUT, LOOKS_HELD_OUT),
    "fresh": (FRESH, LOOKS_FRESH),
}


def build(
    rows: Sequence[Mapping[str, str]], phrasings: str, *, count: int, seed: int
) -> list[Composite]:
    """`count` lines; the same for the same rows and seed."""
    rng = random.Random(f"{seed} {phrasings}")
    phrases, looks = SETS[phrasings]
    phrasing = list(phrases.items())
    by_kind: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["query_id"]):
        by_kind[row["task"], row["subtask"]].append(row)
    kinds = sorted(by_kind)
    found = []
    for at in range(count):
        if at % 3 == 0:
            name, phrase = phrasing[at // 3 % len(phrasing)]
            size = rng.randint(2, 5)
            few = rng.sample(kinds, min(size, len(kinds)))
            chosen = [rng.choice(by_kind[few[i % len(few)]]) for i in range(size)]
            parts = tuple(row["query_id"] for row in chosen)
            prompt = phrase([row["prompt"].strip() for row in chosen])
            found.append(Composite(prompt=prompt, parts=parts, phrasing=name))
        elif at % 3 == 1:
            row = rng.choice(by_kind[rng.choice(kinds)])
            found.append(Composite(prompt=row["prompt"], parts=None, phrasing="recorded"))
        else:
            place = at // 3 % len(looks)
            prompt = look_alike(looks[place], rng)
            found.append(Composite(prompt=prompt, parts=None, phrasing=f"look-alike {place}"))
    return found


def report(built: Sequence[Composite], rows: Sequence[Mapping[str, str]], *, shown: int) -> None:
    prompts = {row["query_id"]: row["prompt"] for row in rows}
    splits = [parts_of(each.prompt) for each in built]
    for name, value in json.loads(json.dumps(_fields(measure(built, splits, prompts)))).items():
        print(f"{name:15} {value:.4f}" if isinstance(value, float) else f"{name:15} {value}")
    wrong: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for each, split in zip(built, splits, strict=True):
        total[each.phrasing] += 1
        one = measure([each], [split], prompts)
        bad = one.false_splits > 0 or (each.parts is not None and one.recovered < 1)
        wrong[each.phrasing] += bad
        if bad and shown > 0:
            shown -= 1
            print(f"===== {each.phrasing}\n{each.prompt}\n>>>>> {split}\n")
    print({name: f"{count}/{total[name]}" for name, count in wrong.most_common() if count})
    singles = [(row, parts_of(row["prompt"])) for row in rows]
    bad_rows = [row for row, split in singles if split is not None]
    print(f"all {len(rows)} recorded single prompts: {len(bad_rows)} split")
    for row in bad_rows:
        print(f"  {row['query_id']}: {row['prompt'][:160]!r}")


def _fields(measures: object) -> dict[str, float]:
    return {name: getattr(measures, name) for name in measures.__struct_fields__}  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--phrasings", choices=tuple(SETS), default="train")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--show", type=int, default=0, help="how many failures to print")
    asked = parser.parse_args()
    columns = ["query_id", "task", "subtask", "prompt"]
    rows = parquet.read_table(asked.folder / "queries.parquet", columns=columns).to_pylist()
    built = build(rows, asked.phrasings, count=asked.count, seed=asked.seed)
    if asked.out:
        write(asked.out, built)
    if asked.measure:
        report(built, rows, shown=asked.show)


if __name__ == "__main__":
    main()
