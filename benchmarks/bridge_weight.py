"""What each candidate for the bridge to other wire formats weighs: disk, packages, import time.

Makes one virtual environment per candidate in a temporary folder, installs the candidate there, and
prints a table. Run: ``python benchmarks/bridge_weight.py``
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CANDIDATES = {
    # what to install: what one imports to ask Anthropic's and Google's models with it
    "any-llm-sdk[anthropic,gemini]": "from any_llm import acompletion",
    "litellm": "from litellm import acompletion",
    "pydantic-ai-slim[anthropic,google]": (
        "from pydantic_ai.direct import model_request; import pydantic_ai.models.anthropic"
    ),
    "langchain-anthropic langchain-google-genai": "from langchain_anthropic import ChatAnthropic",
    "aisuite[anthropic]": "import aisuite; aisuite.Client",
}
RUNS = 3


def main() -> None:
    print(f"{'candidate':45} {'MB':>6} {'packages':>8} {'import CPU s':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for number, (names, statement) in enumerate(CANDIDATES.items()):
            print(row(Path(folder) / str(number), names, statement), flush=True)


def row(folder: Path, names: str, statement: str) -> str:
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    empty = megabytes(folder)
    # From wheels alone: a source build would measure the compiler.
    done = subprocess.run(
        [*installer(python), "--only-binary=:all:", *names.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return f"{names:45} cannot be installed: {done.stderr.strip().splitlines()[-1][:120]}"
    weight = megabytes(folder) - empty
    packages = len(list(folder.glob("lib/*/site-packages/*.dist-info")))
    return f"{names:45} {weight:6.0f} {packages:8} {import_time(python, statement):>12}"


def installer(python: Path) -> list[str]:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--no-cache", f"--python={python}"]
    return [sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet"]


def import_time(python: Path, statement: str) -> str:
    """The median CPU time of a few imports in fresh interpreters, once the bytecode is there."""
    failed = subprocess.run([python, "-c", statement], capture_output=True, text=True, check=False)
    if failed.returncode:
        return failed.stderr.strip().splitlines()[-1][:60]
    clock = "time.process_time()"
    code = f"import time; begun = {clock}; {statement}; print({clock} - begun)"
    times = [
        float(subprocess.run([python, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(RUNS)
    ]
    return f"{statistics.median(times):.2f}"


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
