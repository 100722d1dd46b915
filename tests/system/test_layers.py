"""The layers as they are delivered do their work. They are large: they are tested where ``make rpm`` has built them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rpm.contents import LAYERS, ROOT, LayerPackage

PROGRAMS = Path(__file__).with_name("layers")
#: The system's Python, for which the RPMs are.
PYTHON = "/usr/bin/python3"


def site_of(name: str) -> Path:
    """Where ``make rpm`` left what *name* (``mfext`` or a layer) brings."""
    sites = sorted((ROOT / "build/rpm").glob(f"{name}-3.*/site"))
    if not sites:
        pytest.skip(f"{name} is not built: make rpm")
    return sites[-1]


@pytest.fixture(params=LAYERS, ids=lambda layer: layer.layer)
def layer(request: pytest.FixtureRequest) -> LayerPackage:
    found: LayerPackage = request.param
    return found


@pytest.mark.slow
def test_every_part_of_a_layer_works_without_network(layer: LayerPackage, tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": f"{site_of(layer.layer)}:{site_of('mfext')}",
        # Nothing is fetched: every address is beyond a proxy that is not there.
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    program = [PYTHON, "-s", str(PROGRAMS / f"{layer.layer}.py"), str(tmp_path)]
    done = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(json.loads(done.stdout).values())


def test_no_library_of_a_layer_looks_for_others_where_anybody_may_write(layer: LayerPackage) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("there is no readelf")
    libraries = [path for path in site_of(layer.layer).rglob("*.so*") if path.is_file()]
    said = subprocess.run(["readelf", "-d", *map(str, libraries)], capture_output=True, text=True).stdout
    paths = {path for found in re.findall(r"R(?:UN)?PATH.*\[(.*)\]", said) for path in found.split(":")}
    assert not [path for path in paths if path.startswith(("/tmp", "/var/tmp", "/dev/shm"))]
