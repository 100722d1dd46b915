"""The Python API of plugins: what the public lists name, read from the source without importing it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import griffe
from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).resolve().parent.parent
#: The packages whose API plugins import, and what each page says first.
PACKAGES: Mapping[str, str] = {
    "mfdata": "What the code of a step imports.",
    "mfserv": "What the code of a service imports.",
    "mfext": "What the code of every plugin may import, whatever its module.",
}
#: The submodule of a package that is public without being in its list, since only tests import it.
_FOR_TESTS = "testing"
_WIDTH = 100


@dataclass(frozen=True)
class Described:
    """A parameter, an attribute or an error, and what is said of it."""

    name: str
    #: Its type as it is written in the source; '' = none.
    type: str
    #: '' = nothing is said.
    meaning: str


@dataclass(frozen=True)
class Name:
    """Something public: a class, a function, a member of a class, or a value."""

    #: As the author of a plugin writes it: ``Step.output``.
    name: str
    #: The whole path: ``mfdata.Step.output``.
    path: str
    #: class, function or attribute.
    kind: str
    #: As in the source, without ``self``; '' for what is not called.
    signature: str = ""
    #: Markdown; '' = it has no docstring.
    text: str = ""
    parameters: tuple[Described, ...] = ()
    attributes: tuple[Described, ...] = ()
    raises: tuple[Described, ...] = ()
    returns: str = ""
    methods: tuple[Name, ...] = ()

    def with_methods(self) -> Iterator[Name]:
        """Itself and what it has."""
        yield self
        yield from self.methods


@dataclass(frozen=True)
class PublicModule:
    """A module that plugins import."""

    #: As it is imported: ``mfdata.testing``.
    path: str
    text: str
    names: tuple[Name, ...]


def python_page(package: str) -> str:
    """The reference page of *package*, as Markdown."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _cell
    template = environment.get_template("python_api.md.j2")
    page = template.render(package=package, summary=PACKAGES[package], modules=public_modules(package))
    return re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"


def public_modules(package: str) -> list[PublicModule]:
    """What is public of *package*: its own list first, then the modules that the list names and the one for tests."""
    root = _loaded(package)
    own = [name for name in _listed(root) if not isinstance(root[name], griffe.Module)]
    below = [name for name in (*_listed(root), _FOR_TESTS) if name not in own]
    found = [_module(root, own)] if own else []
    return [*found, *(_module(root[name], _listed(root[name])) for name in dict.fromkeys(below))]


@cache
def _loaded(package: str) -> griffe.Module:
    loader = griffe.GriffeLoader(
        search_paths=[ROOT], docstring_parser=griffe.Parser.google, allow_inspection=False, store_source=True
    )
    for name in PACKAGES:
        loader.load(name)
    return cast(griffe.Module, loader.modules_collection[package])


def _listed(module: griffe.Object | griffe.Alias) -> list[str]:
    """The names in ``__all__`` of *module*."""
    if not module.exports:
        raise SystemExit(f"{module.path} has no __all__: nothing of it is public")
    return [str(name) for name in module.exports]


def _module(module: griffe.Object | griffe.Alias, names: list[str]) -> PublicModule:
    return PublicModule(module.path, _text(module), tuple(_name(module[name], module.path) for name in names))


def _name(found: griffe.Object | griffe.Alias, place: str, owner: str = "") -> Name:
    """What is told of *found*, which is imported from *place* or is a member of the class *owner*."""
    one = found.final_target if isinstance(found, griffe.Alias) else found
    name = f"{owner}.{found.name}" if owner else found.name
    path = f"{place}.{name}"
    if isinstance(one, griffe.Class):
        return _class(one, name, path, place)
    if isinstance(one, griffe.Function):
        return Name(
            name,
            path,
            "function",
            _signature(name, one.parameters, _annotation(one.returns)),
            _text(one),
            tuple(_parameters(one.parameters, _said(one))),
            raises=tuple(_raises(one)),
            returns=_returns(one),
        )
    value = cast(griffe.Attribute, one)
    return Name(name, path, "attribute", f"{name} = {value.value}", _comment(value))


def _class(one: griffe.Class, name: str, path: str, place: str) -> Name:
    members = [member for key, member in one.members.items() if not key.startswith("_") and not member.is_alias]
    attributes = {
        member.name: Described(
            member.name, _annotation(member.annotation), _comment(member) or _of_base(one, member.name)
        )
        for member in members
        if isinstance(member, griffe.Attribute)
    }
    made = one.members.get("__init__")
    said = {key: attribute.meaning for key, attribute in attributes.items()} | _said(one)
    said |= _said(made) if isinstance(made, griffe.Function) else {}
    # One that is made as its base is says nothing more of that.
    parameters = tuple(_parameters(one.parameters, said)) if made or not one.bases else ()
    own = {parameter.name.lstrip("*") for parameter in parameters}
    bases = ", ".join(map(str, one.bases))
    return Name(
        name,
        path,
        "class",
        _signature(name, one.parameters, "") if parameters else "",
        _text(one) + (f"\n\nExtends `{bases}`." if bases else ""),
        parameters,
        tuple(attribute for key, attribute in attributes.items() if key not in own),
        tuple(_raises(made)) if isinstance(made, griffe.Function) else (),
        methods=tuple(_name(member, place, name) for member in members if isinstance(member, griffe.Function)),
    )


def _of_base(one: griffe.Class, name: str) -> str:
    """What a base of *one* says of its attribute *name*."""
    found = [
        base.members[name] for base in one.resolved_bases if isinstance(base, griffe.Class) and name in base.members
    ]
    return next((_comment(base) for base in found if isinstance(base, griffe.Attribute)), "")


def _parameters(parameters: griffe.Parameters, said: Mapping[str, str]) -> Iterator[Described]:
    for one in _without_self(parameters):
        yield Described(f"{_stars(one)}{one.name}", _annotation(one.annotation), said.get(one.name, ""))


def _without_self(parameters: griffe.Parameters) -> list[griffe.Parameter]:
    return [one for number, one in enumerate(parameters) if number or one.name not in ("self", "cls")]


def _stars(one: griffe.Parameter) -> str:
    kinds = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
    return kinds.get(one.kind, "") if one.kind else ""


def _signature(name: str, parameters: griffe.Parameters, returns: str) -> str:
    words = []
    has_star = False
    for one in _without_self(parameters):
        has_star = has_star or one.kind is griffe.ParameterKind.var_positional
        if one.kind is griffe.ParameterKind.keyword_only and not has_star:
            words.append("*")
            has_star = True
        type_ = f": {_annotation(one.annotation)}" if one.annotation else ""
        default = f" = {one.default}" if one.default is not None and not _stars(one) else ""
        words.append(f"{_stars(one)}{one.name}{type_}{default}")
    arrow = f" -> {returns}" if returns else ""
    line = f"{name}({', '.join(words)}){arrow}"
    return line if len(line) <= _WIDTH else f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){arrow}"


def _annotation(annotation: object) -> str:
    return re.sub(r"\bClassVar\[(.*)\]$", r"\1", str(annotation)) if annotation else ""


def _sections(one: griffe.Object | griffe.Alias) -> list[griffe.DocstringSection]:
    return one.docstring.parsed if one.docstring else []


def _said(one: griffe.Object) -> dict[str, str]:
    """What a docstring says of each parameter, by its name."""
    return {
        item.name.lstrip("*"): _markdown(item.description)
        for section in _sections(one)
        if isinstance(section, griffe.DocstringSectionParameters)
        for item in section.value
    }


def _raises(one: griffe.Object) -> Iterator[Described]:
    for section in _sections(one):
        if isinstance(section, griffe.DocstringSectionRaises):
            for item in section.value:
                yield Described(str(item.annotation), "", _markdown(item.description))


def _returns(one: griffe.Object) -> str:
    found = [
        section
        for section in _sections(one)
        if isinstance(section, (griffe.DocstringSectionReturns, griffe.DocstringSectionYields))
    ]
    return " ".join(_markdown(item.description) for section in found for item in section.value)


def _text(one: griffe.Object | griffe.Alias) -> str:
    """The text of a docstring without what it says of parameters and errors."""
    found = [section.value for section in _sections(one) if isinstance(section, griffe.DocstringSectionText)]
    return "\n\n".join(map(_markdown, found))


def _comment(one: griffe.Attribute) -> str:
    """What is said of an attribute: its docstring, or the comment ``#:`` above it or behind it."""
    if one.docstring:
        return _text(one)
    if one.lineno is None or not isinstance(one.filepath, Path):
        return ""
    lines = one.lines_collection[one.filepath]
    _, sign, behind = lines[one.lineno - 1].partition("  #: ")
    above: list[str] = []
    for line in reversed(lines[: one.lineno - 1]):
        if not line.strip().startswith("#:"):
            break
        above.insert(0, line.strip().removeprefix("#:").strip())
    return _markdown(behind if sign else " ".join(above))


def _markdown(text: str) -> str:
    """A docstring as Markdown: roles and double backquotes become code, sessions of Python become blocks."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    text = re.sub(r"(?<![\w*])\*(\w+)\*(?![\w*])", r"`\1`", text)
    session = re.compile(r"(?:^>>> .*\n?)+", re.MULTILINE)
    return session.sub(lambda found: f"```python\n{re.sub('^>>> ', '', found[0], flags=re.M).rstrip()}\n```", text)


def _cell(text: str) -> str:
    """*text* as it stands in a cell of a table, on one line."""
    return " ".join(textwrap.dedent(text).split()).replace("|", "\\|")
