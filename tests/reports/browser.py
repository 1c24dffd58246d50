"""A real Chromium, driven over a pipe by the DevTools protocol with nothing but the standard library.

``--remote-debugging-pipe``: the browser reads commands from descriptor 3 and writes answers and events to 4, JSON documents
that end in a NUL.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests_support import HANG_S

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--remote-debugging-pipe", "--force-color-profile=srgb"),
)


def find_browser() -> str | None:
    """Return the path of a Chromium; None when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


_LOADED = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', () => done()))"


class BrowserGone(AssertionError):
    """The browser has ended, and will not answer."""


class Browser:
    """A running browser; ``send`` waits for the answer and keeps the events that come before it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._answers: Queue[dict[str, Any] | None] = Queue()
        self._is_gone = False
        self._next = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        rest = b""
        while part := self.process.stdout.read1(1 << 16):  # type: ignore[union-attr]
            *whole, rest = (rest + part).split(b"\0")
            for text in whole:
                message = json.loads(text)
                if "id" in message:
                    self._answers.put(message)
                else:
                    with self._news:
                        self.events.append(message)
                        self._news.notify_all()
        self._answers.put(None)
        with self._news:
            self._is_gone = True
            self._news.notify_all()

    def close(self) -> None:
        """Ask the browser to end; it may be gone before it has answered."""
        with suppress(BrowserGone, BrokenPipeError):
            self.send("Browser.close")

    def send(self, method: str, session: str | None = None, **params: object) -> dict[str, Any]:
        """Send a command and return its result; AssertionError when the browser refuses, does not answer or is gone."""
        self._next += 1
        message = {"id": self._next, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self.process.stdin.write(json.dumps(message).encode() + b"\0")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        while True:
            try:
                answer = self._answers.get(timeout=HANG_S)
            except Empty:
                raise AssertionError(f"no answer to {method}") from None
            if answer is None:
                raise BrowserGone(method)
            if answer["id"] == self._next:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result

    def wait(self, method: str, session: str) -> None:
        """Wait until this event has come."""
        with self._news:
            self._news.wait_for(lambda: self._is_gone or self._has_come(method, session), HANG_S)
            assert self._has_come(method, session), f"no {method}"

    def _has_come(self, method: str, session: str) -> bool:
        return any(e["method"] == method and e.get("sessionId") == session for e in self.events)

    @contextmanager
    def page(self, url: str, *, width: int, height: int = 900, scheme: str = "light") -> Iterator["Tab"]:
        """Open a page at a width in pixels and a colour scheme, loaded whole."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        try:
            for domain in ("Page", "Runtime", "Network", "Log"):
                tab.send(f"{domain}.enable")
            phone = width < 600
            tab.send(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
            )
            tab.media(scheme)
            tab.send("Page.navigate", url=url)
            self.wait("Page.loadEventFired", session)
            # That may have been the load of the empty page before it.
            tab.run(_LOADED)
            yield tab
        finally:
            self.send("Target.closeTarget", targetId=target)


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def send(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command to this page."""
        return self._browser.send(method, self._session, **params)

    def media(self, scheme: str, kind: str = "screen") -> None:
        """Show the page as on a screen or on paper, light or dark."""
        self.send(
            "Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def run(self, script: str) -> Any:
        """Return the value of an expression of JavaScript, evaluated in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def seen(self, *methods: str) -> list[dict[str, Any]]:
        """Return what the browser reported about this page so far, by the kind of event."""
        mine = (event for event in self._browser.events if event.get("sessionId") == self._session)
        return [event["params"] for event in mine if event["method"] in methods]

    def screenshot(self, path: Path) -> None:
        """Write the whole page, however long, as PNG."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(path: str) -> Iterator[Browser]:
    """Start a browser of its own profile, and end it."""
    profile = tempfile.mkdtemp(prefix="bench-browser-")
    # The shell gives the pipe the numbers that the browser expects; its own output is of no interest.
    command = ["sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null', path]
    process = subprocess.Popen(
        [*command, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    found = Browser(process)
    try:
        yield found
        found.close()
        process.wait(HANG_S)
    finally:
        process.kill()
        process.wait()
        found.reader.join()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        shutil.rmtree(profile, ignore_errors=True)
