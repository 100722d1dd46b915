"""Versions in rpm's order, and requirements on them."""

from __future__ import annotations

import pytest

from mfext.errors import ConfigError
from mfext.plugin.package.rpm_version import Capability, compare, compare_full, parse_requirement, rpm_version

#: In order, each older than the next.
ORDER = ("0.9~rc1", "0.9", "0.9^git1", "0.9.1", "1.0~beta", "1.0~rc1", "1.0", "1.0a", "1.0.1", "1.2", "1.10", "2", "10")


def test_versions_have_the_order_of_rpm() -> None:
    for number, version in enumerate(ORDER):
        assert [compare(version, other) for other in ORDER] == [
            (number > place) - (number < place) for place in range(len(ORDER))
        ], version


@pytest.mark.parametrize(("one", "other"), [("1.0", "1_0"), ("1.00", "1.0"), ("a.b", "a-b"), ("001", "1")])
def test_separators_and_leading_zeros_do_not_count(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one) == 0


def test_releases_count_only_where_both_have_one() -> None:
    assert compare_full("1.0-2", "1.0-1") == 1
    assert compare_full("1.0-2", "1.0") == 0
    assert compare_full("1.1-1", "1.0-2") == 1


@pytest.mark.parametrize(
    ("text", "met", "unmet"),
    [
        ("other", ["0", "9.9"], []),
        ("other >= 1.2", ["1.2-1", "1.10-1"], ["1.1-9"]),
        ("other>1.2", ["1.3"], ["1.2-5", "1.0"]),
        ("other = 1.2-3", ["1.2-3"], ["1.2-4"]),
        ("other <= 2", ["2-7", "1"], ["2.1"]),
        ("other < 2", ["1.9"], ["2"]),
    ],
)
def test_a_requirement_is_met_by_the_versions_that_it_says(text: str, met: list[str], unmet: list[str]) -> None:
    requirement = parse_requirement(text, "here")
    assert requirement.name == "other"
    assert [version for version in (*met, *unmet) if requirement.is_met_by(version)] == met


def test_a_requirement_is_written_as_it_is_read() -> None:
    assert str(parse_requirement("other>=1.2", "")) == "other >= 1.2"
    assert str(Capability("metwork_plugin(a)")) == "metwork_plugin(a)"


@pytest.mark.parametrize("text", ["", ">= 1", "other >=", "other => 1", "other 1.2", "a b"])
def test_what_is_no_requirement_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"here: .* is not understood; expected for example") as error:
        parse_requirement(text, "here")
    assert error.value.exit_code == 3


def test_what_rpm_refuses_in_a_version_is_replaced() -> None:
    assert rpm_version("feature-x.1b4fc52") == "feature_x.1b4fc52"
    assert rpm_version("1.0~rc1+2^3") == "1.0~rc1+2^3"
    assert rpm_version("") == "0"
