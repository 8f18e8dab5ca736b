"""One connection's HTTP/1.1: uvicorn's, within limits that a gateway sets for whom it lets in, and uvicorn does not.

They are for who comes past the gateway. What breaks one is answered with 400 or cut off, before the application knows.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADERS = 128  # Envoy lets 100 through
MAX_HEAD_BYTES = (
    64 * 1024
)  # of a request line and its headers, of trailers, of a chunk's head (Envoy: 60 KiB)
HEAD_TIMEOUT = 30.0  # seconds from a request's first byte to the end of its head
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class LimitedProtocol(HttpToolsProtocol):
    """Refuses a head without end or too slow, upgrades, and trailers that would pass for headers."""

    _unfinished = 0  # bytes since the last head, piece of a body or request that was complete
    _in_head = False
    _patience: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.logger.warning("Request head too large.")
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
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
        if self.parser is not None and self.parser.should_upgrade():
            # The parser would take the body for the next request.
            raise ValueError("no upgrade is taken")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
