"""What the database may do to a transaction, and what is done about it: one line for each fault.

`database.py` does what the line says; what shares a transaction is in any case done again, each request alone.
"""

from collections.abc import Callable

import msgspec
from asyncmy import errors as driver

from point_service.contract.errors import MemberBusy, Problem


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a transaction failed, by what must be done about it."""

    name: str  # in metrics and logs
    keeps_connection: bool = False  # sound once it is rolled back
    drops_pool: bool = False  # every other connection leads to the same server
    run_again: bool = False  # whole, after a pause
    answer: Callable[[], Problem] | None = None  # when it is not run again; None: the error as it came


def _busy() -> Problem:
    return MemberBusy("a lock that it needed was held for over a second by somebody else; try again")


DEADLOCK = Fault(name="deadlock", keeps_connection=True, run_again=True)  # the server rolled all of it back
LOCK_WAIT = Fault(name="lock_wait", keeps_connection=True, answer=_busy)  # it rolled the statement back
READ_ONLY = Fault(name="read_only", drops_pool=True, run_again=True)  # it no longer is the writer
# Whether it committed is unknown: the idempotency key decides.
LOST = Fault(name="lost_connection", drops_pool=True, run_again=True)
OTHER = Fault(name="other")  # a bug or a broken invariant

RAISED = (driver.MySQLError, OSError, EOFError)  # by the driver; anything else is somebody else's

_BY_NUMBER = {
    1213: DEADLOCK,
    1205: LOCK_WAIT,
    1290: READ_ONLY,  # --read-only or --super-read-only
    1836: READ_ONLY,  # read-only mode
    1792: READ_ONLY,  # read-only transaction
    1040: LOST,  # too many connections
    1045: LOST,  # access denied: the password was changed, and is read anew for the next connection
    1053: LOST,  # server shutdown in progress
    1077: LOST,
    1079: LOST,
    1152: LOST,  # aborted connection
    1158: LOST,  # network errors
    1159: LOST,
    1160: LOST,
    1161: LOST,
    1317: LOST,  # query execution was interrupted
    1927: LOST,  # connection was killed (MariaDB)
    2002: LOST,
    2003: LOST,
    2006: LOST,
    2013: LOST,
    2014: LOST,
    2055: LOST,
    3169: LOST,  # session was killed
    4031: LOST,  # disconnected for inactivity
}


def classify(error: BaseException) -> Fault:
    """Return what kind of fault `error` is."""
    if isinstance(error, driver.InterfaceError):
        return LOST
    if isinstance(error, driver.MySQLError):
        number = error.args[0] if error.args else None
        return _BY_NUMBER.get(number, OTHER) if isinstance(number, int) else OTHER
    return LOST if isinstance(error, (OSError, EOFError)) else OTHER  # TimeoutError is an OSError
