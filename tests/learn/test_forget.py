"""A person is taken out of every file of a folder, and the rest stays as it was."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from emafusion.artefacts.lock import held
from emafusion.errors import DataError, StoreError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Question
from emafusion.evaluate.recorded import read
from emafusion.learn import contents, interchange
from emafusion.learn.collection import spent_of
from emafusion.learn.forget import forget
from emafusion.learn.journal import Answered, Asked, Journal, Posed, Priced
from emafusion.learn.synthesise import Synthesis
from emafusion.learn.traffic import identifier

MAIL = "jane.roe@harbour.example"
LABELS = {"task": "extraction", "complexity": "recall", "domain": "general", "format": "free_text"}


def concerns(text: str) -> bool:
    return MAIL in text


def question(prompt: str, **provenance: str) -> Question:
    return Question(
        prompt=prompt,
        reference="",
        grader=Grader(type="constraint", params={"min_words": 1}),
        labels=LABELS,
        family="f",
        phrasing=0,
        held_out=False,
        difficulty=2,
        provenance=dict(provenance),
    )


def posed(one: Question) -> Posed:
    return Posed(query_id=one.id, split="train", question=msgspec.Raw(one.to_json().encode()))


def answered(one: Question, text: str, cost_usd: float = 0.25) -> Answered:
    return Answered(
        query_id=one.id,
        model="m",
        text=text,
        finish_reason="stop",
        prompt_tokens=1,
        completion_tokens=1,
        cost_usd=cost_usd,
        latency_s=0.1,
    )


ASKS = question(f"Write to {MAIL}")
NAMED = question("Whom did I write to?")
OTHER = question("What is two and two?")
COMPARED = question("Which is better?", query=NAMED.id, first="a", second="b")
OF_OTHERS = question("Which of these?", query=OTHER.id, first="a", second="b")


def gather(folder: Path, *rows: Posed | Answered | Asked) -> None:
    with Journal(folder) as journal:
        journal.append(Priced(model="m", usd_per_mtok_in=1.0, usd_per_mtok_out=1.0), *rows)
        interchange.write(folder, interchange.Recorded(journal.rows()))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """What `learn` leaves: questions, answers, judges' words, traffic, a report."""
    root = tmp_path / "work"
    Synthesis(questions={"train": [ASKS, OTHER]}).write(root / "questions")
    gather(
        root / "outcomes",
        *map(posed, (ASKS, NAMED, OTHER)),
        answered(ASKS, "done"),
        answered(NAMED, f"to {MAIL}"),
        answered(OTHER, "4"),
        Asked(query_id=ASKS.id, model="m", sample=1, reserved_usd=0.125),
    )
    gather(
        root / "outcomes" / "judges",
        *map(posed, (COMPARED, OF_OTHERS)),
        answered(COMPARED, "1"),
        answered(OF_OTHERS, "2"),
    )
    (root / "report.json").write_text(f'{{"error": "{MAIL}"}}')
    traffic = root / "traffic"
    traffic.mkdir()
    names = [identifier("mine"), identifier("yours")]
    table = pa.table({"query_id": names, "prompt": ["mine", "yours"]})
    parquet.write_table(table, traffic / "queries.parquet")
    (traffic / ".queries.parquet.draft").write_bytes(MAIL.encode())
    return root


def holding(folder: Path) -> Iterator[str]:
    """The files in which the value stands, in whatever way they pack it."""
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            if path.suffix == ".parquet":
                text += str(parquet.read_table(path).to_pylist()).encode()
            if MAIL.encode() in text:
                yield path.name


def money(folder: Path) -> float:
    with Journal(folder) as journal:
        return spent_of(journal.rows())


def test_a_person_is_in_no_file_any_more_and_others_are(work: Path) -> None:
    assert len(list(holding(work))) == 6
    spent = money(work / "outcomes")
    found = forget(work, concerns, queries=[identifier("mine")])
    assert list(holding(work)) == []
    assert found.left == ()
    assert found.removed == {
        "outcomes/journal.jsonl": 5,
        "outcomes/judges/journal.jsonl": 2,
        "outcomes/judges/outcomes.parquet": 1,
        "outcomes/judges/queries.parquet": 1,
        "outcomes/judges/responses.parquet": 1,
        "outcomes/outcomes.parquet": 2,
        "outcomes/queries.parquet": 2,
        "outcomes/responses.parquet": 2,
        "questions/queries.parquet": 1,
        "report.json": 1,
        "traffic/queries.parquet": 1,
    }
    assert read(work / "outcomes").queries == (OTHER.id,)
    assert interchange.read_questions(work / "questions") == {"train": [OTHER]}
    with Journal(work / "outcomes" / "judges") as journal:
        assert [one.query_id for one in journal.rows() if isinstance(one, Posed)] == [OF_OTHERS.id]
    assert parquet.read_table(work / "traffic" / "queries.parquet")["prompt"].to_pylist() == [
        "yours"
    ]
    assert money(work / "outcomes") == spent, "a budget does not begin anew"
    assert forget(work, concerns, queries=[identifier("mine")]).removed == {}
    assert money(work / "outcomes") == spent


def test_trying_it_out_changes_nothing(work: Path) -> None:
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    told = forget(work, concerns, dry=True)
    assert {path: path.read_bytes() for path in before} == before
    assert told.removed == forget(work, concerns).removed


def test_names_that_folders_give_queries_themselves_are_their_own(tmp_path: Path) -> None:
    for name, prompt in (("a", MAIL), ("b", "nobody")):
        (tmp_path / name).mkdir()
        table = pa.table({"query_id": ["1", "2"], "prompt": [prompt, "else"]})
        parquet.write_table(table, tmp_path / name / "queries.parquet")
    assert forget(tmp_path, concerns).removed == {"a/queries.parquet": 1}


def test_what_cannot_be_mended_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(MAIL)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    (tmp_path / "journal.jsonl").write_text('{"row": "what"}\n{"row": "so"}\n')
    found = forget(tmp_path, concerns)
    assert sorted(found.left) == ["journal.jsonl", "notes.md", "torn.parquet"]
    with pytest.raises(DataError, match="no folder"):
        forget(tmp_path / "absent", concerns)


LINE = f"to {MAIL} again\n".encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run.log", LINE),
        ("people.tsv", LINE),
        ("page.htm", LINE),
        ("old.jsonl.bak", LINE),
        ("notes", LINE),
        ("trace.log.1", b"\xff\x00binary " + LINE),
        ("queries.arrow", LINE),
        ("rows.jsonl.gz", gzip.compress(LINE, mtime=0)),
        ("rows.bz2", bz2.compress(LINE)),
        ("rows.xz", lzma.compress(LINE)),
        ("twice.gz", gzip.compress(gzip.compress(LINE, mtime=0), mtime=0)),
        ("marked.txt", LINE.decode().encode("utf-16")),
        ("marked.dat", LINE.decode().encode("utf-32")),
        ("wide.txt", LINE.decode().encode("utf-16-le")),
        ("long.log", b"x" * (contents.PIECE - 10) + b" " + LINE),
        ("long.txt", (" " * (contents.PIECE // 2 - 10) + LINE.decode()).encode("utf-16")),
        ("rows.zst", b"\x28\xb5\x2f\xfd packed"),
        ("queries.feather", b"ARROW1 packed"),
        ("queries.parquet.old", b"PAR1 packed"),
        ("torn.gz", gzip.compress(LINE, mtime=0)[:20]),
        ("torn.zip", b"PK\x03\x04 torn"),
        (f"{MAIL}.txt", b"her letters"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_file_of_any_format_is_searched_or_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "other.bin").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "other.gz").write_bytes(gzip.compress(b"nobody"))
    assert forget(tmp_path, concerns).left == (name,)
    assert (tmp_path / name).read_bytes() == data


def test_archives_are_unpacked_and_arrays_of_numbers_are_no_texts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.docx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", LINE)
    with zipfile.ZipFile(tmp_path / "yours.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.txt", "nobody")
    np.savez_compressed(tmp_path / "arrays.npz", weights=np.frombuffer(LINE * 4, np.float32))
    np.savez_compressed(tmp_path / "texts.npz", said=np.array([MAIL]))
    np.save(tmp_path / "bytes.npy", np.frombuffer(LINE, np.uint8))
    assert forget(tmp_path, concerns).left == ("bytes.npy", "mine.docx", "texts.npz")


def test_texts_are_read_in_older_encodings(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("für Jürgen".encode("latin-1"))
    assert forget(tmp_path, lambda text: "Jürgen" in text).left == ("old.txt",)


def test_tables_may_hold_bytes(tmp_path: Path) -> None:
    table = pa.table({"query_id": ["1", "2"], "raw": [LINE, b"else"]})
    parquet.write_table(table, tmp_path / "queries.parquet")
    assert forget(tmp_path, concerns).removed == {"queries.parquet": 1}


def test_a_folder_that_lies_elsewhere_is_named(tmp_path: Path) -> None:
    for name in ("work", "work/own", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.md").write_text("nobody")
    (tmp_path / "work" / "data").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "work" / "latest").symlink_to(tmp_path / "work" / "own")
    assert forget(tmp_path / "work", concerns).left == ("data",)


def test_nothing_is_removed_while_another_is_at_work(work: Path) -> None:
    with held(work / "lock", wait_s=0.0), pytest.raises(StoreError, match="wait for it"):
        forget(work, concerns)
    with Journal(work / "outcomes" / "judges"), pytest.raises(StoreError, match="wait for it"):
        forget(work, concerns)
    assert len(list(holding(work))) == 6


def test_who_is_killed_on_the_way_begins_again(work: Path) -> None:
    spent = money(work / "outcomes")
    for _ in range(8):
        child = os.fork()
        if child == 0:
            forget(work, concerns)
            os._exit(0)
        time.sleep(random.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert OTHER.id in read(work / "outcomes").queries
        assert money(work / "outcomes") == spent
    forget(work, concerns)
    assert list(holding(work)) == []
    assert money(work / "outcomes") == spent
