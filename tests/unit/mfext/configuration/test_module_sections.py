from __future__ import annotations

from pathlib import Path

import pytest

from mfext.configuration.inifile import read
from mfext.configuration.module_sections import SECTIONS
from mfext.errors import ConfigError
from mfext.section import Config, Schema
from mfext.supervision.supervisor import Supervisor
from mfext.testing import temporary_home


def config(folder: Path, text: str) -> Config:
    file = folder / "config.ini"
    file.write_text(text)
    return Schema(SECTIONS).load(read(file), {})


def test_the_supervisor_is_as_configured(tmp_path: Path) -> None:
    text = "[log]\nlevel = debug\nmax_size = 20000\n[supervisor]\nmax_backoff = 3\n"
    supervisor = Supervisor(temporary_home(tmp_path), config(tmp_path, text))
    assert (supervisor.log.level, supervisor.log.max_size, supervisor.settings.max_backoff) == ("debug", 20000, 3)


def test_without_configuration_it_is_as_by_default(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    assert Supervisor(home).log == Supervisor(home, config(tmp_path, "")).log
    assert Supervisor(home).settings == Supervisor(home, config(tmp_path, "")).settings


@pytest.mark.parametrize("line", ["level = loud", "keep = 0", "max_size = 10"])
def test_values_that_make_no_sense_are_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError):
        config(tmp_path, f"[log]\n{line}\n")
