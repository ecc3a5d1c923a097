"""A model file over HTTP, continued where an earlier attempt broke off.

It knows Range requests; it does not check the bytes (the store does).
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from emafusion.providers.weights.files import Download, SourceError

TIMEOUT_S = 5.0
"""Without a connection, or without a byte, for this long: the attempt has failed."""
FRUITLESS = 3
"""Attempts in a row that bring no byte before the source is given up."""
BLOCK = 1 << 18


def fetch(url: str, download: Download) -> None:
    """Bring `url` to ``download.path``; raises :class:`SourceError`."""
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise SourceError(f"{url!r} is not an https address")
    fruitless = 0
    while (before := size_of(download.path)) < download.size:
        problem = _attempt(url, download, before)
        fruitless = 0 if size_of(download.path) > before else fruitless + 1
        if fruitless == FRUITLESS:
            raise SourceError(f"the hub breaks off: {problem}")


def size_of(path: Path) -> int:
    """The bytes of `path`, 0 where there is no such file."""
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, download: Download, start: int) -> str:
    """Append what comes to the file; why it ended early, if it did."""
    headers = {"User-Agent": "emafusion", "Range": f"bytes={start}-"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        raise SourceError(f"the hub answered {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"the hub cannot be reached: {error}") from None
    with response:
        return _append(response, download, start if response.status == 206 else 0)


def _append(response: http.client.HTTPResponse, download: Download, start: int) -> str:
    done = start
    with download.path.open("r+b" if start else "wb") as file:
        file.seek(start)
        while True:
            download.check()
            try:
                block = response.read1(BLOCK)
            except (OSError, http.client.HTTPException) as error:
                return str(error) or type(error).__name__
            if not block:
                return "closed early"
            done += len(block)
            if done > download.size:
                raise SourceError("the hub sends more bytes than the file has")
            file.write(block)
            download.report(done)
