"""Commands that do their work once and end: `expire`, `verify`, `liability`, `archive`, `forget-answers`."""

import asyncio
import logging
import shlex
import shutil
import signal
import sys
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from point_service.contract.errors import Unavailable
from point_service.ledger import archive, liability, upkeep
from point_service.ledger.printed import FORMATS
from point_service.ledger.verify import Finding, Place, Report, verify, write_metrics
from point_service.mysql.database import Database
from point_service.mysql.pool import Pool, opener
from point_service.mysql.store import audit
from point_service.settings import SettingError, Settings
from point_service.turns.cache import Cache, CacheAwayError
from point_service.turns.lock import forget_answers

log = logging.getLogger(__name__)

FORGET_ATTEMPTS, FORGET_PAUSE = 10, 1.0  # seconds
FIRST_PROGRESS = 2.0  # seconds until a command says how far it is,
PROGRESS, TERMINAL_PROGRESS = 5.0, 0.5  # and how often then


async def expire(settings: Settings) -> None:
    """Expire what is due and forget old answers. Raises MemberBusy, Unavailable."""
    async with _database(settings, upkeep.LIMIT) as database:
        points = await upkeep.expire_due(database)
        answers = await upkeep.forget_answers(database, settings.idempotency_retention_hours)
    log.info("expired", extra={"points": points, "forgotten_answers": answers})


async def check(settings: Settings, metrics_file: Path | None, start: Place | None, writer: bool) -> int:
    """Check the ledger, behind `start` if it is given; print what is broken and where. Return the exit status.

    A reader is asked where there is one, unless it is to be the `writer`. What is stopped says where to go on. Raises
    Unavailable.
    """
    host = None if writer else settings.database.reader_host
    async with _database(settings, host=host) as database:
        with _named(host):
            progress = _Progress(await database.read(audit.ends), start)

        def tell(finding: Finding) -> None:
            progress.clear()
            print(f"{finding.where}: {finding.invariant}", flush=True)

        _end_at_sigterm()
        try:
            report = await verify(database, tell, start, progress.passed)
        except BaseException:
            progress.clear()
            if progress.place is not None:
                place = shlex.quote(str(progress.place))
                print(f"verify: not finished, go on with --after {place}", file=sys.stderr)
            raise
    progress.clear()
    if metrics_file is not None:
        write_metrics(report, metrics_file)
    behind = "" if start is None else f" behind {start}"
    archived = f", {report.archived} of them archived" if report.archived else ""
    print(f"{report.checked} rows checked{behind}{archived}, {report.findings} findings")
    return 1 if report.findings else 0


async def owe(
    settings: Settings, asked: liability.Period, form: str, output: Path | None, writer: bool
) -> int:
    """Print what is owed and how it moved, or leave it in `output`; tell what does not tie. Return the exit status.

    A reader is asked where there is one, unless it is to be the `writer`. Raises Unavailable, OSError.
    """
    host = None if writer else settings.database.reader_host
    line = _Line()

    def passed(part: str, done: int, end: int) -> None:
        if line.due():
            share = f" {min(99, 100 * done // end)}%" if end else ""
            line.show(f"liability: {part}{share}")

    async with _database(settings, host=host) as database:
        _end_at_sigterm()
        try:
            with _named(host):
                books = await database.read(lambda connection: liability.read(connection, asked, passed))
        finally:
            line.clear()
    statement = liability.statement(books, asked)
    _put(FORMATS[form](statement), output)
    for finding in statement.findings:
        print(f"liability: {finding}; verify says where", file=sys.stderr)
    return 1 if statement.findings else 0


async def move(settings: Settings, days: int, batch: int) -> int:
    """Archive what was closed more than `days` days ago, up to `batch` rows a transaction. Return the exit status.

    It is the migration's user that may. Raises SettingError, Unavailable.
    """
    credentials = settings.database.migration_credentials
    if credentials is None:
        raise SettingError("POINT_DATABASE_MIGRATION_CREDENTIALS_DIR: not set; it must be, to archive")
    if credentials.username() is None:
        raise SettingError(
            "POINT_DATABASE_MIGRATION_CREDENTIALS_DIR: there must be a file username in it, to archive"
        )
    database = msgspec.structs.replace(settings.database, credentials=credentials)
    line = _Line()

    def passed(at: int, last: int, report: archive.Report) -> None:
        if line.due():
            rate = (report.grants + report.entries) / (time.monotonic() - line.began)
            line.show(
                f"archive: grant {at} of {last}, {min(99, 100 * at // last)}%; {report.grants} grants and"
                f" {report.entries} entries moved, {rate:.0f} rows a second"
            )

    async with _database(msgspec.structs.replace(settings, database=database), archive.LIMIT) as writer:
        _end_at_sigterm()
        try:
            report = await archive.archive(writer, days, batch, passed)
        except BaseException:
            line.clear()
            print("archive: not finished, run it again", file=sys.stderr)
            raise
    line.clear()
    print(
        f"{report.grants} grants and {report.entries} entries moved; left: {report.large} too large for a batch,"
        f" {report.busy} of busy members, {report.failed} failed"
    )
    return 1 if report.failed else 0


async def forget(settings: Settings) -> None:
    """Let Redis forget every answer of this ledger, and print how many. Raises SettingError, CacheAwayError."""
    if settings.cache is None:
        raise SettingError("POINT_CACHE_HOST: not set, so there is nothing that remembers answers")
    cache = Cache(settings.cache)
    try:
        for attempt in range(1, FORGET_ATTEMPTS + 1):
            try:
                print(f"{await forget_answers(cache, settings.database.ledger)} answers forgotten")
                return
            except CacheAwayError:  # its limits are a request's, and nobody waits here
                if attempt == FORGET_ATTEMPTS:
                    raise
            await asyncio.sleep(FORGET_PAUSE)
    finally:
        await cache.close()


class _Line:
    """How far a command is, on stderr: on a terminal a line that changes, else a line now and then. None while it is
    short."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._next = self.began + FIRST_PROGRESS
        self._terminal = sys.stderr.isatty()
        self._shown = False

    def due(self) -> bool:
        """Tell whether it is time for the next one."""
        return time.monotonic() >= self._next

    def show(self, line: str) -> None:
        """Write it."""
        self._next = time.monotonic() + (TERMINAL_PROGRESS if self._terminal else PROGRESS)
        if self._terminal:
            line = f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}"
        print(line, end="" if self._terminal else "\n", file=sys.stderr, flush=True)
        self._shown = self._terminal

    def clear(self) -> None:
        """Take the line away, so that others may be written."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._shown = False


class _Progress:
    """How far a check is."""

    def __init__(self, ends: Mapping[str, int], start: Place | None) -> None:
        self.place = start
        self._start = start
        self._ends = ends
        self._line = _Line()
        self.clear = self._line.clear

    def passed(self, place: Place, report: Report) -> None:
        """Take note of a page, and tell when it is time."""
        self.place = place
        if not self._line.due():
            return
        rate = report.checked / (time.monotonic() - self._line.began)
        self._line.show(
            f"verify: {place.part}{self._share(place, report)}; {report.checked} rows checked,"
            f" {rate:.0f} a second, {report.findings} findings; at {place}"
        )

    def _share(self, place: Place, report: Report) -> str:
        """Return how much of its part is done, in words; nothing where nobody knows."""
        done = place.after if isinstance(place.after, int) else report.checked
        end = self._ends[place.part]
        if end == 0 or (isinstance(place.after, str) and self._start is not None):
            return ""
        return f" {min(99, 100 * done // end)}%"


def _put(text: str, output: Path | None) -> None:
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, "utf-8", newline="")


def _end_at_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@contextmanager
def _named(reader: str | None) -> Generator[None]:
    """Say which reader it is that can't be reached, and what can be done."""
    try:
        yield
    except Unavailable as error:
        if reader is None:
            raise
        raise Unavailable(f"{reader}: {error}; --writer asks the writer") from None


@asynccontextmanager
async def _database(
    settings: Settings, limit: float | None = None, host: str | None = None
) -> AsyncGenerator[Database]:
    """Open the writer, or the server of another `host`, with one connection."""
    database = settings.database
    open_connection = opener(database, host or database.host)
    pool = Pool(open_connection, 1, database.acquire_timeout, database.connection_lifetime)
    try:
        yield Database(pool, limit)
    finally:
        await pool.close()
