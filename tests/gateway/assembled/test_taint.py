"""What is sensitive reaches no public model and no file, whichever way a request takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..parts import Reply, until
from .house import House, decision, opened
from .tap import PLACEHOLDER, Tap, tap

SECRETS = {
    "EMAIL": "jane.roe@harbour.example",
    "PHONE": "+44 20 7946 0958",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "CARD": "4111 1111 1111 1111",
    "KEY": "sk-proj-Ab3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW",
    "URL": "https://root:hunter22x@db.harbour.example/x",
    "IP": "203.0.113.77",
    "ID": "219-09-9999",
    "BIRTH": "14 March 1985",
    "PASSPORT": "X4728193B",
    "LICENCE": "MORGA657054SM9IJ",
    "ADDRESS": "221 Baker Street",
    "TERM": "Project Halcyon",
}
TEXT = (
    "Mail {EMAIL}, phone {PHONE}, IBAN {IBAN}, card {CARD}, key {KEY}, see {URL} from {IP}; "
    "SSN {ID}, born on {BIRTH}, passport number {PASSPORT}, driving licence number {LICENCE}, "
    "lives at {ADDRESS} and works on {TERM}."
).format(**SECRETS)
WORD = "zanzibar-quokka"
"""In texts that are restricted: nothing finds it."""
ANYWHERE = (*SECRETS.values(), WORD, "hunter22x", "jane.roe")
PUBLIC = ("plain", "large", "loud", "inventive", "bytewise", "labels")
HARD = (
    "Prove that the square root of two is irrational, then compare three proofs of it in detail "
    f"and say which of them {SECRETS['EMAIL']} would like best, and why."
)
PARTS = (
    "Please answer: 1. What is the capital of Peru? 2. Who owns the card {CARD}? "
    "3. Translate 'write to {EMAIL}' into French."
).format(**SECRETS)


def settings(public: Tap, private: Tap, more: str = "") -> str:
    """Two suppliers: one that must hear nothing, and one of ours."""
    open_models = "".join(_model(name, "open", price) for price, name in enumerate(PUBLIC, 1))
    ours = _model("ours", "own", 3, 'visibility = "private"\n')
    vectors = "".join(
        f'[models.{name}]\nprovider = "{supplier}"\nusd_per_mtok_in = 0.1\nusd_per_mtok_out = 0\n'
        f'capabilities = ["embeddings"]\n{seen}'
        for name, supplier, seen in (
            ("vectors", "open", ""),
            ("our-vectors", "own", 'visibility = "private"\n'),
        )
    )
    return (
        f'[providers.open]\ntype = "openai"\nbase_url = "{public.url}/v1"\n'
        f'[providers.own]\ntype = "openai"\nbase_url = "{private.url}/v1"\n'
        f"{open_models}{ours}{vectors}"
        '[policy]\nmax_cost_usd = 0.5\n[understand]\nslow = "labels"\nsplit = "slow"\n'
        '[record]\npath = "FOLDER/record.db"\n'
        '[gateway]\naccounts = "FOLDER/accounts.db"\nworkers = 2\n[cache]\nanswers = "similar"\n'
        f'[telemetry]\nlog = "json"\notlp = "{private.url}"\ncontent = true\n'
        f'[protect]\nsecret = "env:TAINT_SECRET"\nterms = ["Project Halcyon"]\n{more}'
    )


def _model(name: str, supplier: str, price: float, more: str = "") -> str:
    return (
        f'[models.{name}]\nprovider = "{supplier}"\ncapabilities = ["tools", "json", "vision"]\n'
        f"usd_per_mtok_in = {price}\nusd_per_mtok_out = {2 * price}\ncontext_window = 32768\n"
        f"max_output = 500\n{more}"
    )


@pytest.fixture(scope="module")
def public() -> Iterator[Tap]:
    with tap() as found:
        yield found


@pytest.fixture(scope="module")
def private() -> Iterator[Tap]:
    with tap() as found:
        yield found


@pytest.fixture(scope="module")
def house(public: Tap, private: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two workers, all of whose files are in one folder."""
    folder = tmp_path_factory.mktemp("taint")
    told = {"TAINT_SECRET": "what nobody knows but we", "TMPDIR": str(folder)}
    with opened(folder, settings(public, private), **told) as found:
        yield found


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return house.key("all")


@pytest.fixture(autouse=True)
def untainted(house: House, public: Tap, private: Tap, tmp_path: Path) -> Iterator[None]:
    """After every test: nobody has heard, and nothing holds, what it must not."""
    yield
    assert public.has(*ANYWHERE) == []
    assert held(house.folder, private) == []
    assert held(tmp_path, private) == []


def held(folder: Path, private: Tap) -> list[str]:
    """Which of all that is secret any file, log or trace holds."""
    files = [one for one in folder.rglob("*") if one.is_file() and one.name != "emafusion.toml"]
    everything = b"\n".join([*(one.read_bytes() for one in files), *private.traces])
    return [one for one in ANYWHERE if one.encode() in everything]


def said(reply: Reply) -> str:
    """The text of a whole answer."""
    assert reply.status == 200, reply.content
    return str(reply.json["choices"][0]["message"]["content"])


def streamed(reply: Reply) -> str:
    """The text of a stream of chat chunks."""
    assert reply.status == 200, reply.content
    pieces = [one["choices"][0]["delta"] for one in reply.events[:-1] if one["choices"]]
    return "".join(one.get("content") or "" for one in pieces)


@pytest.mark.parametrize("model", ["plain", "loud", "inventive", "bytewise"])
def test_an_answer_has_what_its_question_had(house: House, key: str, model: str) -> None:
    found = said(house.ask(key, model, text=f"{model}: {TEXT}", user=SECRETS["EMAIL"]))
    for one in SECRETS.values():
        assert one in found
    assert ("[EMAIL_aaaaaaaaaa]" in found) == (model == "inventive")


@pytest.mark.parametrize("model", ["plain", "loud", "inventive", "bytewise", "emafusion"])
def test_a_stream_has_what_its_question_had(house: House, key: str, model: str) -> None:
    found = streamed(house.ask(key, model, text=f"{model} stream: {TEXT}", stream=True))
    for one in SECRETS.values():
        assert one in found


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_and_their_results(house: House, key: str, stream: bool) -> None:
    tools = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]
    reply = house.ask(key, "plain", text=f"Pay: {TEXT}", tools=tools, stream=stream)
    assert reply.status == 200, reply.content
    if stream:
        deltas = [one["choices"][0]["delta"] for one in reply.events[:-1] if one["choices"]]
        calls = [call for one in deltas for call in one.get("tool_calls") or ()]
        written = "".join(call["function"].get("arguments", "") for call in calls)
    else:
        calls = reply.json["choices"][0]["message"]["tool_calls"]
        written = calls[0]["function"]["arguments"]
    assert json.loads(written)["text"] == f"echo: Pay: {TEXT}"
    messages = [
        {"role": "user", "content": f"Pay: {TEXT}"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": written}}
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": f"paid {TEXT}"},
    ]  # fmt: skip
    assert said(house.ask(key, "plain", messages=messages)) == f"echo: paid {TEXT}"


def test_answers_in_json_are_json(house: House, key: str) -> None:
    asked = json.dumps({"to": SECRETS["EMAIL"], "card": SECRETS["CARD"]})
    form: Any = {"type": "json_object"}
    found = said(house.ask(key, "plain", text=asked, response_format=form))
    assert json.loads(found.removeprefix("echo: ")) == json.loads(asked)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["auto", "cascade", "fusion", "synthesis"])
def test_every_arrangement(house: House, key: str, kind: str, stream: bool) -> None:
    knobs = {"arrangement": kind, "prefer": 1.0}
    reply = house.ask(key, text=f"{kind} {stream}: {HARD} {TEXT}", knobs=knobs, stream=stream)
    found = streamed(reply) if stream else said(reply)
    assert {one.group() for one in PLACEHOLDER.finditer(found)} <= {"[EMAIL_aaaaaaaaaa]"}
    assert SECRETS["EMAIL"] in found


@pytest.mark.parametrize("stream", [False, True])
def test_composite_prompts(house: House, key: str, stream: bool) -> None:
    reply = house.ask(key, text=f"{PARTS} Thanks{'!' * stream}", stream=stream)
    found = streamed(reply) if stream else said(reply)
    assert SECRETS["CARD"] in found


def test_answers_that_are_given_again(house: House, key: str, public: Tap) -> None:
    text = f"What is the capital of Peru, asks {SECRETS['EMAIL']}?"
    first = said(house.ask(key, "plain", text=text))
    until(lambda: house.ask(key, "plain", text=text).headers["x-emafusion-cache"] == "hit")
    heard = len(public.heard)
    again = house.ask(key, "plain", text=text, stream=True)
    if again.headers["x-emafusion-cache"] == "hit":
        assert len(public.heard) == heard
    assert streamed(again) == first == f"echo: {text}"


@pytest.mark.parametrize("stream", [False, True])
def test_responses_and_those_that_go_on(house: House, key: str, public: Tap, stream: bool) -> None:
    asked: dict[str, Any]
    asked = {"model": "plain", "input": TEXT, "instructions": f"You serve {SECRETS['EMAIL']}."}
    asked |= {"metadata": {"who": SECRETS["EMAIL"]}, "user": SECRETS["EMAIL"], "stream": stream}
    reply = house.send("/v1/responses", key, asked)
    assert reply.status == 200, reply.content
    body = _ended(reply) if stream else reply.json
    assert body["output"][0]["content"][0]["text"] == f"echo: {TEXT}"
    assert body["instructions"] == asked["instructions"]
    assert body["metadata"] == {"who": SECRETS["EMAIL"]}
    kept = house.get(f"/v1/responses/{body['id']}", key)
    assert kept.status == 200
    assert list(house.folder.rglob("conversations.sqlite3")) != []
    assert all(one not in kept.content.decode() for one in SECRETS.values())
    further = {"model": "plain", "input": f"And {SECRETS['EMAIL']}?"}
    reply = house.send("/v1/responses", key, {**further, "previous_response_id": body["id"]})
    assert reply.json["output"][0]["content"][0]["text"] == f"echo: And {SECRETS['EMAIL']}?"
    assert public.heard[-2].count(b"[EMAIL_") > 2
    assert b"[TEXT_" not in public.heard[-2]


def _ended(reply: Reply) -> Any:
    lines = [one for one in reply.content.decode().split("\n") if one.startswith("data: ")]
    events = [json.loads(one.removeprefix("data: ")) for one in lines]
    pieces = [one["delta"] for one in events if one["type"] == "response.output_text.delta"]
    assert "".join(pieces) == f"echo: {TEXT}"
    return events[-1]["response"]


@pytest.mark.parametrize("stream", [False, True])
def test_messages(house: House, key: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": "plain", "max_tokens": 400, "stream": stream, "system": TEXT}
    asked |= {"messages": [{"role": "user", "content": TEXT}]}
    reply = house.send("/v1/messages", key, asked)
    assert reply.status == 200, reply.content
    if not stream:
        assert reply.json["content"][0]["text"] == f"echo: {TEXT}"
        return
    lines = [one for one in reply.content.decode().split("\n") if one.startswith("data: ")]
    events = [json.loads(one.removeprefix("data: ")) for one in lines]
    pieces = [one["delta"]["text"] for one in events if one["type"] == "content_block_delta"]
    assert "".join(pieces) == f"echo: {TEXT}"


def test_embeddings(house: House, key: str, public: Tap, private: Tap) -> None:
    asked = {"model": "vectors", "input": [TEXT, "other"], "user": SECRETS["EMAIL"]}
    assert house.send("/v1/embeddings", key, asked).status == 200
    heard = len(public.heard)
    headers = {"x_emafusion_class": "restricted"}
    refused = house.send("/v1/embeddings", key, {**asked, "input": WORD}, **headers)
    numbers = house.send("/v1/embeddings", key, {"model": "vectors", "input": [[1, 2], [3]]})
    assert [refused.status, numbers.status] == [400, 400]
    assert len(public.heard) == heard
    ours = {"model": "our-vectors", "input": WORD}
    assert house.send("/v1/embeddings", key, ours, **headers).status == 200
    assert private.has(WORD) == [WORD]


def test_feedback(house: House, key: str) -> None:
    name = decision(house.ask(key, "plain", text="What is the capital of Chile?"))
    opinion = {"decision_id": name, "score": 1, "user": SECRETS["EMAIL"], "comment": TEXT}
    assert house.send("/v1/feedback", key, opinion).status == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["auto", "single", "cascade", "fusion", "synthesis"])
def test_what_is_restricted_stays_here(
    house: House, key: str, public: Tap, private: Tap, kind: str, stream: bool
) -> None:
    heard = len(public.heard)
    text = f"{WORD} {kind}: {HARD}"
    knobs = {"arrangement": kind, "prefer": 1.0}
    headers = {"x_emafusion_class": "restricted"}
    reply = house.ask(key, text=text, knobs=knobs, stream=stream, headers=headers)
    if kind in ("auto", "single"):
        assert WORD in (streamed(reply) if stream else said(reply))
        assert private.has(WORD) == [WORD]
    else:  # one private model makes no panel
        assert reply.status in (200, 400)
    assert len(public.heard) == heard


def test_what_is_restricted_is_refused_by_name_and_kept_nowhere(
    house: House, key: str, public: Tap
) -> None:
    heard = len(public.heard)
    headers = {"x_emafusion_class": "restricted"}
    for path, asked in (
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": WORD}]}),
        ("/v1/responses", {"input": WORD}),
        ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": WORD}]}),
    ):
        reply = house.send(path, key, {"model": "plain", **asked}, **headers)
        assert reply.status == 400
        assert "private" in reply.content.decode()
        assert WORD not in reply.content.decode()
    ours = {"model": "ours", "input": f"Say {WORD}"}
    reply = house.send("/v1/responses", key, ours, **headers)
    assert WORD in reply.json["output"][0]["content"][0]["text"]
    assert house.get(f"/v1/responses/{reply.json['id']}", key).status == 404
    found = house.outcome(reply)
    assert found.protection is not None
    assert found.protection.data_class == "restricted"
    assert (found.prompt, found.text) == ("", "")
    assert len(public.heard) == heard


def test_a_keys_class_and_a_headers(house: House, public: Tap) -> None:
    closed = house.key("closed", "--class restricted")
    heard = len(public.heard)
    for headers in ({}, {"x_emafusion_class": "public"}):
        assert house.ask(closed, "plain", text=WORD, headers=headers).status == 400
        reply = house.ask(closed, text=f"What is the capital of {WORD}?", headers=headers)
        assert reply.headers["x-emafusion-model"] == "ours"
    assert len(public.heard) == heard
    unknown = house.ask(closed, "ours", text="Hi", headers={"x_emafusion_class": "secret"})
    assert unknown.status == 400
    assert "x-emafusion-class" in unknown.content.decode()


def test_what_was_found_is_told_without_values(house: House, key: str) -> None:
    reply = house.ask(key, "plain", text=f"Once more: {TEXT}")
    told = house.get(f"/v1/decisions/{decision(reply)}", key)
    assert told.json["protection"]["masked"]["EMAIL"] >= 1
    assert "protection  internal · masked " in told.json["explanation"]
    assert all(one not in told.content.decode() for one in SECRETS.values())


def test_a_stopped_house_and_its_traces_hold_nothing(
    public: Tap, private: Tap, tmp_path: Path
) -> None:
    told = {"TAINT_SECRET": "what nobody knows but we", "TMPDIR": str(tmp_path)}
    with opened(tmp_path, settings(public, private), **told) as house:
        key = house.key("one")
        assert TEXT in said(house.ask(key, "plain", text=TEXT))
        headers = {"x_emafusion_class": "restricted"}
        assert WORD in said(house.ask(key, "ours", text=WORD, headers=headers))
    traces = b"\n".join(private.traces)
    assert b"gen_ai.input.messages" in traces
    assert b"[EMAIL_" in traces
    assert b"[EMAIL_" in (tmp_path / "record.db").read_bytes()


DETECTOR = """
import os, time
from pathlib import Path
from emafusion.protect.entities import Entity
MARK = Path(os.environ["TMPDIR"]) / "begun-before"

def build():
    if MARK.exists():
        time.sleep(600)

    def detect(text):
        if "die now" in text:
            MARK.touch()
            os._exit(1)
        if "lie" in text:
            return [Entity(kind="ANIMAL", start=0, end=len(text) + 1)]
        return []
    return detect
"""


def test_a_detector_that_lies_or_dies_leaves_private_models_alone(
    public: Tap, private: Tap, tmp_path: Path
) -> None:
    (tmp_path / "theirs.py").write_text(DETECTOR)
    told = {"TAINT_SECRET": "what nobody knows but we", "TMPDIR": str(tmp_path)}
    more = 'detectors = ["theirs:build"]\n'
    configured = settings(public, private, more).replace("workers = 2", "workers = 1")
    with opened(tmp_path, configured, **told, PYTHONPATH=str(tmp_path)) as house:
        key = house.key("one")
        assert house.get("/readyz").status == 200
        assert house.ask(key, "plain", text="Hello").status == 200
        heard = len(public.heard)
        for text in (f"lie about {WORD}", f"die now, {WORD}", f"afterwards {WORD}"):
            refused = house.ask(key, "plain", text=text)
            assert refused.status == 400
            assert "theirs:build failed" in refused.error["message"]
            assert WORD not in refused.content.decode()
            assert WORD in said(house.ask(key, "ours", text=text))
        assert len(public.heard) == heard
        until(lambda: house.get("/readyz").status == 503, within_s=10.0)
        assert "detectors are down" in house.get("/readyz").json["checks"]["detectors"]
