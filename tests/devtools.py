"""A headless Chromium driven over the DevTools pipe: no port, no socket, no package, no download."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 120.0  # seconds that an answer may take
# The browser reads its orders from descriptor 3 and answers on 4; exec keeps the process id.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 10) for fd in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--use-angle=swiftshader",  # the same software renderer everywhere
    "--enable-unsafe-swiftshader",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
)


def find_browser() -> str | None:
    """The path of a Chromium on PATH. Firefox has no such pipe and is not driven."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a headless browser; use it in a `with` statement. `events` holds what the page reported."""

    def __init__(self, executable: str, width: int = 1280, height: int = 720) -> None:
        self.profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self.events: list[dict] = []
        self.session: str | None = None
        self.count, self.held = 0, b""
        theirs_in, self.orders = os.pipe()
        self.answers, theirs_out = os.pipe()
        flags = [*FLAGS, f"--user-data-dir={self.profile.name}", f"--window-size={width},{height}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # root has no user namespace to drop into
        launch = [sys.executable, "-S", "-c", LAUNCH, str(theirs_in), str(theirs_out), executable, *flags]
        self.process = subprocess.Popen(
            [*launch, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.session = None
        try:
            self.call("Browser.close")
            self.process.wait(20)
        except (OSError, EOFError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        finally:
            os.close(self.orders)
            os.close(self.answers)
            self.profile.cleanup()

    def call(self, method: str, **params: Any) -> dict:
        """Send one order and wait for its answer; RuntimeError if the browser refuses it."""
        self.count += 1
        order: dict = {"id": self.count, "method": method, "params": params}
        if self.session:
            order["sessionId"] = self.session
        rest = json.dumps(order).encode() + b"\0"
        while rest:
            rest = rest[os.write(self.orders, rest) :]
        while True:
            message = self._read()
            if "method" in message:
                self.events.append(message)
            elif message["id"] == self.count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def _read(self) -> dict:
        while b"\0" not in self.held:
            if not select.select([self.answers], [], [], PATIENCE)[0]:
                raise TimeoutError(f"the browser did not answer for {PATIENCE:g} s")
            read = os.read(self.answers, 1 << 20)
            if not read:
                raise EOFError("the browser has gone")
            self.held += read
        message, self.held = self.held.split(b"\0", 1)
        return json.loads(message)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def open(self, page: Path, until: str = "window.thesphere?.drawn", theme: str = "dark") -> None:
        """Open a file and wait until an expression holds. Earlier events are forgotten."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=page.absolute().as_uri())
        self.wait(until)

    def wait(self, until: str) -> None:
        end = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({until})"):
            if time.monotonic() > end:
                raise TimeoutError(f"{until} does not come true: {self.problems()}")
            time.sleep(0.02)

    def frame(self) -> None:
        """Wait until what was asked for is on the screen."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def screenshot(self, x: float, y: float, width: float, height: float, scale: float = 1.0) -> bytes:
        """PNG of a part of the page, shrunk by `scale`."""
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": scale}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", clip=clip)["data"])

    def problems(self) -> list[str]:
        """Exceptions, errors on the console and breaches of the content policy since the page was opened."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
                found.append(str(params["args"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Addresses that the page asked for since it was opened, its own included."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]
