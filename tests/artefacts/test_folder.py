"""A policy's folder: whole or not at all, and refused when it is not what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emafusion import artefacts
from emafusion.errors import ArtefactError


def artefact(value: float = 1.0) -> artefacts.Artefact:
    manifest = artefacts.Manifest(
        version=artefacts.VERSION, created="2026-01-01", encoder="e", pool=("a",), data_digest="d"
    )
    arrays = {"judge/weights": np.array([value]), "plan/names": np.array(["a", "b"])}
    return artefacts.Artefact(manifest=manifest, arrays=arrays)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = artefacts.write(tmp_path / "policy", artefact())
    found = artefacts.read(tmp_path / "policy")
    assert found.manifest == written.manifest
    assert found.under("judge")["weights"].tolist() == [1.0]
    assert found.under("plan")["names"].tolist() == ["a", "b"]


def test_a_second_write_replaces_the_first_and_leaves_nothing_behind(tmp_path: Path) -> None:
    artefacts.write(tmp_path / "policy", artefact(1.0))
    artefacts.write(tmp_path / "policy", artefact(2.0))
    assert artefacts.read(tmp_path / "policy").under("judge")["weights"].tolist() == [2.0]
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


def test_a_failed_write_keeps_what_was_there(tmp_path: Path) -> None:
    artefacts.write(tmp_path / "policy", artefact(1.0))
    broken = artefacts.Artefact(
        manifest=artefact().manifest,
        arrays={"x": np.array([object()], dtype=object)},
    )
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        artefacts.write(tmp_path / "policy", broken)
    assert artefacts.read(tmp_path / "policy").under("judge")["weights"].tolist() == [1.0]
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


def test_a_missing_folder_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="emafusion fit"):
        artefacts.read(tmp_path / "nowhere")


def test_damage_is_noticed(tmp_path: Path) -> None:
    artefacts.write(tmp_path / "policy", artefact())
    path = tmp_path / "policy" / "arrays.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtefactError, match="damaged"):
        artefacts.read(tmp_path / "policy")


def test_another_version_is_refused(tmp_path: Path) -> None:
    artefacts.write(tmp_path / "policy", artefact())
    path = tmp_path / "policy" / "manifest.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 99'))
    with pytest.raises(ArtefactError, match="99"):
        artefacts.read(tmp_path / "policy")


@pytest.mark.parametrize("inside", ["versions", "notes", ""])
def test_what_is_no_policy_is_not_replaced(tmp_path: Path, inside: str) -> None:
    place = tmp_path / "place"
    if inside:
        (place / inside).mkdir(parents=True)
        (place / inside / "mine").write_text("kept")
    else:
        place.write_text("kept")
    with pytest.raises(ArtefactError, match=r"versions of policies|holds no policy"):
        artefacts.write(place, artefact())
    assert (place / inside / "mine" if inside else place).read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_versions_are_not_replaced_even_beside_a_policy(tmp_path: Path) -> None:
    artefacts.write(tmp_path / "policy", artefact(1.0))
    (tmp_path / "policy" / "versions").mkdir()
    with pytest.raises(ArtefactError, match="emafusion learn"):
        artefacts.write(tmp_path / "policy", artefact(2.0))
    assert artefacts.read(tmp_path / "policy").under("judge")["weights"].tolist() == [1.0]


def test_an_empty_folder_may_become_a_policy(tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    artefacts.write(tmp_path / "policy", artefact())
    assert artefacts.read(tmp_path / "policy").manifest.pool == ("a",)
