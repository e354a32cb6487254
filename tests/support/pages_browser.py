"""The pages served to a real browser, from a thread with a loop of its own, and a look at what it shows."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import uvloop
from playwright.sync_api import Browser, Page, sync_playwright

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
def serve_pages(folder: Path, accounts: CountingRegistrar) -> Iterator[str]:
    """Serve the pages over TLS on loopback; yields their address."""
    is_ready, is_over = threading.Event(), asyncio.Event()
    place: list[tuple[asyncio.AbstractEventLoop, int]] = []

    async def serve() -> None:
        tls = LoopbackTls(folder)
        site = replace(SITE, https_host=LOOPBACK, is_self_signed=True)
        server = HttpServer(create_app(accounts=accounts, read_site=lambda: site))
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


def read_qr_code(page: Page) -> str:
    """Read the QR code from a picture of the whole page, as another phone's camera would."""
    pixels = np.frombuffer(page.screenshot(full_page=True), np.uint8)
    picture = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    assert picture is not None
    content: str = cv2.QRCodeDetector().detectAndDecode(picture)[0]
    return content
