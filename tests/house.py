"""House: which file imports which, and what is done in a file that only one room may do (pure; on any folder)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

#: File below the root -> its text.
Sources = Mapping[str, str]
#: File, or room -> those that it imports.
Arrows = dict[str, set[str]]

_SOCKETS = {"socket", "create_connection", "create_server", "socketpair"}
_STREAMS = {
    "start_server",
    "start_unix_server",
    "open_connection",
    "open_unix_connection",
    "create_unix_server",
    "create_unix_connection",
}
_SERVERS = {"bind_sockets", "bind_unix_socket"}
_CONNECTIONS = {"HTTPConnection", "HTTPSConnection"}


def sources(root: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Every Python file of *packages* below *root*, with its text."""
    found = sorted(path for package in packages for path in (root / package).rglob("*.py"))
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in found}


def room(path: str) -> str:
    """The folder of a file."""
    return path.rpartition("/")[0]


def arrows(files: Sources) -> Arrows:
    """Which of *files* each one imports when it runs, at its top or in a function; not what is for types only."""
    return {path: set(_imported(path, files)) for path in files}


def room_arrows(files: Arrows) -> Arrows:
    """Which rooms each room imports from."""
    found: Arrows = {room(path): set() for path in files}
    for path, others in files.items():
        found[room(path)] |= {room(other) for other in others} - {room(path)}
    return {name: others for name, others in found.items() if others}


def circles(files: Arrows, lazy: Mapping[tuple[str, str], str] | None = None) -> list[list[str]]:
    """The files of each circle of imports, when the arrows of *lazy* are left out."""
    graph = {path: {other for other in others if (path, other) not in (lazy or {})} for path, others in files.items()}
    reached = {path: _reached(path, graph) for path in graph}
    found = {frozenset(other for other in reached[path] if path in reached[other]) for path in graph}
    return sorted(sorted(circle) for circle in found if circle)


def sockets_opened(text: str) -> list[int]:
    """Lines that open a socket or a connection; to take one over by its number is no opening."""
    return sorted({node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and _opens(node)})


def hidden_renames(text: str) -> list[int]:
    """Lines that give a file that was written under a hidden name its own name."""
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return sorted(set(chain.from_iterable(map(_renames_of_hidden, functions))))


def metric_texts(text: str) -> list[int]:
    """Lines that write the text format of Prometheus by themselves."""
    constants = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return [node.lineno for node in constants if isinstance(node.value, str) and "# TYPE" in node.value]


def _imported(path: str, files: Sources) -> Iterator[str]:
    tree = ast.parse(files[path], path)
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for one in node.body
        for inner in ast.walk(one)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            whole = node.module or ""
            inner_names = [f"{whole}.{alias.name}" for alias in node.names]
            names = [name if _file(name, files) else whole for name in inner_names]
        yield from (file for name in names if (file := _file(name, files)) and file != path)


def _file(module: str, files: Sources) -> str:
    """The file of *module*; '' = it is none of *files*."""
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if name in files), "")


def _reached(start: str, graph: Arrows) -> set[str]:
    found: set[str] = set()
    todo = list(graph[start])
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += graph[path]
    return found


def _opens(call: ast.Call) -> bool:
    words = ast.unparse(call.func).split(".")
    name, owner = words[-1], words[-2] if len(words) > 1 else ""
    if any(keyword.arg == "fileno" for keyword in call.keywords):
        return False
    if owner == "socket":
        return name in _SOCKETS
    return name in _STREAMS or name in _SERVERS or name in _CONNECTIONS


def _renames_of_hidden(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    hidden = {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and _is_hidden(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            source = node.func.value
            if ast.unparse(source) == "os" and node.args:
                source = node.args[0]
            elif len(node.args) != 1:
                continue
            is_rename = node.func.attr in {"rename", "replace"}
            if is_rename and isinstance(source, ast.Name) and source.id in hidden:
                yield node.lineno


def _is_hidden(value: ast.expr) -> bool:
    """Whether *value* makes the path of a hidden file."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "with_suffix":
            return False
    texts = (node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return any((text.startswith(".") and text != "..") or "/." in text for text in texts)
