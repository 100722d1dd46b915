"""Answers of steps: whether the steps that they name are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mfdata import Done, Failed
from mfdata.storage.places import Places, Target
from mfdata.worker.answer_check import Answers
from mfext.testing import temporary_home


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(temporary_home(tmp_path))
    publish(found, "p/main", "there/main")
    return found


def publish(places: Places, *steps: str) -> None:
    places.rules.mkdir(parents=True, exist_ok=True)
    part = places.rules / ".rules.json"
    part.write_text(json.dumps({"steps": steps}))
    part.rename(places.rules / "rules.json")


def try_lock(answers: Answers, to: str) -> bool:
    answer = answers.checked(Done(to=to))
    if isinstance(answer, Failed):
        assert answer.permanent
        assert answer.reason == f'there is no step "{to}"'
    return isinstance(answer, Done)


def test_files_go_to_a_step_that_is_in_force_and_to_no_other(places: Places) -> None:
    answers = Answers(places, "p")
    assert try_lock(answers, "there/main")
    assert not try_lock(answers, "there/other")
    assert not try_lock(answers, "nosuch/main")


def test_the_queue_that_an_uninstalled_plugin_left_is_no_step(places: Places) -> None:
    places.queue(Target("gone", "main")).mkdir(parents=True)
    answers = Answers(places, "p")
    assert not try_lock(answers, "gone/main")
    publish(places, "p/main", "there/main", "gone/main")
    assert try_lock(answers, "gone/main")
    publish(places, "p/main", "there/main")
    assert not try_lock(answers, "gone/main")


def test_files_for_a_plugin_that_has_a_fault_wait_for_it(places: Places) -> None:
    places.queue(Target("faulty", "main")).mkdir(parents=True)
    (places.home.plugins / "faulty").mkdir(parents=True)
    assert try_lock(Answers(places, "p"), "faulty/main")


def test_files_for_a_plugin_that_is_required_wait_for_it(places: Places) -> None:
    assert try_lock(Answers(places, "p", frozenset({"wanted"})), "wanted/main")
    assert not try_lock(Answers(places, "p", frozenset({"wanted"})), "other/main")


def test_tags_of_an_answer_are_bounded_as_those_of_the_file_are(places: Places) -> None:
    answers = Answers(places, "p")
    assert isinstance(answers.checked(Done(tags={"large": b"a" * (1 << 16)})), Done)
    huge = answers.checked(Done(tags={"huge": b"a" * 65_537}))
    assert isinstance(huge, Failed)
    assert huge.reason == "the tag 'huge' has 65537 bytes, more than 65536"
    many = answers.checked(Done(tags={f"tag{number}": b"a" * (1 << 15) for number in range(33)}))
    assert isinstance(many, Failed)
    assert "more than 1048576" in many.reason
