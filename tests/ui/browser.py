"""Chromium, driven by the DevTools protocol over one WebSocket: what pages of ours need, no more."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from tests.daemon.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PROGRAM: Final = os.environ.get("CHROMIUM") or "chromium"
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",  # it runs as root where tests do
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--remote-debugging-port=0",
)
WITHIN_S: Final = 30.0
POLL_S: Final = 0.05


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[str]:
    """Run a browser with a new profile in ``folder``; give the address of its WebSocket."""
    program = shutil.which(PROGRAM)
    assert program, f"{PROGRAM} is not installed: scripts/install-chromium"
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *ARGUMENTS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        told = folder / "profile" / "DevToolsActivePort"
        until(lambda: process.poll() is not None or (told.is_file() and told.read_text().count("\n") > 0))
        assert process.poll() is None, (folder / "chromium.log").read_text(errors="replace")
        port, path = told.read_text().split("\n")[:2]
        yield f"ws://127.0.0.1:{port}{path}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Page:
    """One tab in a browsing context of its own. said: errors of its scripts, the console and the policy."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    said: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _waiting: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        await self.socket.send_str(json.dumps(message))
        async with asyncio.timeout(WITHIN_S):
            values = await answer
        assert "error" not in values, f"{method}: {values['error']}"
        return dict(values["result"])

    async def listen(self) -> None:
        """Take in what the browser says, until the socket is closed."""
        async for message in self.socket:
            values = json.loads(message.data)
            if "id" in values:
                waiting = self._waiting.pop(values["id"])
                if not waiting.done():
                    waiting.set_result(values)
            elif values.get("sessionId") == self.session:
                self._hear(values["method"], values["params"])

    def _hear(self, method: str, values: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.said.append(f"exception: {values['exceptionDetails']}")
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
            self.said.append(f"console: {values['args']}")
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.said.append(f"log: {values['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requested.append(values["request"]["url"])

    async def open(self, address: str) -> None:
        """Go to an address, and have it loaded anew where only its fragment differs."""
        await self.call("Page.navigate", url="about:blank")
        await self.call("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def value(self, expression: str) -> Any:
        """Return the JSON value of an expression, of what a promise comes to."""
        done = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in done, f"{expression}: {done['exceptionDetails']}"
        return done["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true; return its value."""
        deadline = asyncio.get_running_loop().time() + WITHIN_S
        while not (found := await self.value(expression)):
            if asyncio.get_running_loop().time() > deadline:
                text = await self.value("document.body.innerText")
                raise AssertionError(f"never true: {expression}; {self.said}; the page says: {text}")
            await asyncio.sleep(POLL_S)
        return found

    async def sees(self, text: str, where: str = "body") -> None:
        """Wait until a text can be seen."""
        await self.until(
            f"document.querySelector({json.dumps(where)})?.innerText.includes({json.dumps(text)})"
        )

    async def text(self, where: str = "body") -> str:
        """Return the text that can be seen."""
        return str(await self.value(f"document.querySelector({json.dumps(where)}).innerText"))

    async def click(self, label: str, where: str = "main") -> None:
        """Click the button or link of a label, once it is there and can be clicked."""
        named = (
            f"[...document.querySelectorAll({json.dumps(where + ' button, ' + where + ' a')})]"
            f".find((each) => [each.innerText, each.getAttribute('aria-label')].includes({json.dumps(label)})"
            " && !each.disabled)"
        )
        await self.until(f"!!{named}")
        await self.value(f"{named}.click()")

    async def fill(self, label: str, text: str | bool) -> None:
        """Set the control of a label, as a person would: with its events."""
        control = (
            "[...document.querySelectorAll('main label')]"
            f".find((each) => each.innerText.trim().startsWith({json.dumps(label)}))?.control"
        )
        await self.until(f"!!({control})")
        name = "checked" if isinstance(text, bool) else "value"
        await self.value(
            f"((control) => {{ control.{name} = {json.dumps(text)};"
            " for (const name of ['input', 'change'])"
            " control.dispatchEvent(new Event(name, {bubbles: true}));"
            f" }})({control})"
        )

    async def picture(self, file: Path) -> None:
        """Write what is shown to a PNG."""
        done = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(done["data"]))


@contextlib.asynccontextmanager
async def page_of(address: str) -> AsyncIterator[Page]:
    """Open a tab in the browser at ``address`` that shares nothing with any other tab."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, max_msg_size=0, heartbeat=None) as socket,
    ):
        page = Page(socket)
        listening = asyncio.create_task(page.listen())
        try:
            context = (await page.call("Target.createBrowserContext"))["browserContextId"]
            target = (await page.call("Target.createTarget", url="about:blank", browserContextId=context))[
                "targetId"
            ]
            page.session = (await page.call("Target.attachToTarget", targetId=target, flatten=True))[
                "sessionId"
            ]
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            yield page
            page.session = ""
            await page.call("Target.disposeBrowserContext", browserContextId=context)
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
