"""A small language for computed answers: arithmetic, comparisons, text, rows and dates over slots.

Knows which Python syntax it lets through (a whitelist over the syntax tree) and how much work one
expression may do. Nothing is ever handed to the interpreter: every node is carried out here.
"""

from __future__ import annotations

import ast
import datetime
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, DecimalException
from difflib import get_close_matches
from typing import Final, TypeAlias

from emafusion.errors import DataError

Value: TypeAlias = (
    "bool | int | Decimal | str | datetime.date | datetime.timedelta | Row | Sequence[Value] | None"
)
"""What a slot or an expression can be."""
Row: TypeAlias = Mapping[str, Value]
"""A row of a table: values by column."""
Scope: TypeAlias = Mapping[str, Value]

_MOST_STEPS: Final = 20_000
_LONGEST_TEXT: Final = 20_000
_MOST_HELD: Final = 200_000
"""Characters and values, at every depth of a list."""
_HELD_A_STEP: Final = 20
"""So much of what a value holds costs a step: going through it is work too."""
_LARGEST: Final = 10**40
_LARGEST_POWER: Final = 64

_Function: TypeAlias = Callable[..., Value]


def _divided(a: int | Decimal, b: int | Decimal) -> Decimal:
    return Decimal(a) / Decimal(b)


def _power(a: int | Decimal, b: int) -> Value:
    if not isinstance(b, int) or not 0 <= b <= _LARGEST_POWER:
        raise DataError(f"a power must be a whole number from 0 to {_LARGEST_POWER}, not {b!r}")
    return a**b


def _rounded(number: int | Decimal, digits: int = 0) -> Value:
    """Half away from zero, as people round money, not to the nearest even digit."""
    if not digits:
        return int(Decimal(number).quantize(Decimal(1), rounding="ROUND_HALF_UP"))
    return Decimal(number).quantize(Decimal(1).scaleb(-digits), rounding="ROUND_HALF_UP")


def _text(value: Value) -> str:
    if isinstance(value, Mapping | list | tuple):
        raise DataError("str is for one value, not for a row or a list")
    return str(value)


def _sum(values: Value) -> Value:
    total: int | Decimal = 0
    for value in _list_of(values):
        if not isinstance(value, int | Decimal):
            raise DataError(f"sum is for numbers, not for {type(value).__name__}")
        total += value
    return total


def _days(count: int) -> datetime.timedelta:
    return datetime.timedelta(days=count)


def _weekday(day: datetime.date) -> str:
    return WEEKDAYS[day.weekday()]


WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
_BINARY: Final[Mapping[type[ast.operator], _Function]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divided,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARED: Final[Mapping[type[ast.cmpop], Callable[..., bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_UNARY: Final[Mapping[type[ast.unaryop], _Function]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_FUNCTIONS: Final[Mapping[str, _Function]] = {
    "abs": abs,
    "days": _days,
    "int": int,
    "len": len,
    "max": max,
    "min": min,
    "round": _rounded,
    "sorted": sorted,
    "str": _text,
    "sum": _sum,
    "weekday": _weekday,
}
_ITEM: Final[_Function] = operator.getitem
_METHODS: Final = frozenset(
    {
        "capitalize", "count", "endswith", "join", "lower", "removeprefix", "removesuffix",
        "replace", "split", "startswith", "strip", "title", "upper",
    }
)  # fmt: skip
_DAY_PARTS: Final = frozenset({"day", "days", "month", "year"})


class Expression:
    """One expression of the language, read and checked.

    Parameters
    ----------
    source : str
        For example ``"price * count"``, ``"sum(line.amount for line in lines)"``,
        ``"ticket.queue.upper()"`` or ``"weekday(day + days(14))"``.

    Raises
    ------
    DataError
        It is no expression, or has something that the language does not have.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            self._body = ast.parse(source.strip(), mode="eval").body
            self.names = frozenset(_checked(self._body, frozenset()))
            """The slots it reads."""
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise DataError(f"{source[:80]!r} is not an expression: {error}") from error

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def __call__(self, scope: Scope) -> Value:
        """Its value where the slots have the values in `scope`.

        Raises
        ------
        DataError
            A slot is missing or of the wrong kind, or the work or the value grows too large.
        """
        try:
            return _Reckoning(scope).of(self._body)
        except (
            TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError,
            DecimalException, MemoryError,
        ) as error:  # fmt: skip
            raise DataError(f"{self.source!r} cannot be worked out: {error}") from error


class _Reckoning:
    """Works one expression out, counting its steps."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._steps = 0

    def of(self, node: ast.expr) -> Value:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise DataError("an expression takes too many steps")
        value: Value = getattr(self, f"_{type(node).__name__.lower()}")(node)
        self._steps += _bounded(value) // _HELD_A_STEP
        return value

    def _constant(self, node: ast.Constant) -> Value:
        # What the author wrote as 0.1 is a tenth.
        return Decimal(repr(node.value)) if isinstance(node.value, float) else node.value  # type: ignore[return-value]  # _checked let only these kinds pass

    def _name(self, node: ast.Name) -> Value:
        if node.id not in self._scope:
            raise DataError(f"there is no slot {node.id!r}")
        return self._scope[node.id]

    def _binop(self, node: ast.BinOp) -> Value:
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, ast.Mult):
            _check_repeats(left, right)
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            raise DataError("'%' is for numbers")
        return _BINARY[type(node.op)](left, right)

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        return _UNARY[type(node.op)](self.of(node.operand))

    def _boolop(self, node: ast.BoolOp) -> Value:
        wanted = isinstance(node.op, ast.Or)
        value: Value = None
        for part in node.values:
            value = self.of(part)
            if bool(value) is wanted:
                return value
        return value

    def _compare(self, node: ast.Compare) -> Value:
        left = self.of(node.left)
        for sign, part in zip(node.ops, node.comparators, strict=True):
            right = self.of(part)
            if not _COMPARED[type(sign)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Value:
        return self.of(node.body if self.of(node.test) else node.orelse)

    def _list(self, node: ast.List | ast.Tuple) -> Value:
        return [self.of(part) for part in node.elts]

    _tuple = _list

    def _attribute(self, node: ast.Attribute) -> Value:
        return _part(self.of(node.value), node.attr)

    def _subscript(self, node: ast.Subscript) -> Value:
        held = self.of(node.value)
        if isinstance(node.slice, ast.Slice):
            low, high = (
                self.of(end) if end else None for end in (node.slice.lower, node.slice.upper)
            )
            place: object = slice(low, high)
        else:
            place = self.of(node.slice)
        return _ITEM(held, place)

    def _listcomp(self, node: ast.ListComp | ast.GeneratorExp) -> Value:
        name, loop = _loop(node)
        held = _list_of(self.of(loop.iter))
        outside, found = self._scope, []
        for value in held:
            self._scope = {**outside, name: value}
            if all(self.of(test) for test in loop.ifs):
                found.append(self.of(node.elt))
        self._scope = outside
        return found

    _generatorexp = _listcomp

    def _call(self, node: ast.Call) -> Value:
        arguments = [self.of(part) for part in node.args]
        if isinstance(node.func, ast.Name):
            return _FUNCTIONS[node.func.id](*arguments)
        method = ast.unparse(node.func).rpartition(".")[2]
        held = self.of(node.func.value)  # type: ignore[attr-defined]  # _callable let names and attributes pass
        if not isinstance(held, str):
            raise DataError(f"{method!r} is for texts, not for {type(held).__name__}")
        if method == "replace":
            _check_repeats(len(held) + 1, arguments[1])
        if method == "join":
            _check_length(sum(len(str(part)) + len(held) for part in _list_of(arguments[0])))
        value: Value = getattr(held, method)(*arguments)
        return value


_KINDS: Final = (
    ast.Constant, ast.Name, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.List,
    ast.Tuple, ast.Attribute, ast.Subscript, ast.ListComp, ast.GeneratorExp, ast.Call,
)  # fmt: skip


def _checked(node: ast.expr, bound: frozenset[str]) -> set[str]:
    """The slots a node reads; raises where the language has no such thing."""
    if not isinstance(node, _KINDS) or not _allowed(node):
        raise DataError(f"{ast.unparse(node)!r} is not part of the expression language")
    if isinstance(node, ast.Name):
        return set() if node.id in bound else {node.id}
    names: set[str] = set()
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        name, loop = _loop(node)
        names |= _checked(loop.iter, bound)
        inner = bound | {name}
        return names.union(*(_checked(part, inner) for part in (node.elt, *loop.ifs)))
    for part in _parts(node):
        names |= _checked(part, bound)
    return names


def _parts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        held = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return [*held, *node.args]
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return [part for part in (node.value, node.slice.lower, node.slice.upper) if part]
    return [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]


def _allowed(node: ast.expr) -> bool:
    match node:
        case ast.Constant():
            fit = node.value is None or isinstance(node.value, bool | int | float | str)
            # Half a character can neither be hashed nor asked: this raises a ValueError.
            str(node.value).encode()
        case ast.BinOp():
            fit = type(node.op) in _BINARY
        case ast.UnaryOp():
            fit = type(node.op) in _UNARY
        case ast.Compare():
            fit = all(type(sign) in _COMPARED for sign in node.ops)
        case ast.Attribute():
            fit = not node.attr.startswith("_")
        case ast.Subscript(slice=ast.Slice(step=step)):
            fit = step is None
        case ast.ListComp() | ast.GeneratorExp():
            fit = len(node.generators) == 1 and isinstance(node.generators[0].target, ast.Name)
        case ast.Call():
            fit = not node.keywords and _callable(node.func)
        case _:
            fit = True
    return fit


def _loop(node: ast.ListComp | ast.GeneratorExp) -> tuple[str, ast.comprehension]:
    """The name that a loop gives each value, and the loop."""
    (loop,) = node.generators
    return ast.unparse(loop.target), loop


def _callable(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in _FUNCTIONS
    return isinstance(function, ast.Attribute) and function.attr in _METHODS


def _list_of(held: Value) -> Sequence[Value]:
    if not isinstance(held, list | tuple):
        raise DataError("only a list of values can be gone through")
    return held


def _part(held: Value, name: str) -> Value:
    if isinstance(held, Mapping):
        if name not in held:
            near = get_close_matches(name, held, n=1)
            raise DataError(f"no column {name!r}; it has {', '.join(near or held)}")
        return held[name]
    if isinstance(held, datetime.date | datetime.timedelta) and name in _DAY_PARTS:
        value: int = getattr(held, name)
        return value
    raise DataError(f"{type(held).__name__} has no {name!r}")


def _check_repeats(a: Value, b: Value) -> None:
    """Refuse a repeated text or list before it is made."""
    for held, times in ((a, b), (b, a)):
        if isinstance(held, str | list | tuple) and isinstance(times, int):
            _check_length(len(held) * times)
            _check_held(_held(held) * times)


def _bounded(value: Value) -> int:
    """How much a value holds; raises where it is too large, too long or holds too much."""
    if isinstance(value, str | list | tuple):
        _check_length(len(value))
    elif isinstance(value, int | Decimal) and not -_LARGEST <= value <= _LARGEST:
        raise DataError("a value grows too large")
    return _check_held(_held(value))


def _held(value: Value) -> int:
    """Characters, and values at every depth."""
    if isinstance(value, str):
        return len(value)
    parts = tuple(value.values()) if isinstance(value, Mapping) else value
    return len(parts) + sum(map(_held, parts)) if isinstance(parts, list | tuple) else 0


def _check_held(held: int) -> int:
    if held > _MOST_HELD:
        raise DataError("a list holds too much")
    return held


def _check_length(length: int) -> None:
    if length > _LONGEST_TEXT:
        raise DataError("a text or list grows too long")
