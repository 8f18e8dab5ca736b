"""The console's page in a real browser, on the running stack."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import pytest
from harness import browser
from harness.sizes import LONG
from playwright.sync_api import Page
from point_local.drill import blows, observe
from point_local.machine.cluster import WORKERS
from point_local.programs.command import wait

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

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


def test_the_page_shows_what_runs_and_says_when_it_is_cut_off(console: Console) -> None:
    with browser.opened(console.address) as tab:
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1920])
def test_whoever_reads_by_keyboard_or_screen_reader_misses_nothing(
    console: Console, scheme: Literal["light", "dark"], width: int
) -> None:
    with browser.opened(console.address) as tab:
        tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        tab.set_viewport_size({"width": width, "height": 900})
        wait("the page is live", lambda: _connection(tab) == "live", seconds=60)
        _click(tab, "[data-step=mint]")
        wait("a step is told", lambda: _stories(tab) == 1, seconds=30)
        assert browser.faults(tab) == []
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            "it is wider than the window"
        )


def test_a_page_with_a_wrong_token_is_told_what_to_do(console: Console) -> None:
    wrong = f"{console.address.partition('#')[0]}#{'x' * 43}"
    with browser.opened(wrong) as tab:
        wait("the page is refused", lambda: _connection(tab) == "lost", seconds=60)
        assert "make console" in tab.evaluate("document.getElementById('connection').textContent")
        assert tab.evaluate("document.getElementById('picture').childElementCount") == 0


def test_a_zone_goes_dark_under_a_load_and_comes_back_and_nothing_is_lost(console: Console) -> None:
    with browser.opened(console.address) as tab:
        other = tab.context.new_page()
        other.goto(console.address)
        for one in (tab, other):
            wait("the page is live", lambda one=one: _connection(one) == "live", seconds=60)
        _click(tab, "#start")
        wait("the load is answered", lambda: _numbers(tab)[0] > 0, seconds=60)
        _click(tab, "[data-zone=b]")
        wait("zone b can be lit again", lambda: _enabled(tab, "#mend"), seconds=60)
        wait("the picture has a dark zone", lambda: "az-b dark" in _text(tab, "picture"), seconds=30)
        assert browser.faults(tab) == []
        wait("the other page has it, too", lambda: "az-b dark" in _text(other, "picture"), seconds=30)
        assert not _enabled(other, "#strike"), "a second blow could be struck"
        assert not _enabled(other, "#stop"), "what the blow is judged by could be stopped"
        wait("writes are served", lambda: "writes are served" in _text(other, "timeline"), seconds=60)
        _click(other, "#mend")
        wait("it is judged", lambda: "zone b, stop" in _text(tab, "results"), seconds=300)
        assert "clean" in _text(tab, "results")
        _click(tab, "#stop")
        wait("the load ends", lambda: "the load ends" in _text(tab, "timeline"), seconds=120)
        acknowledged, found, lost, twice = _numbers(tab)
        assert (lost, twice) == (0, 0)
        assert acknowledged == found > 0
        order = [
            "a load starts: 30 requests a second, even",
            "zone b, stop: begins",
            "az-b is dark",
            "zone b, stop: being mended",
            "zone b, stop: mended",
            "zone b, stop: all is whole",
            "lost, 0 twice",
            "the load ends",
        ]
        for one in (tab, other):
            told = _text(one, "timeline")
            places = [told.find(line) for line in order]
            assert -1 not in places, told
            assert places == sorted(places), told


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="a minute more; the drill itself mends in the same way")
def test_a_zone_is_lit_again_when_the_console_ends(console: Console) -> None:
    with browser.opened(console.address) as tab:
        wait("the page is live", lambda: _connection(tab) == "live", seconds=60)
        _click(tab, "[data-zone=b]")
        wait("zone b is dark", lambda: _enabled(tab, "#mend"), seconds=60)
    node = next(n for n in WORKERS if n.name == "az-b")
    assert node.init() is None
    console.process.send_signal(signal.SIGINT)
    assert console.process.wait(120) == 0
    assert node.init() is not None
    wait("all is whole", blows.whole, seconds=300, every=1)


def test_a_member_s_story_is_told_and_what_an_attacker_tries_is_refused(console: Console) -> None:
    with browser.opened(console.address) as tab:
        wait("the page is live", lambda: _connection(tab) == "live", seconds=60)
        for number, step in enumerate(("mint", "earn", "use", "cancel"), start=1):
            _click(tab, f"[data-step={step}]")
            wait(f"{step} is told", lambda number=number: _stories(tab) == number, seconds=30)
        names = tab.evaluate("[...document.getElementById('attack').options].map((one) => one.value)")
        tried = ("no token", "algorithm none", "another payload", "beside a good token: the role")
        for number, name in enumerate(tried, start=5):
            (index,) = [i for i, one in enumerate(names) if one.endswith(name)]
            tab.evaluate(f"document.getElementById('attack').selectedIndex = {index}")
            _click(tab, "#try")
            wait(f"{name} is told", lambda number=number: _stories(tab) == number, seconds=30)
        told = _text(tab, "exchanges")
        assert "NOT as it must be" not in told
        assert told.count(": 201, as it must be") == 3
        assert told.count(": 403, as it must be") + told.count(": 401, as it must be") == len(tried)


def test_a_patch_is_shown_as_the_command_and_asked_of_the_api_server(console: Console) -> None:
    with browser.opened(console.address) as tab:
        wait("the page is live", lambda: _connection(tab) == "live", seconds=60)
        _click(tab, "#ask")
        wait("the command is shown", lambda: "--dry-run=server" in _text(tab, "command"), seconds=30)
        assert _text(tab, "command").startswith("kubectl patch pts points -n points --type=merge -p '{")
        tab.evaluate("document.getElementById('value').value = '-1'")
        _click(tab, "#apply")
        wait("the API server refuses it", lambda: "requestsPerSecond" in _text(tab, "refused"), seconds=30)


def _click(tab: Page, selector: str) -> None:
    wait(f"{selector} can be clicked", lambda: _enabled(tab, selector), seconds=60)
    tab.evaluate(f"document.querySelector('{selector}').click()")


def _enabled(tab: Page, selector: str) -> bool:
    return tab.evaluate(f"!document.querySelector('{selector}').disabled")


def _text(tab: Page, name: str) -> str:
    return tab.evaluate(f"document.getElementById('{name}').textContent")


def _numbers(tab: Page) -> list[int]:
    """Acknowledged, found, lost and twice; -1 of what is not known yet."""
    shown = tab.evaluate(
        "[...document.querySelectorAll('#zeros dd')].slice(0, 4).map((one) => one.textContent)"
    )
    numbers = [one.replace(",", "") for one in shown]
    return [int(one) if one.isdigit() else -1 for one in numbers] or [-1] * 4


def _stories(tab: Page) -> int:
    return tab.evaluate("document.querySelectorAll('#exchanges article').length")


def _connection(tab: Page) -> str | None:
    return tab.evaluate("document.body?.dataset.state ?? null")
