from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mfext.errors import ConfigError
from mfext.layer import layer, layers, sites

SITE = Path(f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METWORK_LAYERS", str(tmp_path))
    for name in ("small", "other"):
        (tmp_path / f"metwork-mfext-layer-{name}" / SITE).mkdir(parents=True)
    (tmp_path / "metwork-mfext-layer-old/lib/python2.7/site-packages").mkdir(parents=True)
    (tmp_path / "metwork-mfext").mkdir()
    return tmp_path


def test_layers_are_the_folders_called_so() -> None:
    assert [one.name for one in layers()] == ["old", "other", "small"]


def test_the_sites_come_in_the_order_asked_for(folder: Path) -> None:
    wanted = [folder / "metwork-mfext-layer-small" / SITE, folder / "metwork-mfext-layer-other" / SITE]
    assert sites(["small", "other"]) == wanted


def test_a_layer_that_is_not_here_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"config.ini:3: .*Install the package metwork-mfext-layer-scientific\."):
        layer("scientific", "config.ini:3")
    with pytest.raises(ConfigError, match='Did you mean "small"'):
        layer("smal")


@pytest.mark.parametrize("name", ["../small", "small/../small", ""])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(ConfigError, match="no layer"):
        layer(name)


def test_a_layer_for_another_python_is_told_from_one_that_is_not_here() -> None:
    with pytest.raises(ConfigError, match='"old" is for another Python'):
        layer("old")
