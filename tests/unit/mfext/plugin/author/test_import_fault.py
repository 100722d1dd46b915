from __future__ import annotations

from pathlib import Path

from mfext.environment import SOFTWARE
from mfext.plugin.author.import_fault import import_fault

FOLDER = Path("/home/a/archive_image")
PROGRAM = f"{FOLDER}/main.py"
HEAD = f'''Traceback (most recent call last):
  File "<frozen runpy>", line 88, in _run_code
  File "{SOFTWARE}/mfext/plugin/author/probe.py", line 160, in <module>
    main()
    ^^^^^^
  File "{PROGRAM}", line 7, in <module>
    connect()
'''
CONNECT = f'  File "{FOLDER}/lib/net.py", line 3, in connect\n    raise RuntimeError("no host")\n'


def test_the_cause_of_an_import_that_fails_comes_first_without_frames_of_the_framework() -> None:
    fault = import_fault(f"a warning\n{HEAD}RuntimeError: no host\n", FOLDER, PROGRAM)
    assert fault.message == "archive_image/main.py:7: RuntimeError: no host (cannot be imported)"


def test_the_way_through_the_files_of_the_plugin_follows_the_cause() -> None:
    first, *more = import_fault(f"{HEAD}{CONNECT}RuntimeError: no host\nat all\n", FOLDER, PROGRAM).message.split("\n")
    assert first == "archive_image/lib/net.py:3: RuntimeError: no host (cannot be imported)"
    assert more[0] == "at all"
    assert [line for line in more if "File" in line] == [
        f'  File "{PROGRAM}", line 7, in <module>',
        f'  File "{FOLDER}/lib/net.py", line 3, in connect',
    ]


def test_the_exception_that_came_last_is_the_cause() -> None:
    text = f"{HEAD}KeyError: 1\n\nDuring handling of the above exception:\n\n{HEAD}ValueError: bad\n"
    assert (
        import_fault(text, FOLDER, PROGRAM).message == "archive_image/main.py:7: ValueError: bad (cannot be imported)"
    )


def test_what_has_no_stack_is_told_as_it_is() -> None:
    assert import_fault("killed\n", FOLDER, PROGRAM).message == f"{PROGRAM}: cannot be imported:\nkilled"
    assert import_fault("", FOLDER, PROGRAM).message == f"{PROGRAM}: cannot be imported"
