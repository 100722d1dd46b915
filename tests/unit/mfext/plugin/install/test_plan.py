"""What an installation is to do, and what speaks against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfext.errors import Conflict, MetworkError, PluginError, Several
from mfext.plugin.install.offers import Ground, Offer, Standing
from mfext.plugin.install.plan import Permission, in_order, plan
from mfext.plugin.install.plugin_requirements import needed_by, parse

UPGRADE, DOWNGRADE, PLAIN = Permission(upgrade=True), Permission(downgrade=True), Permission()


def offer(name: str, version: str = "1.0-1", *requires: str, digest: str = "") -> Offer:
    capabilities = tuple(parse(requirement) for requirement in requires)
    return Offer(name, version, digest or f"{name} {version}", Path(f"{name}.plugin"), capabilities)


def ground(*standings: Standing, version: str = "1.4.0") -> Ground:
    return Ground("mfdata", version, "cpython-311", {one.name: one for one in standings}, {"scientific"})


def here(name: str, version: str = "1.0-1", *requires: str) -> Standing:
    return Standing(name, version, f"{name} {version}", requires)


def needs(name: str, rest: str = "") -> str:
    return f"metwork_plugin({name}){rest}"


@pytest.mark.parametrize(
    ("present", "offered", "allowed", "message"),
    [
        ("1.0-1", "1.0-1", PLAIN, None),
        ("1.0-1", "1.1-1", PLAIN, "is installed in version 1.0-1, this is 1.1-1.*--upgrade"),
        ("1.0-1", "1.1-1", UPGRADE, None),
        ("1.0-1", "1.0-2", UPGRADE, None),
        ("1.1-1", "1.0-1", UPGRADE, "version 1.0-1, older than 1.1-1, which is installed.*--downgrade"),
        ("1.1-1", "1.0-1", DOWNGRADE, None),
        ("1.0-1", "1.1-1", DOWNGRADE, "--upgrade"),
        ("main.1b4fc52-1", "main.0a4fc52-1", UPGRADE, None),
        ("main.1b4fc52-1", "main.0a4fc52-1", PLAIN, "--upgrade"),
    ],
)
def test_a_plugin_that_is_there_is_changed_only_as_asked_for(
    present: str, offered: str, allowed: Permission, message: str | None
) -> None:
    if message is None:
        plan([offer("one", offered)], ground(here("one", present)), allowed)
    else:
        with pytest.raises(Conflict, match=message):
            plan([offer("one", offered)], ground(here("one", present)), allowed)


def test_what_is_there_already_is_left_out() -> None:
    assert plan([offer("one"), offer("two")], ground(here("one")), PLAIN) == [offer("two")]


def test_the_same_version_built_otherwise_takes_its_place_when_asked_to() -> None:
    other = offer("one", digest="other")
    assert plan([other], ground(here("one")), UPGRADE) == [other]
    with pytest.raises(Conflict, match="--upgrade"):
        plan([other], ground(here("one")), PLAIN)


@pytest.mark.parametrize(
    ("standing", "message"),
    [
        (Standing("one", "1-1", builtin=True), "is built in.*--new-name"),
        (Standing("one", "1-1", dev_link=Path("src")), "is dev-linked to src.*plugins.uninstall one"),
    ],
)
def test_a_built_in_and_a_developers_plugin_stay(standing: Standing, message: str) -> None:
    with pytest.raises(Conflict, match=message):
        plan([offer("one")], ground(standing), UPGRADE)


def test_plugins_come_after_those_that_they_require_in_whatever_order_they_are_given() -> None:
    offers = [
        offer("a", "1-1", needs("b"), needs("c", " >= 1")),
        offer("b", "1-1", needs("c")),
        offer("c", "1-1", "metwork-mfdata >= 1.0"),
        offer("d"),
    ]
    for given in (offers, offers[::-1]):
        names = [one.name for one in plan(given, ground(), PLAIN)]
        assert names.index("c") < names.index("b") < names.index("a")


def test_a_circle_of_requirements_has_some_order() -> None:
    circle = [offer("a", "1-1", needs("b")), offer("b", "1-1", needs("a"))]
    assert {one.name for one in in_order(circle)} == {"a", "b"}


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (needs("other"), 'one.plugin: it requires the plugin "other", which is not installed'),
        (needs("there", " >= 2"), 'requires the plugin "there" >= 2, and that would be version 1.0-1'),
        ("metwork-mfdata >= 1.5", "requires metwork-mfdata >= 1.5, and this is version 1.4.0"),
        ("metwork_python(cpython-39)", "and this is cpython-311"),
        (
            "metwork-mfext-layer-magics",
            'the layer "magics" is not on this machine. Install the package metwork-mfext-layer-magics.',
        ),
        ("libfoo.so.1", "which is none of MetWork's"),
    ],
)
def test_a_requirement_that_is_not_met_is_named(requirement: str, message: str) -> None:
    with pytest.raises(PluginError) as error:
        plan([offer("one", "1-1", requirement)], ground(here("there")), PLAIN)
    assert message in error.value.message


@pytest.mark.parametrize(
    "requirement",
    [
        needs("there", " = 1.0"),
        needs("linked", " >= 99"),
        "metwork-mfdata >= 1.4",
        "metwork_python(cpython-311)",
        "metwork-mfext-layer-scientific",
    ],
)
def test_requirements_that_are_met(requirement: str) -> None:
    linked = Standing("linked", "0-1", dev_link=Path("src"))
    assert plan([offer("one", "1-1", requirement)], ground(here("there"), linked), PLAIN)


def test_a_module_in_a_checkout_has_any_version() -> None:
    assert plan([offer("one", "1-1", "metwork-mfdata >= 9")], ground(version="main.1b4fc52"), PLAIN)


def test_a_change_that_breaks_another_plugin_is_refused() -> None:
    user = here("user", "1-1", needs("one", " < 2"))
    with pytest.raises(PluginError, match='"user" requires the plugin "one" < 2, and that would be version 2-1'):
        plan([offer("one", "2-1")], ground(here("one"), user), UPGRADE)


def test_everything_that_speaks_against_it_is_told_at_once() -> None:
    with pytest.raises(Several) as error:
        plan([offer("a", "1-1", needs("x")), offer("b", "1-1", needs("y"))], ground(), PLAIN)
    assert len(error.value.errors) == 2


def test_two_archives_of_one_plugin_are_refused() -> None:
    with pytest.raises(MetworkError, match='several archives of the plugin "one"'):
        plan([offer("one", "1-1"), offer("one", "2-1")], ground(), PLAIN)


def test_a_plugin_that_others_require_is_not_removed() -> None:
    installed = {one.name: one for one in (here("one"), here("user", "1-1", needs("one", " >= 1")))}
    assert [error.exit_code for error in needed_by({"one"}, installed)] == [4]
    assert needed_by({"user"}, installed) == needed_by({"one", "user"}, installed) == []
