"""What a relayed packet costs the TURN node in CPU time, over loopback.

    python bench/turn/relay.py [--pairs 8] [--seconds 5] [--rate 20000]

Clients send ChannelData to peers, all of them sockets of one load process; the node runs in a process of its
own, and the figure is that process's CPU time per packet relayed. With coturn (`turnserver`) on PATH the same
load goes through it in the same run, and the ratio is printed. Only ratios within one run mean anything.
The last line is JSON.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import uvloop
from aioice import stun

from turnnode.relay.credentials import long_term_key, password_of
from turnnode.relay.policy import Quotas, RelayPolicy, RelayPolicyHolder
from turnnode.relay.server import TurnServer
from turnnode.relay.sockets import RelayAddress

REALM = "bench"
SECRET = "bench secret"  # noqa: S105 - of a node that lives for seconds on loopback
HOST = "127.0.0.1"
DATA_BYTES = 160
CHANNEL = 0x4000
BURST = 16
ANSWER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """One server under one load."""

    packets: int
    sent: int
    cpu_ns_per_packet: float


def main() -> None:
    """Measure our node, and coturn if it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=8, help="allocations, each with one channel")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=20_000, help="packets a second, all pairs together")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        uvloop.run(serve(arguments.serve))
        return
    load = arguments.pairs, arguments.seconds, arguments.rate
    with our_node() as (process, port):
        ours = measure(process, port, *load)
    report: dict[str, object] = {
        "bench": "turn",
        "cpu_ns_per_packet": round(ours.cpu_ns_per_packet),
        "lost_percent": round(100 * (1 - ours.packets / ours.sent), 2),
    }
    print(f"turnnode: {ours.cpu_ns_per_packet:.0f} ns CPU per packet, {ours.packets} of {ours.sent} relayed")
    if shutil.which("turnserver"):
        with coturn() as (process, port):
            theirs = measure(process, port, *load)
        report["ratio_to_coturn"] = round(ours.cpu_ns_per_packet / theirs.cpu_ns_per_packet, 2)
        print(
            f"coturn:   {theirs.cpu_ns_per_packet:.0f} ns CPU per packet, {theirs.packets} of {theirs.sent}"
        )
        print(f"ratio:    {report['ratio_to_coturn']}")
    print(json.dumps(report))


async def serve(port: int) -> None:
    """Be the node until stdin closes."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((HOST, port))
    policy = RelayPolicy(
        realm=REALM,
        secrets=(SECRET,),
        peer_allow=(ip_network("127.0.0.0/8"),),
        quotas=Quotas(allocations_per_credential=10_000),
    )
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        server = TurnServer(
            listeners=[listener], relay_addresses=[RelayAddress(HOST, HOST)], policy=RelayPolicyHolder(policy)
        )
        await server.start(stack)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def our_node() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run our node in a process of its own."""
    port = free_port()
    command = [sys.executable, __file__, "--serve", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise SystemExit("The node did not start.")
        yield process, port


@contextmanager
def coturn() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run coturn with the same credentials and one relay thread, as one core is the unit."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *(
                "turnserver",
                "-n",
                "--log-file",
                "stdout",
                "--simple-log",
                "--no-cli",
                "--no-tls",
                "--no-dtls",
            ),
            *("--allow-loopback-peers", "--use-auth-secret", f"--static-auth-secret={SECRET}"),
            *(f"--realm={REALM}", f"--listening-ip={HOST}", f"--relay-ip={HOST}", f"--listening-port={port}"),
            *("--relay-threads=1", f"--pidfile={directory}/pid", f"--userdb={directory}/db"),
        ]
        with Path(os.devnull).open("w") as nowhere:
            process = subprocess.Popen(command, stdout=nowhere, stderr=nowhere, text=True)
        try:
            yield process, port
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """Find a UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def measure(process: subprocess.Popen[str], port: int, pairs: int, seconds: float, rate: float) -> Figures:
    """Set up the channels, send at an even rate, and divide the server's CPU time by what came out."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sink.bind((HOST, 0))
    sink.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
    clients = [open_channel(port, sink.getsockname()) for _ in range(pairs)]
    packet = CHANNEL.to_bytes(2) + DATA_BYTES.to_bytes(2) + bytes(DATA_BYTES)
    cpu_before, sent, received, started_at = cpu_seconds(process.pid), 0, 0, time.monotonic()
    while (now := time.monotonic()) < started_at + seconds:
        while sent < (now - started_at) * rate:
            for number in range(BURST):
                clients[(sent + number) % pairs].send(packet)
            sent += BURST
        received += drain(sink)
        time.sleep(BURST / rate)
    time.sleep(0.2)
    received += drain(sink)
    cpu_spent = cpu_seconds(process.pid) - cpu_before
    for sock in (sink, *clients):
        sock.close()
    return Figures(received, sent, cpu_spent / max(received, 1) * 1e9)


def drain(sink: socket.socket) -> int:
    """Take all packets that wait, and count them."""
    count = 0
    try:
        while True:
            sink.recv(2048)
            count += 1
    except BlockingIOError:
        return count


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process (proc(5), `schedstat`: nanoseconds on the CPU)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def open_channel(port: int, peer: tuple[str, int]) -> socket.socket:
    """Allocate and bind a channel; aioice's codec, so that the client is not ours."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((HOST, port))
    client.settimeout(ANSWER_SECONDS)
    username = str(int(time.time()) + 3600)
    signing: dict[str, object] = {}
    ask(client, stun.Method.ALLOCATE, {"REQUESTED-TRANSPORT": 0x11000000}, signing, username)
    ask(client, stun.Method.ALLOCATE, {"REQUESTED-TRANSPORT": 0x11000000}, signing, username)
    ask(
        client,
        stun.Method.CHANNEL_BIND,
        {"CHANNEL-NUMBER": CHANNEL, "XOR-PEER-ADDRESS": peer},
        signing,
        username,
    )
    return client


def ask(
    client: socket.socket,
    method: stun.Method,
    attributes: dict[str, object],
    signing: dict[str, object],
    username: str,
) -> None:
    """Send a request; the first one is unsigned and learns realm and nonce, which later ones use."""
    message = stun.Message(message_method=method, message_class=stun.Class.REQUEST)
    message.attributes.update(attributes | signing)
    if signing:
        message.add_message_integrity(long_term_key(username, REALM, password_of(SECRET, username)))
    for _ in range(3):
        client.send(bytes(message))
        try:
            answer = stun.parse_message(client.recv(2048))
            break
        except (ConnectionRefusedError, TimeoutError):
            time.sleep(0.5)  # coturn needs a moment to start
    else:
        raise SystemExit("The server does not answer.")
    if not signing:
        signing.update(USERNAME=username, REALM=answer.attributes["REALM"], NONCE=answer.attributes["NONCE"])
    elif answer.message_class != stun.Class.RESPONSE:
        raise SystemExit(f"The server refuses: {answer}")


if __name__ == "__main__":
    main()
