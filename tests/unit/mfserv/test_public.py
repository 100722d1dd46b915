from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import mfserv

SERVICE = """
from mfserv import report_progress, request_id

def app(place: str) -> str:
    wanted: bool = report_progress(place, 40, "reading")
    return request_id() if wanted else ""
"""


def test_an_author_finds_what_a_service_needs_with_its_types(tmp_path: Path) -> None:
    assert mfserv.__all__ == ["report_progress", "request_id"]
    assert files("mfserv").joinpath("py.typed").is_file()
    (tmp_path / "main.py").write_text(SERVICE)
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "main.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_is_no_job_need_not_be_told_how_far_it_is() -> None:
    assert mfserv.report_progress("", 40, "reading")
