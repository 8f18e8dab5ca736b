"""One connection's HTTP/1.1: uvicorn's, within limits that a gateway sets for whom it lets in, and uvicorn does not.

They are for who comes past the gateway. What breaks one is answered with 400 or cut off, before the application knows.
"""

import asyncio
from functools import partial
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from point_service.admission import Admission, leave, refusal
from point_service.http.bounds import PATIENCE
from point_service.http.observe import request_id_of
from point_service.patience import Patience

MAX_HEADERS = 128  # Envoy lets 100 through
MAX_HEAD_BYTES = (
    64 * 1024
)  # of a request line and its headers, of trailers, of a chunk's head (Envoy: 60 KiB)
HEAD_TIMEOUT = 30.0  # seconds from a request's first byte to the end of its head
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class LimitedProtocol(HttpToolsProtocol):
    """Refuses a head without end or too slow, upgrades, and trailers that would pass for headers.

    And whom `admission` does not let in, None lets everybody in: no cycle, no task and no application ever knows.
    """

    admission: ClassVar[Admission | None] = None
    _asked: Patience | None = None  # of the request that came last
    _refused = False  # the one that is being read, or was read last
    _refusal: bytes | None = None  # not sent yet
    _unread = 0  # bytes of a refused body
    _stays_open = True
    _unfinished = 0  # bytes since the last head, piece of a body or request that was complete
    _in_head = False
    _patience: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._refusal = None
        cycle = self.cycle
        if self._asked is not None and cycle and not (cycle.response_complete or cycle.more_body):
            self._asked.leave()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._answer(self._refusal)
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.logger.warning("Request head too large.")
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._answer(self._refusal)  # before the next request of the same connection
        super().on_message_begin()
        self._refused = False
        self._in_head = True
        self._stop_waiting()
        self._patience = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: the application must not take it for a header
        if len(self.headers) == MAX_HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unfinished = 0
        self._stop_waiting()
        parser = self.parser
        if parser is not None and parser.should_upgrade():
            # The parser would take the body for the next request.
            raise ValueError("no upgrade is taken")
        # Behind another request of the same connection it waits for its turn, and is let in.
        behind = self.cycle and not self.cycle.response_complete
        if parser is None or self.admission is None or behind:
            super().on_headers_complete()
            return
        method = parser.get_method()
        patience = self.admission.enter(method, self.url)
        if patience is None:
            self._refuse(method, stays_open=parser.should_keep_alive())
            return
        self._asked = patience
        self.scope.setdefault("state", {})[PATIENCE] = patience
        try:
            super().on_headers_complete()
        except BaseException:
            leave(patience, 400)
            raise

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        if not self._refused:
            super().on_body(body)
            return
        self._unread += len(body)  # and not kept
        if self._unread > MAX_HEAD_BYTES:
            self._stays_open = False
            self._answer(self._refusal)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        if not self._refused:
            super().on_message_complete()
        elif self.admission is not None and self._refusal is not None:
            self.admission.hold(partial(self._answer, self._refusal))

    def _refuse(self, method: bytes, *, stays_open: bool) -> None:
        """Refuse the request whose head was read, at the end of its body."""
        brought = next((value for name, value in self.headers if name == b"x-request-id"), b"")
        # Who asks before it sends a body gets the answer in the place of the leave to, and no more requests.
        self._stays_open = stays_open and not self.expect_100_continue
        self._refused, self._unread = True, 0
        self._refusal = refusal(
            request_id_of(brought).encode(),
            head=method == b"HEAD",
            close=not self._stays_open,
        )
        if self.expect_100_continue:
            self._answer(self._refusal)

    def _answer(self, due: bytes | None) -> None:
        """Send a refusal that is due, unless it was sent."""
        if due is None or due is not self._refusal:
            return
        self._refusal = None
        if self.transport.is_closing():
            return
        self.transport.write(due)
        if self._stays_open:
            self.on_response_complete()
        else:
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
