# SPDX-License-Identifier: GPL-2.0-only
"""Reading the source tree as text: which files there are, what they import, where their functions begin and end.

Cython's files are read by pattern, not parsed: enough for code in this tree's style.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CODE = {".py", ".pyi", ".pyx", ".pxd", ".pxi"}
CYTHON = {".pyx", ".pxd", ".pxi"}
NOT_OURS = {".venv", ".git", "build", "dist", ".hypothesis", ".cache", "__pycache__", "_version.py"}

IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+\(?\s*([\w, ]*)|c?import\s+([\w.]+))")
INCLUDE = re.compile(r"""^\s*include\s+["']([^"']+)["']""")
FUNCTION = re.compile(r"^(\s*)(?:async\s+def|def|cdef|cpdef)\b.*\(")
NOT_FUNCTION = re.compile(r"^\s*c(?:p)?def\s+(?:class|struct|enum|union|extern|packed|public|readonly|cppclass)\b")
PYTHON_TYPES = {"object", "list", "dict", "tuple", "str", "bytes", "set", "frozenset", "type", "bytearray", "memoryview"}


@dataclass(frozen=True)
class Logical:
    """A logical line: brackets closed, comments and line ends gone. ``line`` and ``last`` count from 1."""

    line: int
    last: int
    text: str


def files(tree: Path, *folders: str, suffixes: set[str] = CODE) -> list[Path]:
    """Files of ours below the folders, sorted."""
    found = (path for folder in folders for path in (tree / folder).rglob("*"))
    return sorted(p for p in found if p.suffix in suffixes and not NOT_OURS & set(p.relative_to(tree).parts))


def module_of(tree: Path, path: Path) -> str:
    """Dotted name under which a source file is installed; ``arch/`` is ``rmapemu.arch``."""
    parts = list(path.relative_to(tree).with_suffix("").parts)
    if parts[0] == "arch":
        parts.insert(0, "rmapemu")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def absolute(target: str, package: str) -> str:
    """A relative import's target as an absolute one."""
    dots = len(target) - len(target.lstrip("."))
    if not dots:
        return target
    base = package.split(".")
    base = base[: len(base) - (dots - 1)]
    return ".".join([*base, target[dots:]]).rstrip(".")


def imports(tree: Path, path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, cimport and include of the file, also those inside functions."""
    module = module_of(tree, path)
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    if path.suffix in CYTHON:
        yield from cython_imports(tree, path, package)
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def cython_imports(tree: Path, path: Path, package: str) -> Iterator[tuple[int, str]]:
    for logical in logical_lines(path.read_text()):
        if match := IMPORT.match(logical.text):
            base = absolute(match[1] or match[3], package)
            names = [name.split()[0] for name in (match[2] or "").split(",") if name.strip()]
            yield from ((logical.line, f"{base}.{name}") for name in names)
            if not names:
                yield logical.line, base
        elif match := INCLUDE.match(logical.text):
            beside = path.parent / match[1]
            yield logical.line, module_of(tree, beside if beside.exists() else tree / match[1])


def logical_lines(text: str) -> Iterator[Logical]:
    """Lines with their brackets closed; strings over several lines count as one line without content."""
    held, start, depth, quote = "", 0, 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        code, quote = strip(line, quote)
        if not held:
            start = number
        held += code
        depth += sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
        if quote or depth > 0 or code.endswith("\\"):
            held = held.rstrip("\\") + " "
            continue
        if held.strip():
            yield Logical(start, number, held.rstrip())
        held, depth = "", 0


def strip(line: str, quote: str) -> tuple[str, str]:
    """The line without comment and without what stands in strings; and the triple quote that stays open."""
    kept, i = "", 0
    while i < len(line):
        if quote:
            end = line.find(quote, i)
            if end < 0:
                return kept, quote
            kept, i, quote = kept + '"', end + len(quote), ""
        elif line.startswith(('"""', "'''"), i):
            kept, quote, i = kept + '"', line[i : i + 3], i + 3
        elif line[i] in "\"'":
            string = re.match(r"""(["'])((?:\\.|(?!\1).)*)(\1|$)""", line[i:])
            kept, i = kept + string[0], i + len(string[0])
        elif line[i] == "#":
            break
        else:
            kept, i = kept + line[i], i + 1
    return kept.rstrip() if not quote else kept, quote


def functions(path: Path) -> Iterator[tuple[Logical, int]]:
    """(head, number of lines from the head's first to the body's last) of every function that has a body."""
    lines = list(logical_lines(path.read_text()))
    for i, head in enumerate(lines):
        if not head.text.endswith(":") or not FUNCTION.match(head.text) or NOT_FUNCTION.match(head.text):
            continue
        indent, last = len(head.text) - len(head.text.lstrip()), head.last
        for line in lines[i + 1 :]:
            if len(line.text) - len(line.text.lstrip()) <= indent:
                break
            last = line.last
        yield head, last - head.line + 1


def without_exception_clause(path: Path) -> Iterator[Logical]:
    """cdef functions with a C result, and function pointers, that do not say what an exception does."""
    for logical in logical_lines(path.read_text()):
        text = logical.text
        if re.search(r"\b(?:noexcept|except)\b", text) or NOT_FUNCTION.match(text):
            continue
        pointer = re.match(r"^\s*(?:c(?:p)?def\s+|ctypedef\s+)?[\w ]+[\s*]*\(\s*\*\s*\w+\s*\)\s*\(", text)
        head = re.match(r"^\s*cp?def\s+(?:inline\s+|public\s+|api\s+)*([^=(]*?)\b\w+\s*\(", text)
        if pointer or (head and returns_c(head[1].strip())):
            yield logical


def returns_c(result: str) -> bool:
    """Whether a declared result is a C type: Python objects carry their exception themselves."""
    name = result.split(".")[-1]
    return bool(name) and name not in PYTHON_TYPES and not name[0].isupper()
