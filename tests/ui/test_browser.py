"""The pages in a real browser, on a real service, as a person uses them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from ccr.config.parse import values_from_bytes
from ccr.config.paths import Paths
from ccr.sandbox import Workspace, WorkspaceThread
from tests.daemon.installation import CCR, Installation
from tests.daemon.waiting import until
from tests.store.database import PLAIN, failed, make_database
from tests.ui.browser import Page, chromium, page_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

HOSTILE = "<script>document.title='pwned'</script><img src=x onerror=document.title='pwned'>"
"""As the name of a model, in a log line, in a request: it is a text and stays one."""
MODELS = ["databricks-claude-sonnet-4-5", "databricks-claude-haiku-4-5"]
CONFIG = """{
  // mine, and it stays
  "PORT": 0,
  "LOG_LEVEL": "info", // for now
  "Providers": [
    {
      "name": "databricks",
      "api_base_url": "%(url)s/serving-endpoints/databricks-claude-sonnet-4-5/invocations",
      "api_key": "%(token)s",
      "models": %(models)s,
      "transformer": { "use": ["databricks-custom"] }
    }
  ],
  "Router": { "default": "databricks,databricks-claude-sonnet-4-5" } // routes
}
"""
PAGES = ("Overview", "Configuration", "Connections", "Logs", "Usage", "Requests", "Route explain")
WIDEST = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chromium(tmp_path_factory.mktemp("chromium")) as address:
        yield address


@pytest.fixture(scope="module")
def workspace() -> Iterator[WorkspaceThread]:
    with WorkspaceThread(Workspace()) as running:
        yield running


class Shown:
    """A running service, and ``ccr ui`` for it."""

    def __init__(self, installation: Installation, workspace: WorkspaceThread) -> None:
        self.installation = installation
        self.text = CONFIG % {
            "url": workspace.url,
            "token": workspace.token,
            "models": json.dumps([*MODELS, "no-such-model", HOSTILE]),
        }
        self.file = installation.paths.config_file
        self.address = ""

    def write(self) -> None:
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        self.file.write_text(self.text)
        self.file.chmod(0o600)

    def restore(self) -> None:
        """Write the first text again, and wait until the service means it too."""
        said = values_from_bytes(self.file.read_bytes())
        before = self.generation()
        self.write()
        if said != values_from_bytes(self.text.encode()):
            until(lambda: self.generation() > before)

    def generation(self) -> int:
        """How often the service has read its configuration."""
        return int(self.installation.status()["counts"]["configuration"]["generation"])

    @contextlib.contextmanager
    def pages(self, **environ: str) -> Iterator[Run]:
        options = [] if environ else ["--no-open"]
        run = Run(self.installation.popen("ui", *options, PYTHONUNBUFFERED="1", **environ))
        try:
            yield run
        finally:
            run.end()


class Run:
    """One ``ccr ui``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.address = process.stdout.readline().split()[-1]

    def end(self) -> None:
        """End it as Ctrl-C does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            output, errors = self._process.communicate(timeout=30)
            assert (self._process.returncode, errors) == (0, ""), output


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, workspace: WorkspaceThread) -> Iterator[Shown]:
    made = Shown(Installation(Paths(tmp_path_factory.mktemp("ui") / "home")), workspace)
    made.write()
    started = made.installation.run("start")
    assert started.returncode == 0, started.stderr
    with made.pages() as run:
        made.address = run.address
        yield made
    made.write()
    made.installation.run("stop", "--now")


@pytest.fixture
async def page(browser: str, shown: Shown) -> AsyncIterator[Page]:
    """A tab with the pages; at its end no script failed, and nothing was asked of anybody else."""
    await asyncio.to_thread(shown.restore)
    async with page_of(browser) as tab:
        await tab.open(shown.address)
        await tab.sees("ccr is running")
        yield tab
        assert tab.said == []
        own = shown.address.partition("#")[0]
        assert [url for url in tab.requested if not url.startswith(own) and url != "about:blank"] == []
        assert await tab.value("document.title") != "pwned"


async def go(page: Page, name: str) -> None:
    await page.click(name, "nav")
    await page.until(f"document.querySelector('h1').innerText === {json.dumps(name)}")


async def test_the_overview_shows_the_service(page: Page, shown: Shown) -> None:
    status = shown.installation.status()
    for text in (status["address"], str(status["pid"]), str(shown.file), HOSTILE, "databricks"):
        await page.sees(text)
    assert await page.value("location.hash") == "#overview", "the key is out of the address and the history"
    assert "key=" not in await page.value("document.documentElement.outerHTML")
    await page.call("Page.reload")
    await page.sees("ccr is running")
    assert await page.value("document.querySelector('nav [aria-current]').innerText") == "Overview"


async def test_without_the_key_nothing_is_shown(browser: str, shown: Shown) -> None:
    async with page_of(browser) as tab:
        await tab.open(shown.address.partition("#")[0])
        await tab.sees("Open the whole address that ccr ui has printed")
        assert [url for url in tab.requested if "/api/" in url] == []
        await tab.open(shown.address[:-4] + "xxxx")
        await tab.sees("this page is of another run")
        assert "databricks" not in await tab.text()


async def test_a_page_of_another_site_gets_nothing(browser: str, shown: Shown) -> None:
    """As from a page that knows even the key: another origin, another port of this machine."""
    base, _, key = shown.address.partition("/#key=")
    async with page_of(browser) as tab:
        await tab.open("data:text/html,<h1>other</h1>")
        for options in ("{}", f"{{headers: {{'x-ccr-ui-key': '{key}'}}}}", "{mode: 'no-cors'}"):
            asked = f"fetch('{base}/api/config', {options}).then((a) => a.text(), () => 'refused')"
            assert await tab.value(asked) in ("refused", "")
        loaded = (
            "new Promise((done) => { const script = document.createElement('script');"
            f" Object.assign(script, {{ src: '{base}/app.js', type: 'module' }});"
            " script.onload = script.onerror = (event) => done(event.type); document.body.append(script); })"
        )
        assert await tab.value(loaded) == "error"
        assert await tab.text("h1") == "other"


async def test_a_route_is_chosen_and_the_service_follows(page: Page, shown: Shown) -> None:
    await go(page, "Configuration")
    await page.sees("The configuration is good")
    await page.sees("mine, and it stays")
    before = shown.generation()
    await page.fill("default: everything else", f"databricks,{MODELS[1]}")
    await page.sees("go to databricks,databricks-claude-haiku-4-5 now.", "#said")
    old, new = f'"default": "databricks,{MODELS[0]}"', f'"default": "databricks,{MODELS[1]}"'
    assert shown.file.read_text() == shown.text.replace(old, new)
    assert shown.file.stat().st_mode & 0o777 == 0o600
    await asyncio.to_thread(until, lambda: shown.generation() > before)
    await go(page, "Overview")
    await page.sees(f"databricks,{MODELS[1]}", "main")


async def test_what_is_refused_is_told_and_a_foreign_edit_is_kept(page: Page, shown: Shown) -> None:
    await go(page, "Configuration")
    await page.fill("longContextThreshold", "0")
    await page.click("Set")
    await page.sees("Nothing was written.")
    await page.sees("Router.longContextThreshold: found 0; allowed:")
    assert shown.file.read_text() == shown.text
    edited = shown.text.replace("// routes", "// routes of mine")
    shown.file.write_text(edited)
    await page.fill("LOG_LEVEL", "debug")
    await page.sees("was changed meanwhile; nothing was written")
    assert shown.file.read_text() == edited
    await page.sees("routes of mine")
    page.said.clear()  # the browser tells the refusals, 422 and 409


async def test_a_key_goes_in_and_never_comes_out(page: Page, shown: Shown) -> None:
    await go(page, "Configuration")
    key = "canary-brand-new-key-0123456789"
    before = shown.generation()
    await page.fill("New api_key of databricks", key)
    await page.click("Set the key")
    await page.sees("The key of databricks is written.", "#said")
    assert f'"api_key": "{key}"' in shown.file.read_text()
    await asyncio.to_thread(until, lambda: shown.generation() > before)
    await page.sees('"api_key": "***"')
    assert key not in await page.value("document.documentElement.outerHTML")
    fields = "[...document.querySelectorAll('input[type=password]')]"
    assert await page.value(f"{fields}.map((each) => each.value)") == [""]


async def test_connections_are_tested(page: Page) -> None:
    await go(page, "Connections")
    await page.click(f"Test databricks,{MODELS[0]}")
    await page.sees("answered in ")
    await page.click("Test databricks,no-such-model")
    await page.sees("failed (400)")
    await page.sees(HOSTILE)
    await page.click("Test all")
    await page.until(
        "!document.querySelector('[aria-busy]') && !document.body.innerText.includes('asking …')"
    )
    assert (await page.text()).count("answered in ") == len(MODELS)
    await go(page, "Requests")
    await page.fill("Model", "no-such-model")
    buttons = "[...document.querySelectorAll('main button')]"
    again = f"{buttons}.find((each) => each.innerText === 'Look again' && !each.disabled)?.click()"
    await page.until(f"document.body.innerText.includes('error 400') || {again}")  # written a moment later
    await page.fill("Model", MODELS[0])
    await page.sees(" tokens in, ")


async def test_the_log_follows(page: Page, shown: Shown) -> None:
    await go(page, "Logs")
    await page.sees("Follow")
    log = shown.installation.paths.log_file
    await page.fill("Text", "unheard-of")
    await page.sees("0 lines", "[role=status]")
    for number in (1, 2):
        record = {
            "time": "2026-01-01T00:00:00.000+00:00",
            "level": "warn",
            "message": f"unheard-of {number} {HOSTILE}",
        }
        with log.open("a") as opened:
            opened.write(json.dumps({**record, "request_id": f"req_{number}"}) + "\n")
        await page.sees(f"unheard-of {number} {HOSTILE}")
    await page.fill("Request id", "req_2")
    await page.until("document.querySelectorAll('.entry').length === 1")
    await page.click("Clear the filter")
    await page.until("document.querySelectorAll('.entry').length > 2")
    await page.fill("Log", "plugin")
    await page.sees("There is no such log yet")


async def test_a_request_is_explained(page: Page) -> None:
    await go(page, "Route explain")
    await page.click("Explain")
    await page.sees("What would be sent")
    await page.sees("by the rule")
    body = {
        "model": f"databricks,{HOSTILE}",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": HOSTILE}],
    }
    await page.fill("Request", json.dumps(body))
    await page.click("Explain")
    await page.sees("explicit")
    await page.sees("Authorization: ***")
    await page.fill("Request", "{")
    await page.click("Explain")
    await page.sees("the request would be refused")
    page.said.clear()  # the browser tells the refusal, 400


async def test_usage_and_requests(browser: str, workspace: WorkspaceThread, tmp_path: Path) -> None:
    """Of an installation whose service does not run: the pages read what was kept."""
    shown = Shown(Installation(Paths(tmp_path / "home")), workspace)
    shown.write()
    bars = "[...document.querySelectorAll('.bar')].filter((bar) => bar.height.baseVal.value).length"
    with shown.pages() as run:
        async with page_of(browser) as page:
            await page.open(run.address)
            await page.sees("ccr is not running")
            await go(page, "Usage")
            await page.sees("Nothing was recorded yet")
            now = int(time.time() * 1000)
            rows = [
                PLAIN._replace(at_ms=now - 86_400_000, request_id=f"req_{number}") for number in range(70)
            ]
            rows.append(failed(at_ms=now, error=HOSTILE, upstream_model=HOSTILE, session="s-1"))
            make_database(shown.installation.paths.usage_file, rows)
            await go(page, "Requests")
            await page.sees(HOSTILE)
            await page.click("Older ones")
            await page.until("document.querySelectorAll('.request').length === 71")
            await page.fill("Errors alone", True)
            await page.until("document.querySelectorAll('.request').length === 1")
            await go(page, "Usage")
            await page.sees("71")
            await page.sees("90 %")
            assert await page.value(bars) == 1
            await page.fill("Bars", "requests")
            assert await page.value(bars) == 2
            await page.fill("Grouped by", "session")
            await page.sees("s-1")
            assert page.said == []
            assert await page.value("document.title") != "pwned"


async def test_stop_and_start(page: Page, shown: Shown) -> None:
    await page.click("Stop")
    await page.sees("ccr has stopped (process")
    await page.sees("ccr is not running")
    assert not shown.installation.status()["running"]
    await page.click("Start")
    await page.sees("ccr is running at http://127.0.0.1:")
    assert shown.installation.status()["running"]


async def test_every_page_has_names_for_its_controls_and_room_on_a_small_screen(page: Page) -> None:
    unnamed = (
        "[...document.querySelectorAll('input, select, textarea, button, a')]"
        ".filter((each) => !(each.labels?.length || each.innerText || each.getAttribute('aria-label')))"
        ".map((each) => each.outerHTML)"
    )
    await page.call(
        "Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=1, mobile=True
    )
    for name in PAGES:
        await go(page, name)
        await page.until("!document.querySelector('main').hasAttribute('aria-busy')")
        assert await page.value(unnamed) == [], name
        assert await page.value(WIDEST), name


async def test_when_ccr_ui_has_ended_the_page_says_so(browser: str, shown: Shown) -> None:
    with shown.pages() as run:
        async with page_of(browser) as tab:
            await tab.open(run.address)
            await tab.sees("ccr is running")
            await asyncio.to_thread(run.end)
            await tab.sees("ccr ui has ended. Run it again", "#said")


async def test_the_browser_is_opened_with_a_code_that_counts_once(
    browser: str, shown: Shown, tmp_path: Path
) -> None:
    """What stands among a program's arguments can be read by every user of the machine."""
    told, program = tmp_path / "told", tmp_path / "my-browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {told}\n')
    program.chmod(0o755)
    with shown.pages(BROWSER=str(program)) as run:
        await asyncio.to_thread(until, lambda: told.is_file() and told.read_text() != "")
        opened = told.read_text()
        base, _, key = run.address.partition("/#key=")
        assert opened.startswith(f"{base}/#once=")
        assert key not in opened
        async with page_of(browser) as tab:
            await tab.open(opened)
            await tab.sees("ccr is running")
        async with page_of(browser) as tab:
            await tab.open(opened)
            await tab.sees("this address is used up: open the one that `ccr ui` printed")


def test_it_ends_by_ctrl_c_and_says_what_is_in_the_way(shown: Shown) -> None:
    address = shown.address
    port = address.partition("/#")[0].rpartition(":")[2]
    done = subprocess.run(
        [str(CCR), "ui", "--no-open", "--port", port],
        env=shown.installation.environ(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert f"Port {port} cannot be listened on" in done.stderr
