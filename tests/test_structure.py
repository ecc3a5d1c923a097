"""The house style's maxima and bans, read off the syntax tree. There is no list of exceptions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "emafusion"

MAX_LINES = 600
MAX_FUNCTION_LINES = 60
MAX_NESTING = 3
MAX_PARAMETERS = 6
MAX_POSITIONAL = 3

FORBIDDEN_WORDS = {
    "common",
    "core",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "processor",
    "processors",
    "util",
    "utils",
    "v2",
}
UNSAFE_LOADERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
HEAVY = {
    "aiohttp",
    "genai_prices",
    "numpy",
    "openai",
    "opentelemetry",
    "prometheus_client",
    "psycopg",
    "pyarrow",
    "pydantic",
    "rich",
    "scipy",
    "sklearn",
    "starlette",
    "typer",
    "uvicorn",
    "valkey",
    "xllamacpp",
}
IMPORT_BUDGET_S = 0.3

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One parsed file and where in the repository it is."""

    path: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]
    """All of the tree's."""

    def at(self, node: ast.AST, what: str) -> str:
        """`what`, with the place of `node` in front."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"


def sources(*folders: str) -> list[Source]:
    """Every Python file in `folders` of the repository, parsed."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    found = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(text, name)
        found.append(Source(path=name, text=text, tree=tree, nodes=tuple(ast.walk(tree))))
    return found


@pytest.fixture(scope="module")
def everything() -> list[Source]:
    return sources("src", "tests", "benchmarks")


@pytest.fixture(scope="module")
def ours(everything: list[Source]) -> list[Source]:
    return [source for source in everything if source.path.startswith("src/")]


def functions(source: Source) -> Iterator[Function]:
    """Every function and method of `source`, nested ones included."""
    return (node for node in source.nodes if isinstance(node, FUNCTIONS))


def depth(node: ast.AST) -> int:
    """How deep blocks are nested below `node`; a function within counts on its own."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            continue
        inside = depth(child) + isinstance(child, BLOCKS)
        # An `elif` is an `if` within the other's `else`, but reads as a branch beside it.
        if isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]:
            inside -= 1
        deepest = max(deepest, inside)
    return deepest


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How many parameters a function has, the object itself not counted."""

    total: int
    positional: int
    required: int

    @classmethod
    def of(cls, function: Function, *, method: bool) -> Signature:
        """The counts of `function`."""
        arguments = function.args
        static = any(ast.unparse(d) == "staticmethod" for d in function.decorator_list)
        positional = len(arguments.posonlyargs) + len(arguments.args) - (method and not static)
        return cls(
            total=positional + len(arguments.kwonlyargs),
            positional=positional,
            required=positional - len(arguments.defaults),
        )


def signatures(source: Source) -> Iterator[tuple[Function, Signature]]:
    """Every function of `source` whose signature is ours to choose, with its counts."""
    inside = methods(source)
    for function in functions(source):
        if not dunder(function.name):
            yield function, Signature.of(function, method=function in inside)


def methods(source: Source) -> set[ast.AST]:
    """The functions of `source` that stand directly in a class."""
    classes = (node for node in source.nodes if isinstance(node, ast.ClassDef))
    return {child for each in classes for child in each.body if isinstance(child, FUNCTIONS)}


def dunder(name: str) -> bool:
    """Whether the language, and not we, chose the signature of `name`."""
    return name.startswith("__") and name.endswith("__") and name != "__init__"


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """The public classes, functions and methods defined in `body`, with their dotted names."""
    for node in body:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if _overload_or_setter(node):
            continue
        yield f"{prefix}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{prefix}{node.name}.")


def _overload_or_setter(node: Definition) -> bool:
    return any(ast.unparse(d).endswith(("overload", ".setter")) for d in node.decorator_list)


def catches_everything(node: ast.AST) -> bool:
    """Whether `node` keeps every exception there is from going on.

    To tidy up and raise it again is no catching.
    """
    if isinstance(node, ast.ExceptHandler):
        last = node.body[-1]
        if isinstance(last, ast.Raise) and last.exc is None:
            return False
        caught = ast.walk(node.type) if node.type else iter([ast.Name("Exception")])
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        caught = (name for argument in node.args for name in ast.walk(argument))
    else:
        return False
    return any(isinstance(n, ast.Name) and n.id in {"Exception", "BaseException"} for n in caught)


def imported(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Every module that `source` imports, dotted, with where."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def check(found: list[str]) -> None:
    """Fail with the whole list: who mends one finds the rest at once."""
    assert not found, "\n" + "\n".join(found)


def test_there_is_something_to_check(everything: list[Source], ours: list[Source]) -> None:
    assert len(ours) > 10
    assert len(everything) > len(ours)


def test_no_file_is_long(everything: list[Source]) -> None:
    lengths = ((s.path, len(s.text.splitlines())) for s in everything)
    check([f"{path}: {lines} lines" for path, lines in lengths if lines > MAX_LINES])


def test_no_function_is_long(everything: list[Source]) -> None:
    check(
        [
            source.at(function, f"{function.name} has {lines} lines")
            for source in everything
            for function in functions(source)
            if (lines := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
        ]
    )


def test_no_function_nests_deeply(everything: list[Source]) -> None:
    check(
        [
            source.at(function, f"{function.name} nests {levels} deep")
            for source in everything
            for function in functions(source)
            if (levels := depth(function)) > MAX_NESTING
        ]
    )


def test_parameters_are_few(ours: list[Source]) -> None:
    check(
        [
            source.at(function, f"{function.name} has {signature.total} parameters")
            for source in ours
            for function, signature in signatures(source)
            if signature.total > MAX_PARAMETERS
        ]
    )


def test_parameters_are_named_where_position_would_not_tell_them_apart(ours: list[Source]) -> None:
    """Three nouns may stand in a row, as a stage's do; after two, whatever is optional is named."""
    found = []
    for source in ours:
        for function, signature in signatures(source):
            optional = signature.positional - max(signature.required, 2)
            if signature.positional > MAX_POSITIONAL:
                told = f"{function.name} takes {signature.positional} by position"
                found.append(source.at(function, told))
            elif optional > 0:
                told = f"{function.name} takes an option by position after two others"
                found.append(source.at(function, told))
    check(found)


def test_only_two_places_catch_everything(everything: list[Source]) -> None:
    """The server's outermost middleware, and the boundary where a provider is called."""
    allowed = {"src/emafusion/gateway/": 1, "src/emafusion/execute/": 1}
    found = []
    for source in everything:
        place = next((place for place in allowed if source.path.startswith(place)), source.path)
        for node in source.nodes:
            if catches_everything(node):
                allowed[place] = allowed.get(place, 0) - 1
                found += [source.at(node, "catches every exception")] if allowed[place] < 0 else []
    check(found)


def test_nothing_unpickles(everything: list[Source]) -> None:
    found = [
        source.at(node, f"imports {name}")
        for source in everything
        for node, name in imported(source)
        if UNSAFE_LOADERS & set(name.split("."))
    ]
    found += [
        source.at(node, "allows pickles")
        for source in everything
        for node in source.nodes
        if isinstance(node, ast.keyword)
        and node.arg == "allow_pickle"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    check(found)


def test_nothing_is_patched(everything: list[Source]) -> None:
    check(
        [
            source.at(node, f"imports {name}")
            for source in everything
            for node, name in imported(source)
            if "mock" in name.split(".")
        ]
    )


def test_only_the_command_line_prints(ours: list[Source]) -> None:
    check(
        [
            source.at(node, "prints")
            for source in ours
            if not re.match(r"src/emafusion/(cli|demo)\b", source.path)
            for node in source.nodes
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
        ]
    )


def test_every_module_has_a_docstring(ours: list[Source]) -> None:
    check([f"{s.path}: no docstring" for s in ours if not ast.get_docstring(s.tree)])


def test_every_public_name_has_a_docstring(ours: list[Source]) -> None:
    check(
        [
            source.at(node, f"{name} has no docstring")
            for source in ours
            for name, node in public(source.tree.body)
            if not ast.get_docstring(node)
        ]
    )


def test_names_say_what_a_thing_is(ours: list[Source]) -> None:
    paths = (source.path for source in ours)
    found = [path for path in paths if FORBIDDEN_WORDS & set(re.split(r"[/._]", path))]
    for source in ours:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef):
                words = {word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", node.name)}
                found += [source.at(node, node.name)] if FORBIDDEN_WORDS & words else []
    check(found)


def run(code: str) -> str:
    """What `code` prints in an interpreter of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = set(run("import emafusion, sys; print(*sys.modules)").split())
    assert sorted(HEAVY & loaded) == []


def test_importing_the_package_is_quick() -> None:
    # Processor time, and the best of five: a busy machine does not make our imports heavier.
    code = "import time; a = time.process_time(); import emafusion; print(time.process_time() - a)"
    assert min(float(run(code)) for _ in range(5)) < IMPORT_BUDGET_S


def test_importing_the_package_opens_no_socket_and_starts_no_thread() -> None:
    code = (
        "import sys, threading; seen = []\n"
        "sys.addaudithook(lambda event, _: seen.append(event))\n"
        "import emafusion\n"
        "print([e for e in seen if e.startswith(('socket.', 'subprocess.', 'sqlite3.'))],"
        " threading.active_count())"
    )
    assert run(code).split() == ["[]", "1"]


SAMPLES: list[tuple[Callable[[ast.AST], object], str, object]] = [
    (depth, "if a:\n  b\nelif c:\n  d\nelif e:\n  f", 1),
    (depth, "for a in b:\n  if c:\n    with d:\n      while e:\n        f", 4),
    (depth, "try:\n  if a:\n    b\nexcept E:\n  pass", 2),
    (catches_everything, "try:\n  a\nexcept:\n  b", True),
    (catches_everything, "try:\n  a\nexcept (OSError, Exception):\n  b", True),
    (catches_everything, "with suppress(BaseException):\n  a", True),
    (catches_everything, "try:\n  a\nexcept OSError:\n  b", False),
    (catches_everything, "try:\n  a\nexcept BaseException:\n  b\n  raise", False),
]


@pytest.mark.parametrize(("rule", "code", "expected"), SAMPLES)
def test_the_rules_see_what_they_should(
    rule: Callable[[ast.AST], object], code: str, expected: object
) -> None:
    tree = ast.parse(code)
    seen = rule(tree) if rule is depth else any(rule(node) for node in ast.walk(tree))
    assert seen == expected
