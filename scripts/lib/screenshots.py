"""Take the pictures of the handbook from a running demonstration database.

    python screenshots.py DATABASE RECORDS.json [NAME…]

Starts an Odoo server and a browser, both for the loopback only, and ends them.
"""

import contextlib
import io
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import browser
import polib
from pictures import (
    BANNER,
    BANNER_PAGE,
    BANNER_SIZE,
    HEIGHT,
    LANGUAGES,
    PICTURES,
    ROOT,
    WIDTH,
)
from PIL import Image, ImageChops

TRANSLATION = ROOT / "crm_archive_policy" / "i18n" / "zh_CN.po"
COLORS = 256
SERVER_SECONDS = 120
ATTEMPTS = 3

#: Nothing moves, blinks or waits in a picture, and no page asks before it is left.
STILL = """
window.addEventListener("beforeunload", (ev) => ev.stopImmediatePropagation(), true);
document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = `
        *, *::before, *::after {
            transition: none !important;
            animation: none !important;
            caret-color: transparent !important;
            scroll-behavior: auto !important;
        }
        .o_notification_manager, .o_loading_indicator, .o-main-components-container
            > .o-overlay-container .o-mail-ChatHub, .o_debug_manager {
            display: none !important;
        }`;
    document.head.append(style);
});
"""

#: Frames what the text is about, without moving anything.
MARK = """
(() => {
    const box = document.querySelector(%s).getBoundingClientRect();
    const frame = document.createElement("div");
    Object.assign(frame.style, {
        position: "fixed", zIndex: 100000, pointerEvents: "none",
        left: `${box.left - 5}px`, top: `${box.top - 5}px`,
        width: `${box.width + 10}px`, height: `${box.height + 10}px`,
        border: "3px solid #d6336c", borderRadius: "8px",
    });
    document.body.append(frame);
})()
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Site:
    """A running Odoo, and the sessions of the people of the handbook."""

    def __init__(self, url, database):
        self.url = url
        self.database = database
        self._openers = {}

    def _call(self, opener, path, **parameters):
        body = {"jsonrpc": "2.0", "method": "call", "params": parameters}
        request = urllib.request.Request(
            f"{self.url}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with opener.open(request, timeout=60) as answer:
            answer = json.load(answer)
        if "error" in answer:
            sys.exit(f"{path}: {answer['error']['data']['message']}")
        return answer["result"]

    def sign_in(self, login):
        """Return the cookies of a person, whose password is the login."""
        if login not in self._openers:
            jar = CookieJar()
            opener = urllib.request.build_opener(
                urllib.request.HTTPCookieProcessor(jar)
            )
            self._call(
                opener,
                "/web/session/authenticate",
                db=self.database,
                login=login,
                password=login,
            )
            self._openers[login] = opener, jar
        return {cookie.name: cookie.value for cookie in self._openers[login][1]}

    def speak(self, code):
        """Let everybody read this language."""
        self.sign_in("ines")
        opener = self._openers["ines"][0]
        users = {"model": "res.users", "kwargs": {}}
        call = "/web/dataset/call_kw"
        found = self._call(opener, call, method="search", args=[[]], **users)
        self._call(opener, call, method="write", args=[found, {"lang": code}], **users)


@contextlib.contextmanager
def serve(database):
    """Run a server of one database on the loopback, without its crons."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "odoo", "server", "-d", database]
    command += [f"--db-filter=^{database}$", f"--http-port={port}"]
    command += ["--http-interface=127.0.0.1", "--max-cron-threads=0"]
    command += ["--log-level=warn", "--log-handler=py.warnings:ERROR"]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + SERVER_SECONDS
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/web/health", timeout=10).close()
                break
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("Odoo did not start.")
            time.sleep(0.2)
        yield Site(url, database)
    finally:
        process.terminate()
        process.wait(60)


def read_texts(language):
    """Return what English texts are called in a language."""
    if language == "en":
        return {}
    return {e.msgid: e.msgstr for e in polib.pofile(str(TRANSLATION)) if e.msgstr}


def click_text(window, text):
    """Click on the item of an open menu that has this text."""
    items = ".o-dropdown-item, .dropdown-item"
    found = (
        f"[...document.querySelectorAll({json.dumps(items)})]"
        f".find((item) => item.textContent.trim() === {json.dumps(text)})"
    )
    window.wait_for(f"!!{found}", f"menu item {text}")
    window.evaluate(f"{found}.setAttribute('data-picture', 'item')")
    window.click("[data-picture=item]")


def take_step(window, step, texts, records):
    kind, *arguments = step
    if kind == "click":
        window.click(*arguments)
    elif kind == "text":
        click_text(window, texts.get(arguments[0], arguments[0]))
    elif kind == "type":
        selector, text = arguments
        window.type(selector, text.format(**records))
    elif kind == "press":
        window.press(*arguments)
    elif kind == "look":
        window.wait_for(f"!!document.querySelector({json.dumps(arguments[0])})", step)
        window.settle()
    else:
        raise ValueError(step)


def take(window, site, picture, texts, records):
    """Take one picture.

    :return: an image
    """
    window.resize(WIDTH, picture.height)
    window.set_cookies(site.url, {**site.sign_in(picture.user), "tz": "UTC"})
    window.open(f"{site.url}/odoo/{picture.page.format(**records)}")
    window.wait_for("!!document.querySelector('.o_action_manager > *')", "Odoo")
    window.settle()
    for step in picture.steps:
        take_step(window, step, texts, records)
    window.rest_mouse()
    window.evaluate("document.activeElement?.blur()")
    window.settle()
    if picture.mark:
        window.wait_for(
            f"!!document.querySelector({json.dumps(picture.mark)})", picture.mark
        )
        window.evaluate(MARK % json.dumps(picture.mark))
    return Image.open(io.BytesIO(window.screenshot())).convert("RGB")


def take_patiently(*arguments):
    """Take one picture; on a busy machine a click may have come too early.

    :raise BrowserError: when it fails again and again
    """
    for _attempt in range(ATTEMPTS - 1):
        with contextlib.suppress(browser.BrowserError):
            return take(*arguments)
    return take(*arguments)


def save(image, path):
    """Write a picture with few colours, unless the file shows the same already."""
    small = image.quantize(COLORS, method=Image.Quantize.MEDIANCUT, dither=0)
    if path.exists():
        with Image.open(path) as old:
            old = old.convert("RGB")
        new = small.convert("RGB")
        if old.size == new.size and not ImageChops.difference(old, new).getbbox():
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    small.save(path, optimize=True)


def draw_banner(window):
    window.resize(*BANNER_SIZE)
    window.open(BANNER_PAGE.as_uri())
    save(Image.open(io.BytesIO(window.screenshot())).convert("RGB"), BANNER)


def choose(names):
    """Return the pictures of these names; all of them when there are none."""
    unknown = set(names) - {picture.name for picture in PICTURES} - {BANNER.stem}
    if unknown:
        sys.exit(f"There is no picture called {', '.join(sorted(unknown))}.")
    return [p for p in PICTURES if not names or p.name in names]


def main(database, records_file, *names):
    chosen = choose(names)
    records = json.loads(Path(records_file).read_text())
    with serve(database) as site, browser.start() as window:
        window.prepare(WIDTH, HEIGHT)
        if not names or BANNER.stem in names:
            draw_banner(window)
        window.run_on_every_page(STILL)
        for language, code in LANGUAGES.items():
            site.speak(code)
            texts = read_texts(language)
            for picture in chosen:
                print(f"{language}/{picture.name}", flush=True)
                image = take_patiently(window, site, picture, texts, records)
                for path in picture.get_files(language):
                    save(image, path)


if __name__ == "__main__":
    # Ending this ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        main(*sys.argv[1:])
    except browser.BrowserError as error:
        sys.exit(str(error))
