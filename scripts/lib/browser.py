"""Chromium without a window, led over its own debugging port on the loopback.

It reaches nothing but this machine, keeps its profile in a folder that goes away, and
ends with the block that started it.
"""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import websocket

START_SECONDS, STEP_SECONDS, STOP_SECONDS = 60, 30, 10
#: The page is settled when nothing was asked of the server for so long.
QUIET_SECONDS = 0.35
#: Odoo's line for news stays open; its worker is loaded outside of the page.
IGNORED = "/bus/"

SWITCHES = [
    "--headless",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--mute-audio",
    "--no-sandbox",
    "--remote-debugging-address=127.0.0.1",
    "--remote-debugging-port=0",
    # without it Chromium takes no debugging connection that names an origin
    "--remote-allow-origins=http://127.0.0.1",
]


class BrowserError(Exception):
    """The browser did not start, or a page did not become what was waited for."""


def find_browser():
    """Return the path of a browser.

    :raise BrowserError: when there is none
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise BrowserError("There is no Chromium: install the package chromium.")


class Browser:
    """One window of a running browser."""

    def __init__(self, socket):
        self._socket = socket
        self._number = 0
        self._open = {}  # requests under way, by id
        self._last_traffic = 0.0

    # ------------------------------------------------------------
    # THE PROTOCOL
    # ------------------------------------------------------------

    def call(self, method, **parameters):
        """Send one command.

        :return: its result
        :raise BrowserError: when the browser refuses it
        """
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = self._receive(STEP_SECONDS)
            if answer.get("id") != number:
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error']['message']}")
            return answer["result"]

    def _receive(self, seconds):
        """Return the next message, or an empty one when none comes in time."""
        self._socket.settimeout(seconds)
        try:
            message = json.loads(self._socket.recv())
        except websocket.WebSocketTimeoutException:
            return {}
        self._note_traffic(message)
        return message

    def _note_traffic(self, message):
        method, details = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            if IGNORED not in (url := details["request"]["url"]):
                self._open[details["requestId"]] = url
        elif method in ("Network.loadingFinished", "Network.loadingFailed"):
            self._open.pop(details["requestId"], None)
        else:
            return
        self._last_traffic = time.monotonic()

    def evaluate(self, expression):
        """Return the value of a JavaScript expression.

        :raise BrowserError: when it throws
        """
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            raise BrowserError(text)
        return result["result"].get("value")

    # ------------------------------------------------------------
    # WAITING
    # ------------------------------------------------------------

    def wait_for(self, expression, what):
        """Wait until an expression is true.

        :raise BrowserError: when it does not become true
        """
        end = time.monotonic() + STEP_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(BrowserError):  # the page is just being replaced
                if self.evaluate(expression):
                    return
            self._receive(0.05)
        raise BrowserError(f"There is no {what} on the page.")

    def settle(self):
        """Wait until the server has answered everything and all is drawn."""
        end = time.monotonic() + STEP_SECONDS
        self._last_traffic = time.monotonic()
        while time.monotonic() < end:
            self._receive(0.05)
            quiet = time.monotonic() - self._last_traffic > QUIET_SECONDS
            if quiet and not self._open:
                break
        self.evaluate(
            "document.fonts.ready.then(() => new Promise((done) =>"
            " requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))"
        )

    # ------------------------------------------------------------
    # ACTING
    # ------------------------------------------------------------

    def prepare(self, width, height):
        """Set the size of the page and what every page has in common."""
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setTimezoneOverride", timezoneId="UTC")
        self.resize(width, height)

    def resize(self, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def run_on_every_page(self, script):
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def set_cookies(self, url, cookies):
        """Forget all cookies and set these.

        :param dict cookies: values by name
        """
        self.call("Network.clearBrowserCookies")
        for name, value in cookies.items():
            self.call("Network.setCookie", name=name, value=value, url=url)

    def open(self, url):
        self._open.clear()
        self.call("Page.navigate", url=url)
        self.settle()

    def click(self, selector):
        """Click with the mouse in the middle of what a selector finds.

        :raise BrowserError: when there is no such thing in sight
        """
        x, y = self._locate(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="none" if kind == "mouseMoved" else "left",
                clickCount=0 if kind == "mouseMoved" else 1,
            )
        self.settle()

    def type(self, selector, text):
        """Replace what is in an input by a text."""
        self.click(selector)
        self.evaluate("document.activeElement.select?.()")
        self.call("Input.insertText", text=text)
        self.settle()

    def press(self, key):
        """Press one key, such as ``Enter``."""
        code = {"Enter": 13, "Escape": 27, "Tab": 9}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(text if kind == "keyDown" else {}),
            )
        self.settle()

    def rest_mouse(self):
        """Take the mouse to where nothing lights up under it."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)

    def _locate(self, selector):
        find = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{find}", selector)
        self.evaluate(
            f"{find}.scrollIntoView({{block: 'center', behavior: 'instant'}})"
        )
        return self.evaluate(
            f"(() => {{ const box = {find}.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )

    def screenshot(self, clip=None):
        """Return the page, or a part of it, as PNG.

        :param clip: ``(x, y, width, height)`` of the page
        """
        parameters = {}
        if clip:
            names = ("x", "y", "width", "height")
            parameters["clip"] = {**dict(zip(names, clip, strict=True)), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", **parameters)["data"]
        return base64.b64decode(data)


@contextlib.contextmanager
def start():
    """Start a browser and yield its window; both are gone after the block.

    :raise BrowserError: when it does not start
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [find_browser(), *SWITCHES, f"--user-data-dir={folder}"]
        log = Path(folder, "browser.log")
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            socket = _connect(process, Path(folder), log)
            try:
                yield Browser(socket)
            finally:
                socket.close()
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _connect(process, folder, log):
    """Connect to the first window of a browser that is just starting."""
    port_file = folder / "DevToolsActivePort"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        lines = port_file.read_text().splitlines() if port_file.exists() else []
        if len(lines) == 2:
            address = f"ws://127.0.0.1:{lines[0]}"
            with contextlib.closing(_socket(f"{address}{lines[1]}")) as whole:
                target = Browser(whole).call("Target.createTarget", url="about:blank")
            return _socket(f"{address}/devtools/page/{target['targetId']}")
        time.sleep(0.05)
    raise BrowserError(f"Chromium did not start:\n{log.read_text()[-2000:]}")


def _socket(address):
    return websocket.create_connection(
        address, timeout=STEP_SECONDS, origin="http://127.0.0.1", max_size=None
    )
