"""How large a thing may be. No list of exceptions: what does not fit is taken apart."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.architecture.conftest import House

MAX_BODY_LINES = 40
MAX_FILE_LINES = 400
MAX_CLASS_LINES = 250
MAX_CONTRACT_METHODS = 10
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> set[int]:
    """Return the lines of *source* that hold code: no comments, no blanks, no docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def body_size(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: Collection[int]) -> int:
    first = function.body[0].lineno
    return sum(first <= line <= (function.end_lineno or first) for line in lines)


def test_counting_leaves_out_docstrings_comments_and_blanks() -> None:
    source = 'def f(\n    a,\n):\n    """Text.\n\n    More.\n    """\n    # why\n\n    x = 1\n    return (\n        x\n    )\n'
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert body_size(function, code_lines(source)) == 4


def test_function_bodies(house: House) -> None:
    found = []
    for module, path in house.sources.items():
        lines = code_lines(path.read_text(encoding="utf-8"))
        for node in ast.walk(house.tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = body_size(node, lines)
                if size > MAX_BODY_LINES:
                    found.append(f"{house.place(module, node.lineno)} {node.name}: {size} lines")
    assert found == []


def test_files(house: House) -> None:
    found = {
        str(path.relative_to(house.root)): size
        for path in house.sources.values()
        if (size := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    }
    assert found == {}


def test_classes(house: House) -> None:
    found = [
        f"{house.place(module, node.lineno)} {node.name}: {size} lines"
        for module in house.sources
        for node in ast.walk(house.tree(module))
        if isinstance(node, ast.ClassDef) and (size := (node.end_lineno or 0) - node.lineno + 1) > MAX_CLASS_LINES
    ]
    assert found == []


def test_contracts(house: House) -> None:
    found = []
    for module in house.kernel:
        if not module.startswith("umbel.spi"):
            continue
        for node in ast.walk(house.tree(module)):
            if isinstance(node, ast.ClassDef):
                size = sum(
                    "abstractmethod" in ast.unparse(part) for part in ast.walk(node) if isinstance(part, ast.Name)
                )
                if size > MAX_CONTRACT_METHODS:
                    found.append(f"{house.place(module, node.lineno)} {node.name}: {size} methods to write")
    assert found == []
