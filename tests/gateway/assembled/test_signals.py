"""Signals to one process: another configuration with SIGHUP, an end in good order with SIGTERM."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from ..parts import Reply, until
from .conftest import settings
from .house import House, opened
from .vendor import Vendor

ACCOUNTS = '[gateway]\naccounts = "FOLDER/accounts.db"\ndrain_s = 10\ngrace_s = 0.5\n'
FRESH = '[models.fresh]\nprovider = "there"\nusd_per_mtok_in = 1.0\nusd_per_mtok_out = 1.0\n'


class Asking(threading.Thread):
    """A question under way."""

    def __init__(self, house: House, key: str, model: str) -> None:
        super().__init__()
        self._told = house, key, model
        self.reply: Reply | None = None
        self.start()

    def run(self) -> None:
        house, key, model = self._told
        self.reply = house.ask(key, model, stream=True, text="word " * 20)

    @property
    def events(self) -> list[object]:
        """The stream's events, once it has ended."""
        self.join()
        assert self.reply is not None
        assert self.reply.status == 200
        return list(self.reply.events)


def test_sighup_takes_up_a_file_and_refuses_a_broken_one(supplier: Vendor, tmp_path: Path) -> None:
    told = settings(supplier, ACCOUNTS)
    with opened(tmp_path, told) as house:
        key = house.key("ada")
        assert house.ask(key, "fresh").status == 404
        calls = supplier.calls["slow-stream"]
        streams = [Asking(house, key, "slow-stream") for _ in range(3)]
        until(lambda: supplier.calls["slow-stream"] >= calls + 3)

        house.configure(told + FRESH)
        house.signal(signal.SIGHUP)
        until(lambda: house.ask(key, "fresh").status == 200, within_s=10.0)
        assert "fresh" in {one["id"] for one in house.get("/v1/models", key).json["data"]}

        house.configure(told + "[models.fresh]\nprovider = 'nobody'\n")
        house.signal(signal.SIGHUP)
        until(lambda: "refused" in house.get("/readyz").json["configuration"], within_s=10.0)
        ready = house.get("/readyz")
        assert ready.status == 200
        assert "nobody" in ready.json["configuration"]["refused"]
        assert house.ask(key, "fresh").status == 200
        assert all(one.events[-1] == "[DONE]" for one in streams)

        streams = [Asking(house, key, "slow-stream") for _ in range(3)]
        until(lambda: supplier.calls["slow-stream"] >= calls + 6)
        house.signal(signal.SIGTERM)
        until(lambda: house.get("/readyz").status == 503, within_s=2.0)
        assert house.get("/readyz").json["status"] == "draining"
        assert house.ask(key, "fresh", text="Within the grace").status == 200
        assert all(one.events[-1] == "[DONE]" for one in streams)
        assert house.end() == 0
        assert "Traceback" not in house.printed
