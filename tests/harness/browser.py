"""A page in a real browser: what a script of one site may read of another one's answers.

The page is served by this process, under the name of whatever site is wanted; so is the answer of the script read.
"""

import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websocket
from point_local.machine.pki import Authority, write_secret
from point_local.programs.command import wait

PROGRAM = "chromium-headless-shell"
DEADLINE = 60.0
"""Seconds that the browser may take."""

_PAGE = """<!doctype html><script>
(async () => {
  const seen = [];
  for (const one of ASKED) {
    try {
      const answer = await fetch(one.url, {method: one.method, headers: one.headers, body: one.body ?? undefined});
      const headers = Object.fromEntries(answer.headers.entries());
      seen.push({status: answer.status, headers, body: await answer.text()});
    } catch (error) {
      seen.push({status: 0, headers: {}, body: String(error)});
    }
  }
  await fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
})();
</script>"""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request of the page's script."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: str | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the script may read of the answer. Status 0: nothing, the browser kept it."""

    status: int
    headers: Mapping[str, str]
    body: str

    def problem(self) -> tuple[int, str]:
        """Status and code of a refusal; fails unless the script could read the whole problem document."""
        assert self.status, self.body
        assert self.headers["content-type"] == "application/problem+json"
        document = json.loads(self.body)
        assert document["status"] == self.status
        assert document["request_id"] == self.headers["x-request-id"]
        return self.status, document["type"].rpartition(":")[2]


def read(
    site: str, asked: Sequence[Asked], directory: Path, reach: Mapping[str, tuple[str, int]]
) -> list[Seen]:
    """Have a page of `site`, a host name, ask; return what it read.

    `reach` says at which address a host name is to be found at port 443; the browser looks no name up. Skips where
    there is no browser; in CI that is a failure.
    """
    page = _PAGE.replace("ASKED", json.dumps([msgspec.to_builtins(one) for one in asked]))
    with _Site(site, page, directory) as served:
        rules = [
            f"MAP {host}:443 {address}:{port}"
            for host, (address, port) in {**reach, site: ("127.0.0.1", served.port)}.items()
        ]
        resolved = ",".join([*rules, "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"])
        with _started(f"https://{site}/", directory, f"--host-resolver-rules={resolved}") as log:
            assert served.seen.wait(DEADLINE), log.read_text(errors="replace")[-3000:]
    return served.answers


class Tab:
    """A page that is open, asked and told by Chromium's own protocol."""

    def __init__(self, address: str) -> None:
        # Without an origin: the browser refuses pages that try this.
        self._socket = websocket.create_connection(address, timeout=DEADLINE, suppress_origin=True)
        self._number = 0

    def evaluate(self, expression: str) -> Any:
        """What an expression of JavaScript is in the page. Fails when it throws."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol; what happens meanwhile is passed over."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv())).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def close(self) -> None:
        self._socket.close()


@contextmanager
def opened(url: str, directory: Path) -> Generator[Tab]:
    """A browser with one page. Skips where there is no browser; in CI that is a failure."""
    with _started("about:blank", directory) as log:
        port_file = directory / "profile" / "DevToolsActivePort"
        wait(
            "the browser listens",
            lambda: port_file.exists() and port_file.read_text().strip(),
            seconds=DEADLINE,
        )
        listed = f"http://127.0.0.1:{port_file.read_text().split()[0]}/json/list"
        pages: list[str] = []

        def found() -> bool:
            with urllib.request.urlopen(listed, timeout=DEADLINE) as answer:
                pages.extend(t["webSocketDebuggerUrl"] for t in json.load(answer) if t["type"] == "page")
            return bool(pages)

        wait(f"the browser has a page (log: {log})", found, seconds=DEADLINE)
        tab = Tab(pages[0])
        try:
            tab.call("Page.navigate", url=url)  # answers once the page is the new one
            yield tab
        finally:
            tab.close()


@contextmanager
def _started(url: str, directory: Path, *flags: str) -> Generator[Path]:
    """A browser at a page of ours; its log."""
    program = shutil.which(PROGRAM)
    if program is None and os.environ.get("CI"):
        pytest.fail(f"not installed: {PROGRAM} (point-local packages)")
    if program is None:
        pytest.skip(f"not installed: {PROGRAM} (point-local packages)")
    common = [
        "--no-sandbox",  # it runs as root, and only our own pages
        "--disable-gpu",
        "--disable-background-networking",
        "--ignore-certificate-errors",
        f"--user-data-dir={directory / 'profile'}",
        "--remote-debugging-port=0",  # else it ends once the page is loaded
    ]
    log = directory / "browser.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, *common, *flags, url],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Debian's program is a script that starts the browser, and that starts others
        )
    try:
        yield log
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _Site:
    """Serves one page by HTTPS on loopback and takes what its script has seen."""

    def __init__(self, name: str, page: str, directory: Path) -> None:
        authority = Authority(name, directory / "site-ca.crt", directory / "site-ca.key")
        certificate, key = authority.issue(name, [name])
        (directory / "site.crt").write_text(certificate)
        write_secret(directory / "site.key", key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(directory / "site.crt", directory / "site.key")
        self.seen, self.answers = threading.Event(), list[Seen]()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(page.encode()))
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port

    def __enter__(self) -> "_Site":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self, page: bytes) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(page)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                site.answers = msgspec.json.decode(body, type=list[Seen])
                self._answer(b"")
                site.seen.set()

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
                pass

        return Handler
