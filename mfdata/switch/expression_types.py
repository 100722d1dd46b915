"""What may stand in a condition, and of what kind each piece of it is (pure)."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable

from mfext.errors import nearest

MAX_DEPTH = 40


class Refused(Exception):
    """A piece that conditions may not hold."""

    def __init__(self, node: ast.expr | None, found: str, mend: str = "") -> None:
        super().__init__(found)
        self.node, self.found, self.mend = node, found, mend


#: A kind is the name of a type. "bytes list" is a tuple or list of bytes as written, "bytes parts" one that split()
#: gives, "value" one of several kinds.
Kind = str

_CONSTANTS: dict[type, Kind] = {bytes: "bytes", str: "str", bool: "bool", int: "int"}
_TEXT = ("bytes", "str")

#: Arguments of a method by position ("same" = the kind of what it is called on, "?" = may be left out) and its result.
_METHODS: dict[str, tuple[tuple[str, ...], Kind]] = {
    **dict.fromkeys(("startswith", "endswith"), (("same or list", "int?", "int?"), "bool")),
    **dict.fromkeys(("find", "rfind", "index", "rindex", "count"), (("same", "int?", "int?"), "int")),
    **dict.fromkeys(("lower", "upper", "swapcase", "title", "capitalize"), ((), "same")),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), (("same?",), "same")),
    **dict.fromkeys(("removeprefix", "removesuffix"), (("same",), "same")),
    **dict.fromkeys(("split", "rsplit"), (("same?", "int?"), "same parts")),
    **dict.fromkeys(("partition", "rpartition"), (("same",), "same parts")),
    **dict.fromkeys(("isdigit", "isalpha", "isalnum", "isascii", "isspace", "islower", "isupper"), ((), "bool")),
    "splitlines": ((), "same parts"),
    "replace": (("same", "same"), "same"),
    "decode": (("str?", "str?"), "str"),
    "encode": (("str?", "str?"), "bytes"),
}
_ENCODINGS = ("utf-8", "utf8", "ascii", "latin-1", "latin1", "iso-8859-1")
_ENCODING_ERRORS = ("strict", "replace", "ignore", "surrogateescape")

FUNCTIONS: dict[str, Callable[..., object]] = {
    "len": len, "int": int, "bool": bool, "min": min, "max": max, "any": any, "all": all,
}  # fmt: skip

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)
_ALLOWED = (
    "comparisons, and/or/not, in, constants, x['tag'], slices, tuples and lists of constants, whole-number "
    f"arithmetic, the functions {', '.join(FUNCTIONS)} and common methods of bytes and str"
)


class Checker:
    """Finds the kind of every piece of an expression, or refuses it."""

    def __init__(self) -> None:
        #: Names of the tags that the expression asks for.
        self.tags: list[str] = []
        self._depth = 0

    def kind(self, node: ast.expr) -> Kind:
        """The kind of *node*.

        Raises:
            Refused: it, or a piece of it, may not stand in a condition.
        """
        check = getattr(self, f"_{type(node).__name__.lower()}", None)  # _compare, _call, ...
        if check is None:
            raise Refused(node, "conditions may not hold this", f"They may hold {_ALLOWED}.")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refused(None, f"the condition is nested more than {MAX_DEPTH} deep", "Split it into several rules.")
        found: Kind = check(node)
        self._depth -= 1
        return found

    def truth(self, node: ast.expr) -> Kind:
        """The kind of *node*, which stands where true or false is wanted.

        Raises:
            Refused: as ``kind``; and for numbers, since find() says -1, which is true, where it finds nothing.
        """
        kind = self.kind(node)
        if kind == "int":
            raise Refused(node, "a number is neither true nor false", "Compare it, for example with >= 0.")
        return kind

    def _constant(self, node: ast.Constant) -> Kind:
        if type(node.value) not in _CONSTANTS:
            mend = "A missing tag is b''." if node.value is None else ""
            raise Refused(node, "only bytes, str, whole numbers, True and False may stand here", mend)
        return _CONSTANTS[type(node.value)]

    def _name(self, node: ast.Name) -> Kind:
        if node.id == "x":
            raise Refused(node, "x stands alone", "Write x['name of a tag'].")
        if node.id in FUNCTIONS:
            raise Refused(node, "this function is not called", f"Write {node.id}(…).")
        raise Refused(node, "there is no such name here", nearest(node.id, ("x", *FUNCTIONS)))

    def _tuple(self, node: ast.Tuple | ast.List) -> Kind:
        kinds = {self.kind(element) for element in node.elts}
        if len(kinds) != 1:
            raise Refused(node, f"a list holds one or more values of one kind{_listed(sorted(kinds))}")
        return f"{kinds.pop()} list"

    _list = _tuple

    def _boolop(self, node: ast.BoolOp) -> Kind:
        kinds = {self.truth(value) for value in node.values}
        return kinds.pop() if len(kinds) == 1 else "value"

    def _unaryop(self, node: ast.UnaryOp) -> Kind:
        if isinstance(node.op, ast.Not):
            self.truth(node.operand)
            return "bool"
        if isinstance(node.op, ast.USub) and self.kind(node.operand) == "int":
            return "int"
        raise Refused(node, "only numbers have a sign")

    def _binop(self, node: ast.BinOp) -> Kind:
        left, right = self.kind(node.left), self.kind(node.right)
        if isinstance(node.op, _ARITHMETIC) and left == right == "int":
            return "int"
        if isinstance(node.op, ast.Add) and left == right and left in _TEXT:
            return left
        # Repeated text (b'a' * 10**9) and formats (b'%999999999d' % 1) are how a short text makes a huge value.
        raise Refused(node, f"cannot be done here with {left} and {right}", "+ joins text, + - * // % take numbers.")

    def _compare(self, node: ast.Compare) -> Kind:
        sides = [(side, self.kind(side)) for side in (node.left, *node.comparators)]
        for operator, (left, right) in zip(node.ops, itertools.pairwise(sides), strict=True):
            _check_comparison(node, operator, left, right)
        return "bool"

    def _subscript(self, node: ast.Subscript) -> Kind:
        if isinstance(node.value, ast.Name) and node.value.id == "x":
            return self._tag(node)
        kind = self.kind(node.value)
        element = "int" if kind == "bytes" else kind if kind == "str" else _element(kind)
        if not element:
            raise Refused(node, f"{kind} has no parts to take")
        if isinstance(node.slice, ast.Slice):
            for bound in (node.slice.lower, node.slice.upper, node.slice.step):
                self._bound(node, bound)
            return kind
        self._bound(node, node.slice)
        return element

    def _bound(self, node: ast.Subscript, bound: ast.expr | None) -> None:
        if bound is not None and self.kind(bound) != "int":
            raise Refused(node, "a part is taken by its number")

    def _tag(self, node: ast.Subscript) -> Kind:
        name = node.slice
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            raise Refused(node, "a tag is named by a plain str", "For example x['first.core.original_basename'].")
        self.tags.append(name.value)
        return "bytes"

    def _call(self, node: ast.Call) -> Kind:
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise Refused(node, "arguments are given by position only")
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            return self._function(node, node.func.id, [self.kind(argument) for argument in node.args])
        raise Refused(node.func, "this cannot be called", f"Known functions: {', '.join(FUNCTIONS)}.")

    def _function(self, node: ast.Call, name: str, kinds: list[Kind]) -> Kind:
        if name in ("min", "max") and len(kinds) > 1 and len(set(kinds)) == 1 and kinds[0] != "value":
            return kinds[0]
        if len(kinds) == 1:
            element = _element(kinds[0])
            if name in ("min", "max") and element:
                return element
            if name == "len" and (element or kinds[0] in _TEXT):
                return "int"
            if name == "int" and kinds[0] in ("int", "bool", *_TEXT):
                return "int"
            if name == "bool" or (name in ("any", "all") and element):
                return "bool"
        raise Refused(node, f"{name}() does not take this{_listed(kinds)}")

    def _attribute(self, node: ast.Attribute) -> Kind:
        mend = "Call a method of a value; functions of the plugin cannot be named here."
        raise Refused(node, "attributes may not be read", mend)

    def _method(self, node: ast.Call, function: ast.Attribute) -> Kind:
        if isinstance(function.value, ast.Name) and function.value.id == "x":
            mend = "Write x['name of a tag']; it is b'' when the file has no such tag."
            raise Refused(node, "x has no methods", mend)
        own = self.kind(function.value)
        name = function.attr
        if own not in _TEXT or name not in _METHODS or (name, own) in (("decode", "str"), ("encode", "bytes")):
            raise Refused(node, f'{own} has no method "{name}" that may be called here', nearest(name, _METHODS))
        parameters, result = _METHODS[name]
        kinds = [self.kind(argument) for argument in node.args]
        if not _fits(kinds, parameters, own):
            raise Refused(node, f"{own}.{name}() does not take this{_listed(kinds)}", _mend_arguments(kinds, own))
        if name in _CHECKS:
            _CHECKS[name](node)
        return result.replace("same", own)


def _listed(kinds: list[Kind]) -> str:
    return f" ({', '.join(kinds)})" if kinds else ""


def _element(kind: Kind) -> Kind:
    """The kind of what a list holds, '' when it is none."""
    return kind.removesuffix(" list").removesuffix(" parts") if kind.endswith((" list", " parts")) else ""


def _number(kind: Kind) -> Kind:
    return "int" if kind == "bool" else kind


def _fits(kinds: list[Kind], parameters: tuple[str, ...], own: Kind) -> bool:
    required = sum(not parameter.endswith("?") for parameter in parameters)
    if not required <= len(kinds) <= len(parameters):
        return False
    allowed = {"same": (own,), "same or list": (own, f"{own} list")}
    return all(
        kind in allowed.get(parameter.removesuffix("?"), (parameter.removesuffix("?"),))
        for kind, parameter in zip(kinds, parameters, strict=False)
    )


def _check_comparison(
    node: ast.Compare, operator: ast.cmpop, left: tuple[ast.expr, Kind], right: tuple[ast.expr, Kind]
) -> None:
    if isinstance(operator, ast.Is | ast.IsNot):
        raise Refused(node, '"is" compares identity', "Use ==. A missing tag is b''.")
    kinds = (left[1], right[1])
    if isinstance(operator, ast.In | ast.NotIn):
        fits = kinds[0] in (_element(kinds[1]), kinds[1]) and kinds[0] in ("int", *_TEXT) and kinds[1] != "int"
    else:
        fits = _number(kinds[0]) == _number(kinds[1]) in ("int", *_TEXT)
    if not fits:
        raise Refused(node, f"{kinds[0]} is compared with {kinds[1]}", _mend_comparison(left, right))


def _mend_comparison(left: tuple[ast.expr, Kind], right: tuple[ast.expr, Kind]) -> str:
    if {left[1], right[1]} == {"bytes", "int"}:
        return "One byte of bytes is a number: write [0:1] instead of [0] for text, int(…) to compare a number."
    for node, kind in (left, right):
        match node:
            case ast.Constant(str(text)) if kind == "str":
                return f"Tags are bytes: write {repr(text.encode()) if text.isascii() else f'{text!r}.encode()'}."
    return "Tags are bytes: write b'…', or .decode() to get a str." if "str" in left[1] + right[1] else ""


def _mend_arguments(kinds: list[Kind], own: Kind) -> str:
    if own == "bytes" and any(kind.startswith("str") for kind in kinds):
        return "Tags are bytes: write b'…'."
    return ""


def _check_replace(node: ast.Call) -> None:
    constants = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    sizes = [len(value) for value in constants if isinstance(value, bytes | str)]
    if len(sizes) != 2 or not 0 < sizes[0] >= sizes[1]:
        raise Refused(node, "replace() takes two constants, the second not longer than the first")


def _check_encoding(node: ast.Call) -> None:
    for argument, known in zip(node.args, (_ENCODINGS, _ENCODING_ERRORS), strict=False):
        if not isinstance(argument, ast.Constant) or argument.value not in known:
            raise Refused(node, f"expected {' or '.join(known)} here")


_CHECKS: dict[str, Callable[[ast.Call], None]] = {
    "replace": _check_replace,
    "decode": _check_encoding,
    "encode": _check_encoding,
}
