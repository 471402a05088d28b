"""The house as CONTRIBUTING and docs/architecture.md describe it."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from qtomo.errors import Code

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "qtomo").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])
LONGEST = 60

#: What people read; no decision may rest on it.
SHOWN = {"claim", "claims", "headline", "says", "label", "statistic", "note", "notes"}


def functions(path):
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]


def documented(node):
    """Lines of a function's docstring."""
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return first.end_lineno - first.lineno + 1 if is_text else 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_is_longer_than_a_screen(path):
    lengths = {node.name: node.end_lineno - node.lineno + 1 - documented(node) for node in functions(path)}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def read_text(node):
    """Names whose words a condition looks at: `"x" in claim`, `label.startswith("x")`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in part.ops):
            yield from (name_of(side) for side in part.comparators)
        called = part.func if isinstance(part, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in ("startswith", "endswith", "lower", "find"):
            yield name_of(called.value)


def name_of(node):
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def conditions(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Compare | ast.BoolOp):
            yield node.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_decision_reads_what_is_shown(path):
    text = path.read_text(encoding="utf-8")
    assert not [
        (ast.unparse(test), name)
        for test in conditions(ast.parse(text))
        for name in read_text(test)
        if name in SHOWN or name == "describe"
    ]
    assert not re.search(r"(?:start|end)swith\(\"[^\"]*gram\"", text)


def test_the_check_of_decisions_finds_one():
    tree = ast.parse("if 'readout' in claim.lower() or label.startswith('batch'): pass")
    found = {name for test in conditions(tree) for name in read_text(test)}
    assert {"label", "claim"} <= found | {name_of(ast.parse("claim.lower()").body[0].value.func.value)}


def test_each_question_is_answered_by_a_file_of_that_name():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    answers = re.findall(r"^\| .* \| `(qtomo/[^`]+)` \|$", page, re.MULTILINE)
    assert len(answers) == 10
    assert not [path for path in answers if not (ROOT / path).is_file()]


@pytest.mark.parametrize("words", [["--help"], ["info", str(ROOT / "data/tfim10.h5")]], ids=["help", "info"])
def test_it_starts_without_torch(words):
    code = (
        "import sys; from qtomo_cli.main import main\n"
        f"sys.argv = ['qtomo', *{words!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.exit(3 * ('torch' in sys.modules) + 4 * ('scipy.stats' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def codes(tree):
    """Of each error of what a user gave: the text of its first argument, and the members of `Code` in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node) in ("InputError", "Diverged"):
            first = node.args[0] if node.args else node
            yield ast.unparse(first), re.findall(r"\bCode\.([A-Z_]+)", ast.unparse(first))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_error_of_input_has_a_code(path):
    found = list(codes(ast.parse(path.read_text(encoding="utf-8"))))
    assert not [first for first, members in found if not members and first not in ("code", "error.code")]


def test_the_check_of_codes_finds_one_that_is_missing():
    assert list(codes(ast.parse("raise InputError(f'{path}: no Code')"))) == [("f'{path}: no Code'", [])]
    assert list(codes(ast.parse("raise Diverged(Code.DIVERGED, 'x')"))) == [("Code.DIVERGED", ["DIVERGED"])]


def test_each_code_is_used():
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert {code.name for code in Code} == set(re.findall(r"\bCode\.([A-Z_]+), ", text.replace("\n", " ")))


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "qtomo").glob("**/__init__.py")}
    assert folders | {"qtomo_cli"} == set(listed)
