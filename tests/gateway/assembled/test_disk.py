"""The disk under record and accounts fills up while the server runs, and is freed again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..parts import Reply, until
from .conftest import PRICES, settings
from .house import House, decision, nano, opened
from .vendor import Vendor

ACCOUNTS = '[gateway]\naccounts = "FOLDER/disk/accounts.db"\n'
SAID = {"record_unavailable", "store_unreachable"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root, and not in every container, may mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_loses_no_answer_and_no_money(
    supplier: Vendor, disk: Path, tmp_path: Path
) -> None:
    told = settings(supplier, ACCOUNTS).replace("FOLDER/record.db", "FOLDER/disk/record.db")
    places = {"place": str(disk / "accounts.db"), "record": str(disk / "record.db")}
    with opened(tmp_path, told, **places) as house:
        key = house.key("ada")
        house.cli("budget set key:ada 1 --per total")
        house.refresh()
        billed = supplier.bill("spare", PRICES["spare"])
        before = [_asked(house, key, stream) for stream in (False, True)]
        assert all(_whole(one) for one in before)

        _fill(disk)
        until(lambda: _code(_asked(house, key)) in SAID)
        sent = supplier.bill("spare", PRICES["spare"])
        during = [_asked(house, key, stream) for stream in (False, True) * 3]
        assert {_code(one) for one in during} <= SAID
        assert supplier.bill("spare", PRICES["spare"]) == sent, (
            "what cannot be recorded is not asked"
        )
        until(lambda: house.get("/readyz").status == 503, within_s=15.0)
        assert house.get("/healthz").status == 200

        (disk / "ballast").unlink()
        until(lambda: house.get("/readyz").status == 200, within_s=15.0)
        until(lambda: _whole(_asked(house, key)))
        after = _asked(house, key, stream=True)
        assert _whole(after)

        on_record = house.outcomes()
        delivered = [one for one in (*before, *during, after) if _whole(one)]
        assert {decision(one) for one in delivered} <= set(on_record)
        identity = house.cli("keys show ada --json")["key"]["id"]
        billed = supplier.bill("spare", PRICES["spare"]) - billed
        until(lambda: house.spent(f"key:{identity}") == (billed, 0))
        assert sum(nano(one.cost_usd) for one in on_record.values()) <= billed


def _asked(house: House, key: str, stream: bool = False) -> Reply:
    return house.ask(key, "spare", stream=stream, text="word " * 50, temperature=1.0)


def _whole(reply: Reply) -> bool:
    streamed = reply.headers["content-type"].startswith("text/event-stream")
    return reply.status == 200 and (not streamed or reply.events[-1] == "[DONE]")


def _code(reply: Reply) -> object:
    """The error that a reply is, or that its stream ends with."""
    if reply.status != 200:
        return reply.error["code"]
    return None if _whole(reply) else reply.events[-1]["error"]["code"]


def _fill(disk: Path) -> None:
    """Leave not a byte."""
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            return
