"""A policy fitted on two of the recorded local models; the third is the newcomer."""

from __future__ import annotations

from pathlib import Path

import pytest

from emafusion import artefacts, config, encoders
from emafusion.learn.fit import fit
from emafusion.learn.probing import reading
from emafusion.learn.probing.known import Known
from emafusion.understand import FastClassifier

OUTCOMES = Path(__file__).parents[3] / "benchmarks" / "outcomes"
NEWCOMER = "qwen2.5-coder-0.5b"
ROWS = 200


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the recorded outcomes, without the newcomer's."""
    pytest.importorskip("sklearn")
    compute = pytest.importorskip("pyarrow.compute")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder: Path = tmp_path_factory.mktemp("outcomes")
    names = None
    for name in ("queries", "outcomes", "responses"):
        table = parquet.read_table(OUTCOMES / f"{name}.parquet")
        if name == "queries":
            table = table.filter(compute.not_equal(table["split"], "test")).slice(0, ROWS)
            names = table["query_id"]
        else:
            table = table.filter(compute.not_equal(table["model"], NEWCOMER))
            table = table.filter(compute.is_in(table["query_id"], value_set=names))
        parquet.write_table(table, folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="session")
def policy(outcomes: Path) -> artefacts.Artefact:
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    encoder = encoders.default()
    reader = FastClassifier.from_arrays(shipped.under("understand"), encoder)
    return fit(outcomes, outcomes / "policy", classifier=reader)


@pytest.fixture(scope="session")
def known(outcomes: Path, policy: artefacts.Artefact) -> Known:
    return reading.known(outcomes, policy, encoders.Remembered(encoders.default()))
