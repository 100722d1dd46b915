from __future__ import annotations

import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from mfext.component import component_of, components


def made(folder: Path, name: str, *fields: str) -> Distribution:
    metadata = folder / f"{name}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.2", *fields]) + "\n"
    )
    return Distribution.at(metadata)


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        (["License-Expression: MIT OR BSD-3-Clause", "License: other"], "MIT OR BSD-3-Clause"),
        (["License: Apache-2.0", "Classifier: License :: OSI Approved :: Apache Software License"], "Apache-2.0"),
        (["License: UNKNOWN", "Classifier: License :: OSI Approved :: BSD License"], "BSD License"),
        (
            [f"License: {'Permission is granted ' * 9}", "Classifier: License :: OSI Approved :: MIT License"],
            "MIT License",
        ),
        (["Classifier: License :: OSI Approved"], "not said"),
        ([], "not said"),
    ],
)
def test_the_licence_is_taken_from_where_it_is_said(tmp_path: Path, fields: list[str], licence: str) -> None:
    assert component_of(made(tmp_path, "one", *fields), "").licence == licence


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        (["Home-page: https://a", "Project-URL: Source, https://b"], "https://a"),
        (["Project-URL: Issues, https://i", "Project-URL: Source, https://b"], "https://b"),
        (["Project-URL: Tracker, https://i"], "https://i"),
        (["Home-page: UNKNOWN"], ""),
    ],
)
def test_the_home_page_is_the_best_of_those_given(tmp_path: Path, fields: list[str], page: str) -> None:
    assert component_of(made(tmp_path, "one", *fields), "").home_page == page


def test_what_layers_bring_is_listed_with_the_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METWORK_LAYERS", str(tmp_path))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    made(tmp_path / f"metwork-mfext-layer-small/lib/{version}/site-packages", "tiny")
    found = {one.name: one.layer for one in components()}
    assert found["tiny"] == "small"
    assert found["circus"] == ""
