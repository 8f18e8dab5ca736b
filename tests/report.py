"""Print what each tier of `make test` took and the slowest tests, from the JUnit reports in a folder.

python tests/report.py .reports
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape
from rich.table import Table

SLOWEST = 20


def cases(report: Path) -> Iterator[tuple[float, str]]:
    """Each test of a report: seconds with its fixtures, and its name as pytest takes it."""
    for case in ElementTree.parse(report).iter("testcase"):
        module = case.get("classname", "").replace(".", "/")
        yield float(case.get("time", 0)), f"{module}.py::{case.get('name')}"


def main() -> None:
    """Print both tables."""
    folder = Path(sys.argv[1])
    took = dict(line.split() for line in (folder / "tiers").read_text().splitlines())
    tiers = Table("tier", "tests", "failed", "skipped", "seconds", "with builds", title="What the tiers took")
    slow: list[tuple[float, str]] = []
    for report in sorted(folder.glob("*.xml"), key=lambda path: path.stat().st_mtime):
        suite = next(ElementTree.parse(report).iter("testsuite"))
        count = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        tiers.add_row(
            report.stem,
            str(count["tests"]),
            str(count["failures"] + count["errors"]),
            str(count["skipped"]),
            f"{float(suite.get('time', 0)):.0f}",
            took.get(report.stem, "-"),
        )
        slow += cases(report)
    slowest = Table("seconds", "test", title=f"The {SLOWEST} slowest tests")
    for seconds, name in sorted(slow, reverse=True)[:SLOWEST]:
        slowest.add_row(f"{seconds:.1f}", escape(name))
    console = Console(width=160, highlight=False)
    console.print(tiers, slowest)


if __name__ == "__main__":
    main()
