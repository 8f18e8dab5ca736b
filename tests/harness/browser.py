"""A page in a real browser, Debian's Chromium, and what a script of one site may read of another one's answers.

Such a page is served by this process, under the name of whatever site is wanted.
"""

import json
import os
import shutil
import ssl
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright
from point_local.machine.pki import Authority, write_secret

PROGRAM = "chromium-headless-shell"
DEADLINE = 60_000.0
"""Milliseconds that anything may take in the browser."""

_ASK = """async (asked) => {
  const seen = [];
  for (const one of asked) {
    try {
      const answer = await fetch(one.url, {method: one.method, headers: one.headers, body: one.body ?? undefined});
      const headers = Object.fromEntries(answer.headers.entries());
      seen.push({status: answer.status, headers, body: await answer.text()});
    } catch (error) {
      seen.push({status: 0, headers: {}, body: String(error)});
    }
  }
  return seen;
}"""


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
    """Have a page of `site`, a host name, ask; return what its script may read. Certificates are kept in `directory`.

    `reach` says at which address a host name is to be found at port 443; the browser looks no name up.
    """
    with _site(site, directory) as port:
        rules = [
            f"MAP {host}:443 {address}:{port}"
            for host, (address, port) in {**reach, site: ("127.0.0.1", port)}.items()
        ]
        resolved = ",".join([*rules, "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"])
        with opened(f"https://{site}/", f"--host-resolver-rules={resolved}") as page:
            return msgspec.convert(page.evaluate(_ASK, msgspec.to_builtins(asked)), list[Seen])


@contextmanager
def opened(url: str, *flags: str) -> Generator[Page]:
    """A browser with one page. Skips where there is no browser; in CI that is a failure."""
    program = shutil.which(PROGRAM)
    if program is None:
        missing = f"not installed: {PROGRAM} (point-local packages)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(DEADLINE)
        page = context.new_page()
        page.goto(url)
        yield page


def faults(page: Page) -> list[str]:
    """What axe finds serious or worse: what keeps those out who read a page by keyboard or screen reader."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@contextmanager
def _site(name: str, directory: Path) -> Generator[int]:
    """Serve an empty page by HTTPS on loopback; its port."""
    authority = Authority(name, directory / "site-ca.crt", directory / "site-ca.key")
    certificate, key = authority.issue(name, [name])
    (directory / "site.crt").write_text(certificate)
    write_secret(directory / "site.key", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "site.crt", directory / "site.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
        pass
