"""Calls between two browsers on different computers, as Delta Chat's desktop and web apps make them.

For: lab tests, with Debian's Chromium and nothing but the TURN servers that core hands out.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from support.namespaces import Network
from support.pages_browser import CHROMIUM, OPTIONS

# Audio and video without a microphone or a camera: a tone, and a canvas that changes.
PREPARE = """async ([iceServers, isCaller]) => {
  const call = window.call = new RTCPeerConnection({iceServers, iceTransportPolicy: 'relay'});
  window.heard = new MediaStream();
  call.ontrack = event => {
    window.heard.addTrack(event.track);
    const player = document.body.appendChild(document.createElement('video'));
    player.muted = true; player.srcObject = window.heard; player.play();
  };
  const context = new AudioContext(), tone = context.createOscillator();
  const audio = context.createMediaStreamDestination();
  tone.connect(audio); tone.start();
  const canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
  setInterval(() => {
    pen.fillStyle = '#' + Math.random().toString(16).slice(2, 8);
    pen.fillRect(0, 0, 300, 150);
  }, 50);
  for (const media of [audio.stream, canvas.captureStream(20)])
    for (const track of media.getTracks()) call.addTrack(track);
}"""
# Candidates travel in the description, as Delta Chat's do: those that were there soon after the first relay.
DESCRIBE = """async ([remote, patienceSeconds]) => {
  const call = window.call;
  if (remote) await call.setRemoteDescription(remote);
  const gathered = new Promise(done => {
    call.onicegatheringstatechange = () => call.iceGatheringState === 'complete' && done();
    call.onicecandidate = event => event.candidate && setTimeout(done, patienceSeconds * 1000);
  });
  await call.setLocalDescription();
  await gathered;
  return call.localDescription.toJSON();
}"""
ANSWERED = "remote => window.call.setRemoteDescription(remote)"
READ = """async () => {
  const figures = {state: window.call.connectionState, packets: 0, lost: 0, frames: 0, relays: []};
  for (const one of (await window.call.getStats()).values()) {
    if (one.type === 'inbound-rtp') {
      figures.packets += one.packetsReceived; figures.lost += one.packetsLost;
      figures.frames += one.framesDecoded || 0;
    }
    if (one.type === 'local-candidate') figures.relays.push(one.address);
  }
  return figures;
}"""
# The node's certificate is its own; this is not about who vouches for it.
LAX = ["--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required"]
CONNECT_SECONDS = 40
PATIENCE_SECONDS = 0.5
"""So long after its first relay a browser describes itself. A server that is down is awaited for 40 s."""

Figures = dict[str, Any]


@contextmanager
def open_browsers(network: Network, folder: Path) -> Iterator[list[Page]]:
    """Open a page in a browser on each client's computer."""
    with sync_playwright() as playwright:
        browsers = [_launch(playwright, network, client, folder) for client in network.clients]
        try:
            yield [browser.new_page() for browser in browsers]
        finally:
            for browser in browsers:
                browser.close()


@contextmanager
def open_pages(namespace: str, folder: Path) -> Iterator[list[Page]]:
    """Open two browsers in one network namespace, with a page each."""
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} {CHROMIUM} "$@"\n')
    program.chmod(0o755)
    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        pages: list[Page] = []
        for _ in range(2):
            browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *LAX])
            stack.callback(browser.close)
            pages.append(browser.new_page())
        yield pages


def call(
    pages: list[Page], ice_servers: list[list[dict[str, Any]]], seconds: float
) -> tuple[float, list[Figures]]:
    """Let the first page call the second; return the seconds until both were connected, and what each got."""
    caller, callee = pages
    for page, servers in zip(pages, ice_servers, strict=True):
        page.evaluate(PREPARE, [servers, page is caller])
    began_at = time.monotonic()
    offer = caller.evaluate(DESCRIBE, [None, PATIENCE_SECONDS])
    answer = callee.evaluate(DESCRIBE, [offer, PATIENCE_SECONDS])
    caller.evaluate(ANSWERED, answer)
    for page in pages:
        page.wait_for_function("window.call.connectionState === 'connected'", timeout=CONNECT_SECONDS * 1000)
    connected_after = time.monotonic() - began_at
    caller.wait_for_timeout(seconds * 1000)
    figures: list[Figures] = [page.evaluate(READ) for page in pages]
    for page in pages:
        page.evaluate("window.call.close()")
    return connected_after, figures


def _launch(playwright: Playwright, network: Network, client: str, folder: Path) -> Browser:
    program = folder / f"chromium-{client}"
    program.write_text(f'#!/bin/sh\nexec {" ".join(network.command(client, str(CHROMIUM)))} "$@"\n')
    program.chmod(0o755)
    return playwright.chromium.launch(
        executable_path=program, args=[*OPTIONS, "--autoplay-policy=no-user-gesture-required"]
    )
