"""The commands on plugins: ``metwork plugins …`` and ``bootstrap_plugin.py …``, thin over the files beside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mfext.commands.busy import Busy
from mfext.commands.current import current_home
from mfext.commands.dry_run import DRY_RUN, show_preview
from mfext.commands.offers import offer_plugins, offer_templates
from mfext.commands.output import JSON, Form, Group, print_json, progress, report, shows_form
from mfext.commands.releases import COMMANDS, warn
from mfext.environment import Home, current_module
from mfext.errors import MetworkError, ServiceUnavailable, UsageError

#: States of processes, the worst first.
STATES = ("failing", "starting", "drained", "running", "stopped")


@click.group(cls=Group)
def plugins() -> None:
    """Plugins: make, try, link, list, check, remove."""


@click.group("bootstrap_plugin.py", cls=Group)
def bootstrap() -> None:
    """Make a plugin from a template."""


@plugins.command("create")
@click.option(
    "--template",
    "template_name",
    default="default",
    show_default=True,
    help="What it is made from.",
    shell_complete=offer_templates,
)
@click.option("--no-input", is_flag=True, help="Ask nothing, take the defaults.")
@click.option("--set", "texts", multiple=True, metavar="KEY=VALUE", help="Set a key of config.ini: KEY or SECTION.KEY.")
@JSON
@click.argument("name", required=False, default="")
def create_command(template_name: str, no_input: bool, texts: Sequence[str], name: str, *, as_json: bool) -> None:
    """Make the plugin NAME in a new folder ./NAME.

    On a terminal it asks for what is not set.
    """
    from mfext.plugin.author import prompts, template

    module, home = current_home()
    chosen = template.load_template(template_name, module.name)
    sections = template.sections_of(chosen, module)
    given = prompts.settings(texts, sections)
    asks = not no_input and sys.stdin.isatty()
    name = name or (prompts.asked_name() if asks else "")
    if not name:
        raise UsageError(
            "the name of the plugin is missing", expected=f"{click.get_current_context().command_path} NAME"
        )
    template.check_name(name)
    place = Path.cwd() / name
    template.check_place(place)
    values = {**template.default_values(chosen, name), **given}
    if asks:
        questions = [question for question in prompts.questions(chosen) if question not in given]
        values.update(prompts.asked(questions, sections, values))
    made = template.create(chosen, values, module, place, home)
    if as_json:
        secrets = str(made.secrets) if made.secrets else None
        print_json({"name": made.name, "folder": str(place), "template": chosen.name, "secrets": secrets})
        return
    click.echo(f"INFO : The plugin {made.name} is correctly created with the template {chosen.name}")
    if made.secrets:
        click.echo(f"INFO : Its secrets are in {made.secrets}, which no archive holds")


@plugins.command("templates")
@JSON
def templates_command(as_json: bool) -> None:
    """List the templates that a plugin can be made from."""
    from mfext.plugin.author.template import templates

    found = [{"name": one.name, "title": one.header.title} for one in templates(current_module())]
    width = max((len(one["name"]) for one in found), default=0)
    text = "\n".join(f"* {one['name']:{width}}  {one['title']}" for one in found)
    _print(found, f"Templates:\n\n{text}", as_json)


bootstrap.add_command(create_command, "create")
bootstrap.add_command(templates_command, "list")
for command in COMMANDS:
    plugins.add_command(command)


@plugins.command("develop")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def develop_command(folder: Path) -> None:
    """Dev-link the plugin in FOLDER, so that it runs from there.

    It restarts when its files change.
    """
    from mfext.plugin.author.develop import develop, warnings_of

    module, home = current_home()
    plugin, result = develop(folder, module, home, progress)
    warn(warnings_of(plugin, module, home))
    _raise_failures(result.problems, plugin.name, home)
    if result.changed:
        click.echo(f"INFO : The plugin {plugin.name} is dev-linked and runs")
    else:
        click.echo(f'INFO : The plugin {plugin.name} is dev-linked; it will run after "{module.name}.start"')


@plugins.command("uninstall")
@click.option("--move-to", default="", metavar="PLUGIN/STEP", help="The step that gets the files that wait for it.")
@click.option("--quarantine", is_flag=True, help="Put the files that wait for it into quarantine.")
@DRY_RUN
@JSON
@click.argument("name", shell_complete=offer_plugins)
def uninstall_command(move_to: str, quarantine: bool, name: str, *, is_dry: bool, as_json: bool) -> int:
    """Take the plugin NAME out of the module.

    Of a dev-linked one only the link is removed.
    """
    from mfext.plugin.author.develop import preview_uninstall, uninstall

    if move_to and quarantine:
        raise UsageError("files can go to one place only", expected="--move-to or --quarantine")
    module, home = current_home()
    if is_dry:
        found = preview_uninstall(name, module, home, move_to=move_to, quarantine=quarantine)
        return show_preview(found, module.name, as_json=as_json)
    with Busy(f"{name} is uninstalled"):
        removed, result = uninstall(name, module, home, move_to=move_to, quarantine=quarantine)
    warn(result.problems)
    _print({"name": removed, "module": module.name}, f"INFO : The plugin {removed} is uninstalled", as_json)
    return 0


@plugins.command("list")
@shows_form
def list_command(form: Form) -> None:
    """List the installed plugins."""
    from mfext.configuration.module_config import module_config
    from mfext.plugin.install.repair import interrupted
    from mfext.plugin.installed import survey
    from mfext.plugin.listing import entry, list_text

    module, home = current_home()
    warn(interrupted(module, home))
    states = _states(home)
    entries = [entry(one, states) for one in survey(home, module, module_config(module, home))]
    _print(entries, list_text(entries, form.width), form.is_json)


@plugins.command("info")
@shows_form
@click.argument("which", metavar="NAME|PATH|FILE", shell_complete=offer_plugins)
def info_command(which: str, form: Form) -> None:
    """Tell all of a plugin or an archive.

    What it is, what is configured and where that comes from, its files.
    """
    from mfext.plugin.installed import chosen
    from mfext.plugin.listing import archive_info, info, info_text
    from mfext.plugin.package.archive import is_archive, read_archive
    from mfext.plugin.package.signature import signature_of, trusted_keys

    module, home = current_home()
    if is_archive(which):
        archive = read_archive(Path(which))
        facts = archive_info(archive, str(signature_of(archive, trusted_keys(home))))
    else:
        plugin, installed = chosen(which, home, module)
        facts = info(plugin, _states(home).get(plugin.name, "stopped") if installed else None)
    _print(facts, info_text(facts, form.width), form.is_json)


@plugins.command("check")
@JSON
@click.option("--strict", is_flag=True, help="What is worth a warning is a fault.")
@click.argument("which", metavar="PATH|NAME|FILE", default=".", shell_complete=offer_plugins)
def check_command(as_json: bool, strict: bool, which: str) -> int:
    """Check a plugin, alone and among the installed ones.

    That is its configuration, code and commands.

    Of a folder also what a release of it would refuse, and what of its requirements is not installed here. Of an
    installed release also whether its files are as they were in its archive; of an archive, whether it is in
    order.
    """
    from mfext.plugin.author.inspection import inspect

    module, home = current_home()
    found = inspect(which, module, home)
    if as_json:
        print_json(found.as_json())
    else:
        warn(found.warnings)
        for line in found.differences.lines():
            click.echo(line)
    status = report(found.faults) if not as_json else found.faults[0].exit_code if found.faults else 0
    if strict and found.warnings and not status:
        return found.warnings[0].exit_code
    if not found.faults and not as_json:
        click.echo(f"INFO : The plugin {found.name} is correct")
    return status


@plugins.command("test")
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
def test_command(folder: Path) -> None:
    """Run the tests of the plugin in FOLDER.

    Those of its rules come first, then the others with pytest.
    """
    from mfext.configuration.module_config import module_config
    from mfext.errors import raise_all
    from mfext.plugin.author.check import run_tests
    from mfext.plugin.developed import prepare
    from mfext.plugin.manifest import load_plugin

    module, home = current_home()
    plugin = load_plugin(folder, module, home)
    prepare(plugin, module, home, progress)
    raise_all([*module.check_plugin(home, module_config(module, home), plugin, ())])
    raise SystemExit(run_tests(plugin, home))


@plugins.command("run", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(command: tuple[str, ...]) -> int:
    """Run COMMAND with the packages of the plugin in this folder.

    They are its requirements and its layers.

    For example: metwork plugins run python3 main.py FILE
    """
    import subprocess

    from mfext.plugin.developed import prepare
    from mfext.plugin.manifest import load_plugin
    from mfext.plugin.python_requirements import environment_for

    module, home = current_home()
    plugin = load_plugin(Path(), module, home)
    prepare(plugin, module, home, progress)
    try:
        done = subprocess.run(command, env=environment_for(plugin, home), check=False)
    except FileNotFoundError:
        raise UsageError(f'there is no program "{command[0]}"') from None
    return done.returncode


@plugins.command("makefile")
@JSON
def makefile_command(*, as_json: bool) -> None:
    """Print the path of what a plugin's Makefile includes."""
    path = str(Path(__file__).parent.parent / "plugin" / "plugin.mk")
    _print({"path": path}, path, as_json)


def _states(home: Home) -> dict[str, str]:
    """The state of each plugin's processes by its name: that of the one which does worst."""
    from mfext.supervision.supervisor import Supervisor

    states: dict[str, str] = {}
    for process in sorted(Supervisor(home).states(), key=lambda one: STATES.index(one.state)):
        states.setdefault(process.plugin, process.state)
    return states


def _print(value: Any, text: str, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(text)


def _raise_failures(problems: Sequence[MetworkError], name: str, home: Home) -> None:
    """Raise what keeps the dev-linked plugin *name* from running; warn of what is wrong with others."""
    failures = [problem for problem in problems if isinstance(problem, ServiceUnavailable)]
    warn([problem for problem in problems if problem not in failures])
    if failures:
        told = "\n".join(failure.message for failure in failures)
        is_own = _states(home).get(name) in ("failing", "starting")
        raise ServiceUnavailable(
            f"{told}\nThe plugin {name} stays dev-linked",
            mend="Mend its files: it starts again by itself when they change." if is_own else "Its own processes run.",
        )
