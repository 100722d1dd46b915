from __future__ import annotations

import pytest

from mfext.plugin.author.new_keys import with_keys

BLOCKS = {"one": "# The first.\n# one = 1", "two": "# It must be given.\ntwo ="}
HEAD = "[general]\nname = a\n\n\n[custom]\n"


@pytest.mark.parametrize(
    ("text", "expected", "added"),
    [
        (HEAD, f"{HEAD}\n# The first.\n# one = 1\n\n# It must be given.\ntwo =\n", ["one", "two"]),
        (f"{HEAD}# one = 5\ntwo = 3\n", f"{HEAD}# one = 5\ntwo = 3\n", []),
        (f"{HEAD}one=5\n", f"{HEAD}one=5\n\n# It must be given.\ntwo =\n", ["two"]),
        (
            "[custom]\none = 1\n\n\n[step_main]\ntwo = 2\n",
            "[custom]\none = 1\n\n# It must be given.\ntwo =\n\n\n[step_main]\ntwo = 2\n",
            ["two"],
        ),
        (
            "[general]\nname = a\n",
            "[general]\nname = a\n\n\n[custom]\n\n# The first.\n# one = 1\n\n# It must be given.\ntwo =\n",
            ["one", "two"],
        ),
        ("[ custom ]\n#one = 2\n    more = 3\ntwo = x", "[ custom ]\n#one = 2\n    more = 3\ntwo = x", []),
    ],
)
def test_what_is_not_mentioned_is_added_at_the_end_of_the_section(text: str, expected: str, added: list[str]) -> None:
    assert with_keys(text, BLOCKS) == (expected, added)
    assert with_keys(expected, BLOCKS) == (expected, [])
