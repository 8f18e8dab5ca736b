"""The house: its rooms are small and say what they are, and its documents name what is there."""

import ast
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("service/point_service", "operator/point_operator", "pulumi/point_infra", "local/point_local")
MOST_FILES = 12
MOST_LINES = 300

TRACKED = [
    Path(line)
    for line in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    if (ROOT / line).exists()
]  # fmt: skip
SOURCES = [path for path in TRACKED if path.suffix == ".py" and path.parts[0] != "tests"]
ROOMS = sorted({path.parent for path in SOURCES if str(path).startswith(PROGRAMS)})
DOCUMENTS = [path for path in TRACKED if path.suffix == ".md"]

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
NAMED = re.compile(r"(?<![\w/.*{}-])([\w.-]+/)*[\w-]+\.(?:py|lua)\b")


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_a_room_holds_few_files_and_says_what_it_is(room: Path) -> None:
    files = [path for path in SOURCES if path.parent == room and path.name != "__init__.py"]
    assert len(files) <= MOST_FILES, sorted(path.name for path in files)
    if str(room) not in PROGRAMS:
        assert ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())), room


def test_no_source_file_is_long() -> None:
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in SOURCES}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def _anchor(heading: str) -> str:
    """The anchor that a heading gets: lower case, punctuation gone, spaces as hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target, anchor in LINK.findall((ROOT / document).read_text()):
        path = (ROOT / document.parent / unquote(target)) if target else ROOT / document
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert anchor[1:] in {_anchor(heading) for heading in headings}, f"{target}{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_program_file_that_a_document_names_is_there(document: Path) -> None:
    """A name may leave out the first folders: `ledger/points.py` is service/point_service/ledger/points.py."""
    for match in NAMED.finditer((ROOT / document).read_text()):
        parts = Path(match[0]).parts
        assert any(path.parts[-len(parts) :] == parts for path in TRACKED), match[0]


def test_every_program_file_that_a_comment_names_is_there() -> None:
    for source in [path for path in TRACKED if path.suffix in (".py", ".yaml", ".toml", ".lua", ".go")]:
        text = "\n".join(re.findall(r'#.*|"""[^"]*"""|//.*', (ROOT / source).read_text()))
        for match in NAMED.finditer(text):
            parts = Path(match[0]).parts
            if len(parts) > 1:
                assert any(path.parts[-len(parts) :] == parts for path in TRACKED), f"{source}: {match[0]}"
