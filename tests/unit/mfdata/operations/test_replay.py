"""Tags that an archive tells are read back as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mfdata.operations.replay import parsed_tags
from mfdata.steps.archive import tags_text


def test_the_tags_beside_an_archived_file_are_read_back() -> None:
    tags = {"first.core.original_basename": b"a = \\n\n\x1b\xe9.png", "latest.core.uid": b"1"}
    assert parsed_tags(tags_text(tags)) == tags


@given(st.dictionaries(st.from_regex(r"[a-z0-9._]+", fullmatch=True), st.binary()))
def test_any_tags_are_read_back(tags: dict[str, bytes]) -> None:
    assert parsed_tags(tags_text(tags)) == tags
