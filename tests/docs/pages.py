"""The pages that people read, and what stands in them."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """A page's path from the top of the repository."""
    return str(page.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    """The contents of all fenced blocks in `language`."""
    return [re.sub(r"^   (?=\S)", "", body, flags=re.MULTILINE) for kind, body in FENCE.findall(text) if kind == language]


def spans(text: str) -> list[str]:
    """Everything between single backticks outside of fenced blocks, line breaks as spaces."""
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", FENCE.sub("", text))]


def shell_lines(text: str) -> list[str]:
    """The commands of all shell blocks, without comments."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    commands = (re.split(r"(?:^| )#", line)[0].strip() for line in lines)
    return [command for command in commands if command]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may name."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Where its links and pictures lead, those to other sites left out."""
    found = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text()))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@cache
def strings_of_the_code() -> str:
    """All text in string literals of backend, model and strategies; in f-strings `{}` for what is filled in."""
    told = []
    for package in ("backend", "model", "strategies"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    told.append("".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    told.append(node.value)
    return "\n".join(told)
