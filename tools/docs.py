"""The pages of ``docs/reference``, made from what the code declares."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from mfext import errors
from mfext.commands.cli import metwork, program_names
from mfext.commands.output import HELP, VERSION
from mfext.configuration.module_config import module_schema
from mfext.configuration.reference import json_schema, markdown
from mfext.environment import SOFTWARE
from mfext.errors import MetworkError
from mfext.metrics.collect import COMMON
from mfext.metrics.metric import Metric
from mfext.module import Module, load_module, module_names
from mfext.plugin.author.template import sections_of, templates
from mfext.plugin.general import General
from mfext.plugin.manifest import load_plugin
from mfext.section import Config, Section, declared
from tools.python_api import PACKAGES, python_page

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
SETTINGS = ROOT / "setup.cfg"
MADE_BY = "<!-- Written by `make docs`: change the declarations in the code, not this page. -->\n\n"


def main() -> int:
    """Write what changed, or with ``--check`` say what would; 0 = all is well."""
    made = pages()
    stale = [name for name, text in made.items() if not _has(name, text)]
    stale += [path.name for path in FOLDER.glob("*") if path.name not in made]
    settings, programs = SETTINGS.read_text("utf-8"), with_programs(SETTINGS.read_text("utf-8"))
    if "--check" in sys.argv:
        old = [f"docs/reference/{name}" for name in stale] + ["setup.cfg"] * (settings != programs)
        for name in old:
            print(f"{name} is not up to date. Run make docs.", file=sys.stderr)
        return 1 if old else 0
    if settings != programs:
        SETTINGS.write_text(programs, "utf-8")
        print("setup.cfg: run make setup, too, for the programs of new commands")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in made:
            (FOLDER / name).write_text(made[name], "utf-8")
        else:
            (FOLDER / name).unlink()
        print(f"docs/reference/{name}")
    return 0


def with_programs(settings: str) -> str:
    """The text of ``setup.cfg``, *settings*, with a program for each command (pure but for what is declared)."""
    head, mark, rest = settings.partition("console_scripts =\n")
    _old, end, tail = rest.partition("\n\n")
    programs = "\n".join(f"    {name} = mfext.commands.cli:alias" for name in program_names())
    return f"{head}{mark}{programs}{end}{tail}"


def _has(name: str, text: str) -> bool:
    path = FOLDER / name
    return path.is_file() and path.read_text("utf-8") == text


def pages() -> dict[str, str]:
    """The text of every page, by its name."""
    made = {
        "commands.md": MADE_BY + commands_page(),
        "errors.md": MADE_BY + errors_page(),
        "metrics.md": MADE_BY + metrics_page(),
    }
    for module in map(load_module, module_names()):
        made[f"{module.name}.md"] = MADE_BY + module_page(module)
        made[f"{module.name}_plugins.md"] = MADE_BY + plugins_page(module)
        made[f"{module.name}_builtin.md"] = MADE_BY + builtin_page(module)
        made[f"{module.name}_templates.md"] = MADE_BY + templates_page(module)
        schema = json_schema(module_schema(module), f"config/config.ini of {module.name}")
        made[f"{module.name}.schema.json"] = json.dumps(schema, indent=2) + "\n"
    for package in PACKAGES:
        made[f"python_{package}.md"] = MADE_BY + python_page(package)
    titles = {name: text.partition("\n# ")[2].partition("\n")[0] for name, text in made.items() if name.endswith(".md")}
    links = "\n".join(f"- [{title}]({name})" for name, title in sorted(titles.items()))
    return {"README.md": f"{MADE_BY}# Reference\n\n{links}\n", **made}


MODULE_HEAD = """\
# Configuration of {module}

Keys of `config/config.ini` in the home of {module}. `metwork config show` says what is in force and where each value
comes from, `metwork config check` whether all is right.

"""
PLUGINS_HEAD = """\
# Configuration of {module} plugins

Keys of a plugin's `config.ini`. `[custom]` holds the keys that the plugin's own code declares; those of the templates
are in [{module}_templates.md]({module}_templates.md). An administrator overrides keys in `config/plugins/NAME.ini` of
the home, or for the whole machine in `/etc/metwork.config.d/{module}/plugins/NAME.ini`.

"""
TEMPLATES_HEAD = """\
# Templates of {module} plugins

`bootstrap_plugin.py create --template=TEMPLATE NAME` makes a plugin from one. A template declares its own keys in
`[custom]`; the others are in [{module}_plugins.md]({module}_plugins.md)."""
BUILTIN_HEAD = """\
# Built-in plugins of {module}

They come with {module} and run when `[internal_plugins]` of its [configuration]({module}.md) asks for them. Their keys
are set in `config/plugins/NAME.ini` of the home."""
ERRORS_HEAD = """\
# Errors

A command that fails says where, what was found, what was expected and the mend, and exits with the status of its kind.
Of several errors found in one go, one a line, the first gives the status.

| error | exit status | what it means |
|---|---|---|
"""
METRICS_HEAD = """\
# Metrics

While a module runs, it answers `GET /metrics` on the socket `var/run/metrics.sock` of its home, and on a port when
`[metrics] port` of its `config/config.ini` sets one, for Prometheus: text, or OpenMetrics for who asks for it.

```console
$ curl --unix-socket ~/mfdata/var/run/metrics.sock http://localhost/metrics
```

Counters start at 0 with the module, and outlive its processes."""
COMMANDS_HEAD = """\
# Commands

`metwork plugins list` is also `plugins.list`, `metwork mfdata start` is also `mfdata.start`, and so on: each command of
two words has both forms. Which module a bare `plugins.…` acts on comes from `MFMODULE`, which `metwork shell mfdata`
sets. Every command has `--help` (`-h`) and `--version`."""


def module_page(module: Module) -> str:
    """The configuration of a module itself."""
    return MODULE_HEAD.format(module=module.name) + markdown(module_schema(module).sections)


def metrics_page() -> str:
    """The metrics of every module, and those of each."""
    groups = {"every module": COMMON, **{name: load_module(name).metrics for name in module_names()}}
    return (
        METRICS_HEAD
        + "".join(
            f"\n\n## Of {name}\n\n| metric | type | labels | |\n|---|---|---|---|\n"
            + "\n".join(map(_metric_row, metrics))
            for name, metrics in groups.items()
            if metrics
        )
        + "\n"
    )


def _metric_row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.type.value} | {labels} | {metric.help} |"


def plugins_page(module: Module) -> str:
    """What a ``config.ini`` of a plugin may hold."""
    sections: dict[str, type[Section]] = {"general": General, **module.plugin_schema.sections}
    return PLUGINS_HEAD.format(module=module.name) + markdown(sections)


def templates_page(module: Module) -> str:
    """What plugins can be made from."""
    parts = [TEMPLATES_HEAD.format(module=module.name)]
    for template in templates(module.name):
        parts.append(f"## `{template.name}`")
        parts.append(f"{template.header.title}. {template.header.help}".strip())
        custom = sections_of(template, module)["custom"]
        parts += [markdown({"custom": custom}, depth=3).strip()] if declared(custom) else []
    return "\n\n".join(parts) + "\n"


def builtin_page(module: Module) -> str:
    """What the built-in plugins may be told."""
    parts = [BUILTIN_HEAD.format(module=module.name)]
    for file in sorted((SOFTWARE / module.name / "plugins").glob("*/config.ini")):
        plugin = load_plugin(file.parent, module, None, builtin=True)
        parts += [f"## `{plugin.name}`", f"{plugin.general.summary}."]
        parts += [markdown({"custom": keys}, depth=3).strip() for keys in _keys_of(plugin.config)]
    return "\n\n".join(parts) + "\n"


def _keys_of(config: Config) -> Iterator[type[Section]]:
    """The sections that are declared where the commands of a plugin's *config* are, ``{PYTHON} -m PLACE``."""
    commands = [row.value for row in config.rows() if row.key == "cmd"]
    for place in (command.partition(" -m ")[2] for command in commands):
        kinds = [kind for kind in vars(importlib.import_module(place)).values() if inspect.isclass(kind)]
        yield from (kind for kind in kinds if issubclass(kind, Section) and kind.__module__ == place)


def errors_page() -> str:
    """Every kind of error and its exit status."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MetworkError)]
    kinds = sorted(set(kinds) - {errors.Several}, key=lambda kind: (kind.exit_code, kind.__name__))
    rows = [f"| `{kind.__name__}` | {kind.exit_code} | {inspect.getdoc(kind)} |" for kind in kinds]
    return ERRORS_HEAD + "\n".join(rows) + "\n"


def commands_page() -> str:
    """Every command with its arguments and options."""
    root = click.Context(metwork(), info_name="metwork", help_option_names=HELP)
    parts = [COMMANDS_HEAD, *(text for command in _commands(root) for text in _command_parts(command))]
    return "\n\n".join(parts) + "\n"


def _commands(context: click.Context) -> Iterator[click.Context]:
    """Every command below the group of *context*, in a context of its own."""
    group = cast(click.Group, context.command)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            inner = click.Context(command, info_name=name, parent=context)
            yield from _commands(inner) if isinstance(command, click.Group) else [inner]


def _command_parts(context: click.Context) -> Iterator[str]:
    command = context.command
    name = context.command_path.replace("metwork bootstrap_plugin.py", "bootstrap_plugin.py")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## `{name}`"
    yield f"```\n{name} {usage}\n```"
    yield inspect.cleandoc(command.help or "")
    options = [
        record
        for parameter in command.params
        if parameter is not VERSION and (record := parameter.get_help_record(context))
    ]
    if options:
        yield "\n".join(["| option | meaning |", "|---|---|", *map(_option_row, options)])


def _option_row(record: tuple[str, str]) -> str:
    names, meaning = (text.replace("|", "\\|") for text in record)
    return f"| `{names}` | {meaning} |"


if __name__ == "__main__":
    sys.exit(main())
