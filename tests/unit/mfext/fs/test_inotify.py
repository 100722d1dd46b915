"""What watches folders."""

from __future__ import annotations

import errno

import pytest

from mfext.errors import ServiceUnavailable
from mfext.fs.inotify import new_inotify


@pytest.mark.parametrize(("number", "kind"), [(errno.EMFILE, ServiceUnavailable), (errno.ENOMEM, OSError)])
def test_a_user_who_has_no_instances_left_is_told_what_to_raise(
    number: int, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(nonblocking: bool) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("mfext.fs.inotify.INotify", none_left)
    with pytest.raises(kind) as caught:
        new_inotify()
    assert ("max_user_instances" in str(caught.value)) == (kind is ServiceUnavailable)
