"""Make and count datagrams in the kernel, from a process of its own in a network namespace.

For: kernel.py, which tells workers what to do over pipes.
Not for: what is measured with that.
"""

import ctypes
import errno
import multiprocessing
import os
import signal
import socket
import struct
import time
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from turnnode.kernel.maps import SharedArray
from turnnode.kernel.object_file import read_program
from turnnode.kernel.system_call import AttachKind, ProgramKind, create_link, load_program

MAX_FLOWS: Final = 1024
BURST: Final = 16
HEADER_BYTES: Final = 48
OBJECT: Final = Path(__file__).with_name("load.o")
_TEST_RUN, _LIVE_FRAMES = 10, 2
BATCH: Final = 32  # frames that a load has at once
MAX_BATCH: Final = 256  # as many as the kernel takes
_NATIVE = 1 << 2
_CLONE_NEWNET = 0x40000000
_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]


@dataclass(frozen=True, slots=True)
class Sink:
    """Count datagrams to these ports from now on."""

    first_port: int
    last_port: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """The frames to send next: a whole one, and the headers of each flow."""

    frame: bytes
    headers: list[bytes]


@dataclass(frozen=True, slots=True)
class Send:
    """Send for some seconds; at rate 0 as fast as possible."""

    rate: float
    seconds: float
    batch: int = BATCH


@dataclass(frozen=True, slots=True)
class Count:
    """Tell how many have arrived."""


class Worker:
    """A process in a namespace that makes and counts datagrams on one interface."""

    def __init__(self, stack: ExitStack, namespace: str, device: str) -> None:
        fork = multiprocessing.get_context("fork")
        self._pipe, other = fork.Pipe()
        process = fork.Process(target=_work, args=(other, namespace, device), daemon=True)
        process.start()
        stack.callback(process.join)
        stack.callback(self._pipe.send, None)

    def ask(self, order: Sink | Prepare | Send | Count) -> int:
        """Have something done; return a number of packets."""
        self._pipe.send(order)
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return int(answer)


def _work(pipe: "Connection[object, object]", namespace: str, device: str) -> None:
    with Path("/var/run/netns", namespace).open("rb") as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot enter the namespace")
    os.sched_setaffinity(0, {0})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    signal.signal(signal.SIGALRM, lambda *_: None)
    with ExitStack() as stack:
        generator = _Generator(stack, socket.if_nametoindex(device))
        while (order := pipe.recv()) is not None:
            try:
                pipe.send(generator.do(order))
            except OSError as error:
                pipe.send(error)


class _Generator:
    def __init__(self, stack: ExitStack, interface: int) -> None:
        self._interface = interface
        self._load = SharedArray(stack, name="load", value_bytes=48, entries=1)
        self._headers = SharedArray(stack, name="headers", value_bytes=HEADER_BYTES, entries=MAX_FLOWS)
        self._counted = SharedArray(stack, name="counted", value_bytes=16, entries=1)
        self._generate = self._program(stack, "generating")
        count = self._program(stack, "counting")
        stack.callback(os.close, create_link(count, interface, AttachKind.XDP, _NATIVE))
        self._frame = b""
        self._flows = 0

    def _program(self, stack: ExitStack, section: str) -> int:
        program = read_program(OBJECT.read_bytes(), section)
        descriptors = {
            "load": self._load.descriptor,
            "headers": self._headers.descriptor,
            "counted": self._counted.descriptor,
        }
        loaded = load_program(
            ProgramKind.XDP, program.link(descriptors), licence=program.licence, name=section
        )
        stack.callback(os.close, loaded)
        return loaded

    def do(self, order: object) -> int:
        match order:
            case Sink(first_port=first, last_port=last):
                self._counted.write(0, struct.pack("=QHHHH", 0, first, last, 0, 0))
            case Prepare(frame=frame, headers=headers):
                self._frame, self._flows = frame, len(headers)
                for place, header in enumerate(headers):
                    self._headers.write(place, header.ljust(HEADER_BYTES, b"\0"))
            case Send(rate=rate, seconds=seconds, batch=batch):
                return self._send(rate, seconds, batch)
        return self._counted.words[0]

    def _send(self, rate: float, seconds: float, batch: int) -> int:
        per_nanosecond = int(rate * 2**30 / 1e9)
        self._load.write(
            0, struct.pack("=IIQQQQQ", self._flows, self._interface, 0, 0, per_nanosecond, 0, BURST)
        )
        frame = ctypes.create_string_buffer(self._frame, len(self._frame))
        attributes = struct.pack(
            "=IIIIQQIIIIQQIIII",
            *(self._generate, 0, len(self._frame), 0, ctypes.addressof(frame), 0, (1 << 31) - 1, 0),
            *(0, 0, 0, 0, _LIVE_FRAMES, 0, batch, 0),
        )
        signal.setitimer(signal.ITIMER_REAL, seconds)
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(attributes, len(attributes))
        if libc.syscall(_BPF, _TEST_RUN, buffer, len(attributes)) < 0 and ctypes.get_errno() != errno.EINTR:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        time.sleep(0.05)
        return self._load.words[1]
