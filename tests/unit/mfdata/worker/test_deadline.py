"""Whether a file comes too late for its step."""

from __future__ import annotations

import pytest

from mfdata.outcome import Expired, Failed
from mfdata.storage.places import Target
from mfdata.storage.tags import PUT_BACK, Tags, accepted_at, first_tags
from mfdata.worker.deadline import Deadline

STEP = Target("p", "main")
ACCEPTED = 1_700_000_000.0
UID = f"{int(ACCEPTED * 1e6):014x}" + "a" * 12


def tags(uid: str = UID, **more: bytes) -> Tags:
    return first_tags(uid, b"some.png", b"incoming") | more


def test_the_uid_tells_when_a_file_was_accepted() -> None:
    assert accepted_at(tags(), 0.0) == ACCEPTED


def test_an_output_is_as_old_as_what_it_was_made_from() -> None:
    assert accepted_at(tags() | {"latest.core.uid": f"{UID}.1".encode()}, 0.0) == ACCEPTED


@pytest.mark.parametrize("uid", ["", "by hand", "mine-000000000"])
def test_a_file_of_unknown_age_does_not_expire(uid: str) -> None:
    assert Deadline(STEP, 60).missed(tags(uid), ACCEPTED + 1e6) is None


@pytest.mark.parametrize(("age", "late"), [(-5, False), (0, False), (60, False), (60.1, True)])
def test_a_file_expires_after_the_deadline(age: float, late: bool) -> None:
    assert (Deadline(STEP, 60).missed(tags(), ACCEPTED + age) is not None) is late


def test_the_reason_names_the_deadline_of_the_step() -> None:
    rule = "deadline = 60 s of p/main"
    reason = f"{rule}: 90 s after it was accepted"
    assert Deadline(STEP, 60).missed(tags(), ACCEPTED + 90) == Failed(reason, permanent=True, kind="expired")
    assert Deadline(STEP, 60, drops=True).missed(tags(), ACCEPTED + 90) == Expired(rule, reason)


def test_a_file_that_was_put_back_by_hand_has_all_the_time_again() -> None:
    known = tags() | {PUT_BACK: b"%.3f" % (ACCEPTED + 1000)}
    assert Deadline(STEP, 60).missed(known, ACCEPTED + 1050) is None
    assert Deadline(STEP, 60).missed(known, ACCEPTED + 1061) is not None
