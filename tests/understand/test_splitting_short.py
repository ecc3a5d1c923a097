"""Short asks: the everyday ways of listing them, and what looks as short but is one ask."""

from __future__ import annotations

import pytest

from emafusion.understand.splitting import parts_of

ASKED = (
    "Who painted Guernica?",
    "What is the boiling point of ethanol at sea level?",
    "How many legs does a spider have?",
)
TOLD = (
    "Translate 'good morning' into French.",
    "Compute the sum of the first ten primes.",
    "Explain why the sky is blue in two sentences.",
)
MIXED = (
    "Write a haiku about autumn leaves.",
    "A train leaves at 9:40 and takes 95 minutes. When does it arrive?",
    "List three prime numbers greater than 50.",
)
LAYOUTS = {
    "numbers": "1. {}\n2. {}\n3. {}",
    "numbers in a line": "1) {} 2) {} 3) {}",
    "letters in a line": "a. {}  b. {}  c. {}",
    "tasks": "Task A: {}\nTask B: {}\nTask C: {}",
    "bullets": "- {}\n- {}\n- {}",
    "bullets announced": "Please answer:\n- {}\n- {}\n- {}",
    "romans": "Please do the following: (i) {}; (ii) {}; (iii) {}",
    "words": "(one) {}\n\n(two) {}\n\n(three) {}",
    "headings": "## First\n{}\n\n## Second\n{}\n\n## Third\n{}",
    "lines": "{}\n{}\n{}",
    "first": "First, {} Then, {} Finally, {}",
    "first without commas": "First {} Then {} Finally {}",
    "also": "{} Also, {} And finally, {}",
    "after that": "{} After that, {} Once done, {}",
}


@pytest.mark.parametrize("asks", [ASKED, TOLD, MIXED])
@pytest.mark.parametrize("name", LAYOUTS)
def test_short_asks_come_apart(name: str, asks: tuple[str, ...]) -> None:
    split = parts_of(LAYOUTS[name].format(*asks))
    assert split is not None
    assert [part.text for part in split.parts] == list(asks)
    assert all(part.after == () for part in split.parts)


def test_questions_in_a_row_come_apart() -> None:
    split = parts_of(" ".join(ASKED))
    assert split is not None
    assert [part.text for part in split.parts] == list(ASKED)


def test_the_last_of_two_may_be_one_more_thing() -> None:
    split = parts_of("Hi! Who painted Guernica? Oh, and one more thing: what is 17*23?")
    assert split is not None
    assert [part.text for part in split.parts] == ["Who painted Guernica?", "what is 17*23?"]


@pytest.mark.parametrize(
    ("prompt", "after"),
    [
        (
            "First, find the longest river in Asia. Then, name three cities on its banks. "
            "Finally, translate 'good morning' into French.",
            [(), (0,), ()],
        ),
        (
            "First translate 'good morning' into French. Then compute 17*23. "
            "Finally, divide the result by 4.",
            [(), (), (1,)],
        ),
    ],
)
def test_a_step_that_builds_on_the_one_before_waits_for_it(
    prompt: str, after: list[tuple[int, ...]]
) -> None:
    split = parts_of(prompt)
    assert split is not None
    assert [part.after for part in split.parts] == after


def test_a_last_ask_in_common_words_is_not_lost() -> None:
    assert (
        parts_of("Simplify 18/24.\n***\nWho wrote Emma?\n***\nGive a synonym for 'happy'.") is None
    )


WHOLE = (
    (
        "Quiz: pick the right option.\n1. Who painted Guernica?\n(A) Picasso\n(B) Dali\n2. Who "
        "wrote Dracula?\n(A) Stoker\n(B) Shelley"
    ),
    "1. Preheat the oven to 200 degrees.\n2. Mix flour and butter.\n3. Bake for thirty minutes.",
    (
        "Translate this procedure into Spanish:\n1. Find the red valve.\n2. Determine the "
        "pressure in bar.\n3. Tell a supervisor."
    ),
    (
        "Prioritise my to-do list:\n- Write tests for the parser\n- Explain the outage to Ann\n"
        "- Find a venue for the party"
    ),
    (
        "Why do I sing of winter?\nWhy do I dream of spring?\nWho will hear the swallows?\n"
        "What will the morning bring?"
    ),
    (
        "You are a support agent.\n1. Find the order of the customer.\n2. Tell the customer "
        "when it arrives.\n3. Compute the refund."
    ),
    (
        "# 1. Find all files older than a week\n# 2. Compute their total size\n# 3. Explain "
        "what was removed"
    ),
    (
        "1. A ball is thrown upward at 20 m/s. How high does it rise?\n2. How long is the ball "
        "in the air?\n3. How fast is the ball on landing?"
    ),
    (
        "Rewrite these survey questions so that they sound neutral:\n- Who would ever dislike "
        "public parks?\n- Why do cyclists break rules?\n- How often does litter annoy "
        "neighbours?"
    ),
    (
        "1. Who painted Guernica?\n2. Who wrote Dracula?\n3. What is the boiling point of "
        "ethanol?\nAnswer the last of these questions only."
    ),
    "Agenda:\n- Why sales fell in May\n- Who leads the Oslo office\n- What is planned for June?",
    (
        "Find the derivative of f(x) = x^2 - 3x.\nFind the minimum of f.\nExplain whether f is "
        "convex."
    ),
    (
        "1. Write a tagline for a bakery named Sunny.\n2. Write a short description for "
        "Instagram.\n3. Suggest five hashtags."
    ),
    "What is the population of Norway? Also, what is the area? And finally, who is the king?",
    "How do I lose weight? Also, what foods should I avoid? And finally, how often should I run?",
    "Who wrote Dune? When did the film come out? Who directed it?",
    "What are the side effects of ibuprofen? What are common alternatives? How much is too much?",
    (
        "First, find the longest river in Asia. Then, name three cities on its banks. Finally, "
        "describe their climate."
    ),
    (
        "- Name the main characters of Hamlet\n- Explain the motive of the king\n- Describe "
        "the ending"
    ),
    (
        "Which of these is easiest?\n- Translate 'good morning' into French.\n- Compute the "
        "sum of the first ten primes.\n- Explain why the sky is blue."
    ),
    (
        "Choose one:\n1. Explain how tides form.\n2. Describe the life of bees.\n3. Define "
        "inflation in economics."
    ),
    (
        "Ask me these one at a time:\n1. Who painted Guernica?\n2. Who wrote Dracula?\n3. How "
        "many legs does a spider have?"
    ),
    (
        "1. Find the roots of x^2 - 5x + 6.\n2. Compute the sum of the roots.\n3. Explain the "
        "relation to Vieta."
    ),
    (
        "Let n be 12. Compute n squared. Then, compute the number of divisors of n. Finally, "
        "tell me whether n is abundant."
    ),
    "What causes tides? Why are spring tides higher? When do neap tides occur?",
    "Is Python fast? Also, are there alternatives? And finally, which companies use Python?",
    (
        "Here are three questions from my exam, are they too hard?\n1. Who painted Guernica?\n"
        "2. Who wrote Dracula?\n3. What causes tides on Earth?"
    ),
    "First, take a pen. Then, write a word on paper. Finally, describe the feeling of ink.",
    (
        "Complete the FAQ.\n- Where is the office?\n- Who runs the Oslo shop?\n- When does the "
        "shop open?"
    ),
    "Tom: Who painted Guernica?\nAnn: What is a painting?\nTom: Which museum is open?",
    (
        "- Design a database schema for a library\n- Write queries for overdue books\n- "
        "Explain which indexes help"
    ),
    (
        "Ann asked Bob three questions. Who painted Guernica? Who wrote Dracula? How many legs "
        "does a spider have? Bob knew one."
    ),
    (
        "Make flashcards:\n1. Who painted Guernica?\n2. Who wrote Dracula?\n3. How many legs "
        "does a spider have?"
    ),
    (
        "Summarise:\n- Who painted Guernica?\n- Who wrote Dracula?\n- How many legs does a "
        "spider have?"
    ),
    (
        "Who painted Guernica? Who wrote Dracula? How many legs does a spider have? Put these "
        "in order of difficulty."
    ),
    (
        "1. Who painted Guernica?\n2. Who wrote Dracula?\n3. How many legs does a spider have?"
        "\n\nWhich is the hardest?"
    ),
    (
        "Compute the mean of 3, 5 and 9. Then, compute the variance. Finally, explain the "
        "standard deviation."
    ),
    (
        "Explain how photosynthesis works. Also, describe the role of chlorophyll. Finally, "
        "name the stages."
    ),
    (
        "A farmer has 12 cows. How many legs are there? Also, how many horns? And finally, how "
        "many tails?"
    ),
    (
        "Consider a fair die.\n- What is the expected value of a roll?\n- How likely is an "
        "even number?\n- What is the variance of a roll?"
    ),
    (
        "Describe the causes of World War I. Then, explain the role of alliances. Finally, "
        "discuss consequences for Germany."
    ),
    (
        "1. Define recursion in programming.\n2. Explain a base case with an example.\n3. "
        "Write a factorial function in Python."
    ),
    (
        "Plan a trip:\n1. Find flights from Oslo to Rome.\n2. List hotels in Rome with pools.\n"
        "3. Compute the budget in euros."
    ),
    (
        "- Find cheap flights from Oslo in June\n- List hotels with pools near Colosseum\n- "
        "Estimate the budget in euros"
    ),
    "How tall is Everest? How does one climb it? What gear is needed?",
    "Who is the CEO? What products sell best? How large is revenue?",
    (
        "Write a story about a fox. Then, tell me which moral fits. Finally, translate the "
        "story into French."
    ),
    "If x = 5, what is 2x? Also, what is 3x? And finally, what is x squared?",
    (
        "Role: tutor\n- Explain fractions with pizza slices\n- Describe decimals with coins "
        "and notes\n- Name common errors of pupils"
    ),
    (
        "A car drives 60 km in one hour.\n1. What is the speed in metres per second?\n2. How "
        "long do 150 km take?\n3. Find the fuel used at 5 litres per 100 km."
    ),
    (
        "Name a composer born in Bonn. Also, name a symphony in D minor. And finally, describe "
        "the opening bars."
    ),
    (
        "1. Explain how vaccines work in children.\n2. Name common fevers after injections.\n"
        "3. Describe when parents should call doctors."
    ),
    (
        "Dinner:\n- Find a starter with beetroot\n- Suggest wines with fish\n- Name desserts "
        "without sugar"
    ),
    (
        "What is a noun? What is a verb? What is an adjective? These are the questions of "
        "chapter one."
    ),
    (
        "Explain why Rome fell. Then, explain why historians disagree. Finally, name sources "
        "from antiquity."
    ),
    "Who was the first to fly? Was it the Wrights? Or was it Santos-Dumont?",
    "Is the shop open on Sunday? Does parking cost money? Are dogs allowed inside?",
    "What happens when Alice meets the caterpillar? Who steals tarts? Why does Alice wake up?",
    "How does a car engine work? Which parts wear out first? Who repairs gearboxes cheaply?",
    (
        "First, explain what a binary tree is. Then, write code in Python that inserts nodes. "
        "Finally, estimate worst-case cost."
    ),
    "Explain Newton's first law.\nExplain Newton's second law.\nExplain Newton's third law.",
    (
        "1. Find the mass of 2 mol of water.\n2. Find the number of molecules in 2 mol of "
        "water.\n3. Convert 36 g to kg."
    ),
    (
        "Answer in one sentence: who wrote Dracula? Then, who painted Guernica? Finally, how "
        "many legs does a spider have?"
    ),
    "Say hello in French. Then, name a river in Asia. Finally, tell me a joke about cats.",
    (
        "Imagine a country called Zed with 5 million people.\n1. What is a fair tax rate?\n2. "
        "How many schools are needed?\n3. Describe national holidays."
    ),
)


@pytest.mark.parametrize("prompt", WHOLE)
def test_what_is_short_but_one_ask_is_left_whole(prompt: str) -> None:
    assert parts_of(prompt) is None
