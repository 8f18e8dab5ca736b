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
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from point_local.machine.pki import Authority, write_secret

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
    program = shutil.which(PROGRAM)
    if program is None and os.environ.get("CI"):
        pytest.fail(f"not installed: {PROGRAM} (point-local packages)")
    if program is None:
        pytest.skip(f"not installed: {PROGRAM} (point-local packages)")
    page = _PAGE.replace("ASKED", json.dumps([msgspec.to_builtins(one) for one in asked]))
    with _Site(site, page, directory) as served:
        rules = [
            f"MAP {host}:443 {address}:{port}"
            for host, (address, port) in {**reach, site: ("127.0.0.1", served.port)}.items()
        ]
        flags = [
            "--no-sandbox",  # it runs as root, and only our own pages
            "--disable-gpu",
            "--disable-background-networking",
            "--ignore-certificate-errors",
            f"--host-resolver-rules={','.join([*rules, 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1'])}",
            f"--user-data-dir={directory / 'profile'}",
            "--remote-debugging-port=0",  # else it ends once the page is loaded
        ]
        log = directory / "browser.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, *flags, f"https://{site}/"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Debian's program is a script that starts the browser, and that starts others
            )
        try:
            assert served.seen.wait(DEADLINE), log.read_text(errors="replace")[-3000:]
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return served.answers


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
