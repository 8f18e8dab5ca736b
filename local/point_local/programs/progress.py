"""Steps of a long command: what runs now, how long it took, what is left."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from point_local.programs import paths

# A log has no width of its own: wide enough there that no table is folded.
console = Console() if Console().is_terminal else Console(width=120)
error_console = Console(stderr=True)


class Step:
    """One step in progress; tell it what it is doing and how far it is."""

    def __init__(self, progress: Progress, title: str, expected: float | None) -> None:
        self._progress = progress
        self._title = title
        self._expected = expected
        self._started = time.monotonic()
        self._said = self._started
        self._task = progress.add_task(title, total=None, detail=self._estimate(None))

    def tell(self, detail: str, fraction: float | None = None) -> None:
        """Show what is being done and how much of the step is done (0 to 1)."""
        text = f"{detail}  {self._estimate(fraction)}"
        self._progress.update(
            self._task, detail=text, total=1.0 if fraction is not None else None, completed=fraction or 0.0
        )
        # A log file has no bar: say a line now and then instead.
        if not console.is_terminal and time.monotonic() - self._said > 15:
            self._said = time.monotonic()
            percent = "" if fraction is None else f" {fraction:.0%}"
            console.print(f"  … {self._title}{percent}: {text}", highlight=False)

    def _estimate(self, fraction: float | None) -> str:
        elapsed = time.monotonic() - self._started
        if fraction is not None and fraction > 0.05:
            left = elapsed / fraction - elapsed
        elif self._expected is not None:
            left = max(self._expected - elapsed, 0)
        else:
            return ""
        return f"about {left:.0f} s left" if left < 90 else f"about {left / 60:.0f} min left"


class Steps:
    """The steps of one command; remembers how long each took so that the next run can say what is left."""

    def __init__(self, command: str) -> None:
        self.took: dict[str, float] = {}
        self.started = time.monotonic()
        self._file = paths.STATE / "durations" / f"{command}.json"
        self._before: dict[str, float] = {}
        if self._file.exists():
            self._before = json.loads(self._file.read_text())

    @contextmanager
    def step(self, title: str) -> Generator[Step, None, None]:
        """Show `title` while the block runs and, after it, how long it took."""
        start = time.monotonic()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns,
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress:
            yield Step(progress, title, self._before.get(title))
        self.took[title] = time.monotonic() - start
        console.print(f"[green]✓[/] {title} [dim]({self.took[title]:.1f} s)[/]", highlight=False)

    def finish(self) -> float:
        """Remember the durations; return the whole command's seconds."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({**self._before, **self.took}, indent=1))
        return time.monotonic() - self.started
