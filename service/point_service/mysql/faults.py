"""What the database may do to a transaction, and what is done about it: one line for each fault.

`database.py` does what the line says; what shares a transaction is in any case done again, each request alone.
"""

from collections.abc import Callable

import msgspec
from asyncmy import errors as driver
from asyncmy.constants import ER

from point_service.contract.errors import MemberBusy, Problem, Unavailable
from point_service.telemetry import logs


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a transaction failed, by what must be done about it."""

    name: str  # in metrics and logs
    keeps_connection: bool = False  # sound once it is rolled back
    drops_pool: bool = False  # every other connection leads to the same server, which takes no more
    suspects_pool: bool = (
        False  # the server may be gone: the pool is dropped unless another connection has answered
    )
    run_again: bool = False  # whole, after a pause
    answer: Callable[[], Problem] | None = None  # when it is not run again; None: a bug


def _busy() -> Problem:
    return MemberBusy("a lock that it needed was held for over a second by somebody else; try again")


def _full() -> Problem:
    return Unavailable("the database is at a limit of its own; try again with the same key")


DEADLOCK = Fault(name="deadlock", keeps_connection=True, run_again=True)  # the server rolled all of it back
LOCK_WAIT = Fault(name="lock_wait", keeps_connection=True, answer=_busy)  # it rolled the statement back
LIMIT = Fault(name="limit", keeps_connection=True, answer=_full)  # of the user, the host or the server
READ_ONLY = Fault(name="read_only", drops_pool=True, run_again=True)  # it no longer is the writer
# Whether it committed is unknown: the idempotency key decides.
LOST = Fault(name="lost_connection", suspects_pool=True, run_again=True)
ENDED = Fault(name="ended_connection", run_again=True)  # this one, by somebody who may; the others go on
# A table has another name than it had.
MOVED = Fault(name="moved", keeps_connection=True, run_again=True)
NOT_OPENED = Fault(name="not_opened", run_again=True)  # those that are open go on
OTHER = Fault(name="other")  # a bug or a broken invariant

TOLD_ELSEWHERE = (DEADLOCK, LOCK_WAIT, OTHER)  # by a metric, an answer, the log of the request


class NotOpenedError(Exception):
    """A connection could not be opened.

    `refused`: the server is there and said no, to one more connection or to this user.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"no connection could be opened: {described(cause)}")
        number = _number(cause)
        self.refused = number is not None and not 2000 <= number < 3000  # those are the driver's own


class StatementError(Exception):
    """The database refused a statement that it should have taken: a bug. Says no value of the statement."""


# By the driver and the pool; anything else is somebody else's.
RAISED = (driver.MySQLError, NotOpenedError, OSError, EOFError)

_BY_NUMBER = {
    1213: DEADLOCK,
    1205: LOCK_WAIT,
    1015: READ_ONLY,  # the table is: what is written under --innodb-read-only, as on Aurora's readers
    1036: READ_ONLY,
    1290: READ_ONLY,  # --read-only or --super-read-only
    1792: READ_ONLY,  # read-only transaction
    1836: READ_ONLY,  # read-only mode
    1874: READ_ONLY,  # InnoDB is in read-only mode
    1021: LIMIT,  # disk full
    1037: LIMIT,  # out of memory
    1038: LIMIT,  # out of memory to sort in
    1040: LIMIT,  # too many connections
    1041: LIMIT,  # out of memory, on Aurora too
    1045: LIMIT,  # access denied
    1114: LIMIT,  # table full
    1129: LIMIT,  # host blocked for its errors
    1130: LIMIT,  # host not allowed
    1135: LIMIT,  # no thread for a connection
    1203: LIMIT,  # too many connections of this user
    1206: LIMIT,  # too many locks
    1226: LIMIT,  # the user's connections, questions or updates an hour
    1637: LIMIT,  # too many transactions at once
    1820: LIMIT,  # the password has expired
    1862: LIMIT,
    1969: LIMIT,  # the statement took longer than it may (MariaDB)
    3024: LIMIT,  # the same
    3032: LIMIT,  # offline mode
    3118: LIMIT,  # the account is locked
    3159: LIMIT,  # TLS is required
    3168: LIMIT,  # the server isn't available
    3955: LIMIT,  # the account is locked for its wrong passwords
    1146: MOVED,  # no such table
    1152: ENDED,
    1317: ENDED,  # query execution was interrupted
    1927: ENDED,  # connection was killed (MariaDB)
    2014: ENDED,  # out of step
    3169: ENDED,  # session was killed
    4031: ENDED,  # disconnected for inactivity
    1053: LOST,  # server shutdown in progress
    1077: LOST,
    1079: LOST,
    1158: LOST,  # network errors
    1159: LOST,
    1160: LOST,
    1161: LOST,
    2002: LOST,
    2003: LOST,
    2006: LOST,
    2013: LOST,
    2055: LOST,
}
_NAMES = {number: name for name, number in vars(ER).items() if name.isupper() and isinstance(number, int)}


def classify(error: BaseException) -> Fault:
    """Return what kind of fault `error` is."""
    if isinstance(error, NotOpenedError):
        return NOT_OPENED
    if isinstance(error, driver.InterfaceError):
        return LOST
    if isinstance(error, driver.MySQLError):
        number = _number(error)
        return OTHER if number is None else _BY_NUMBER.get(number, OTHER)
    return LOST if isinstance(error, (OSError, EOFError)) else OTHER  # TimeoutError is an OSError


def described(error: BaseException) -> str:
    """Return an error in words for the log. The server's own quote keys, so they may name a member or an order."""
    if isinstance(error, NotOpenedError):
        return str(error)
    if not isinstance(error, driver.MySQLError):
        return logs.told(error)
    number = _number(error)
    if number is None or 2000 <= number < 3000:  # the driver's words
        return f"{type(error).__name__}: {error.args[-1] if error.args else ''}"
    return f"{type(error).__name__} {number} {_NAMES.get(number, '')}".strip()


def _number(error: BaseException) -> int | None:
    """Return the number of a MySQL error, None when it has none."""
    number = error.args[0] if isinstance(error, driver.MySQLError) and error.args else None
    return number if isinstance(number, int) and number > 0 else None
