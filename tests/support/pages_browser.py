"""The pages served to a real browser, from a thread with a loop of its own, and a look at what it shows."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import uvloop
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from mailnode.backup_addresses.place import BackupPlace
from mailnode.http.app import create_app
from mailnode.http.protocol import HttpServer
from support.pages_site import SITE, CountingRegistrar
from support.pages_tls import LOOPBACK, LoopbackTls

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def serve_pages(
    folder: Path, accounts: CountingRegistrar, backups: Sequence[BackupPlace] = ()
) -> Iterator[str]:
    """Serve the pages over TLS on loopback; yields their address. `backups` are found on other nodes."""
    is_ready, is_over = threading.Event(), asyncio.Event()
    place: list[tuple[asyncio.AbstractEventLoop, int]] = []

    async def find_backups(count: int) -> Sequence[BackupPlace]:
        return backups[:count]

    async def serve() -> None:
        tls = LoopbackTls(folder)
        site = replace(SITE, https_host=LOOPBACK, is_self_signed=True)
        app = create_app(accounts=accounts, read_site=lambda: site, find_backups=find_backups)
        server = HttpServer(app)
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(tls.listen(server.build_protocol))
            await server.start(stack)
            place.append((asyncio.get_running_loop(), port))
            is_ready.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    is_ready.wait()
    [(loop, port)] = place
    try:
        yield f"https://{LOOPBACK}:{port}"
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()


@contextmanager
def start_browser() -> Iterator[Browser]:
    """Start Chromium without a screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


def read_qr_code(shown: Page | Locator) -> str:
    """Read the QR code from a picture of the whole page, or a part of it, as another phone's camera would."""
    image = shown.screenshot(full_page=True) if isinstance(shown, Page) else shown.screenshot()
    pixels = np.frombuffer(image, np.uint8)
    picture = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    assert picture is not None
    content: str = cv2.QRCodeDetector().detectAndDecode(picture)[0]
    return content
