"""The console's page in a real browser, on the running stack."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import browser
from point_local.drill import observe
from point_local.programs.command import wait

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

MAIN = "from point_local.cli import main; main()"


class Console:
    """`point-local console` on a port of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "console", "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.address = next(
            word for word in self.process.stdout.readline().split() if word.startswith("http://")
        )

    def stop(self) -> int:
        """End it as Ctrl-C does; its status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def console() -> Iterator[Console]:
    made = Console()
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()


def test_the_page_shows_what_runs_and_says_when_it_is_cut_off(console: Console, tmp_path: Path) -> None:
    with browser.opened(console.address, tmp_path) as tab:
        wait("the page is live", lambda: _connection(tab) == "live", seconds=60)
        assert tab.evaluate("location.href").endswith("/"), "the token stays in the address"
        drawn = tab.evaluate("document.getElementById('picture').textContent")
        words = tab.evaluate("document.getElementById('words').textContent")
        for zone in ("az-a", "az-b", "az-c"):
            assert zone in drawn
            assert zone in words
        assert tab.evaluate("document.querySelectorAll('#picture .zone').length") == 3

        def all_pods_are_shown() -> bool:
            shown = tab.evaluate("document.getElementById('picture').textContent")
            return all(p["metadata"]["name"].rpartition("-")[2] in shown for p in observe.service_pods())

        wait("the service's pods are in the picture", all_pods_are_shown, seconds=30)
        conditions = tab.evaluate("document.getElementById('conditions').textContent")
        assert "Ready" in conditions
        assert "Progressing" in conditions
        assert "points" in tab.evaluate("document.getElementById('books').textContent")
        assert console.stop() == 0
        wait("the page says so", lambda: _connection(tab) == "lost", seconds=30)
        assert "Lost connection" in tab.evaluate("document.getElementById('connection').textContent")


def test_a_page_with_a_wrong_token_is_told_what_to_do(console: Console, tmp_path: Path) -> None:
    wrong = f"{console.address.partition('#')[0]}#{'x' * 43}"
    with browser.opened(wrong, tmp_path) as tab:
        wait("the page is refused", lambda: _connection(tab) == "lost", seconds=60)
        assert "make console" in tab.evaluate("document.getElementById('connection').textContent")
        assert tab.evaluate("document.getElementById('picture').childElementCount") == 0


def _connection(tab: browser.Tab) -> str | None:
    return tab.evaluate("document.body?.dataset.state ?? null")
