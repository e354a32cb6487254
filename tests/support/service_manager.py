"""A service manager for tests: starts a program, keeps its sockets, and believes only its main process.

What systemd does, as far as sd_notify(3) and sd_listen_fds(3) say, with real sockets and real processes.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from support.clocks import wait_until

START_SECONDS = 20  # a start takes one or two; beside much else on two processors, several times as long
MESSAGE_BYTES = 4096
MAX_SOCKETS = 253
LAST_WORDS = "LAST=1"
CREDENTIALS = struct.Struct("3i")
# Puts the kept sockets where sd_listen_fds(3) looks for them, and becomes the program.
LAUNCH = """
import os, sys
count = int(sys.argv[1])
moved = [os.dup(int(number)) for number in sys.argv[2 : 2 + count]]
for place, descriptor in enumerate(moved):
    os.dup2(descriptor, 1000 + place)
for place in range(count):
    os.dup2(1000 + place, 3 + place, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2 + count], sys.argv[2 + count :])
"""


class FakeSystemd:
    """Runs one service, whose files are in `directory`. `messages` is what its main process has said."""

    def __init__(self, directory: Path, *, environment: Mapping[str, str], watchdog: bool = False) -> None:
        self.messages: list[str] = []
        self.store: dict[str, socket.socket] = {}
        self.main = 0
        self.runtime_directory = directory / "run"
        self.runtime_directory.mkdir()
        self._environment = {
            **os.environ,
            **environment,
            "RUNTIME_DIRECTORY": str(self.runtime_directory),
        }
        self._watchdog = {"WATCHDOG_USEC": "300000"} if watchdog else {}
        self._log = (directory / "log").open("ab")
        self._address = directory / "notify"
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(self._address))
        self._notified.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._say("")
        self._listener.join()
        self._notified.close()
        self._log.close()
        for kept in self.store.values():
            kept.close()
        for process in self._processes:
            process.wait()

    def start(self, *program: str) -> None:
        """Start the service's main process with what is in the store, and wait until it is ready.

        Fails with the log as soon as the process ends instead, or after `START_SECONDS`.
        """
        names, kept = list(self.store), list(self.store.values())
        numbers = [str(one.fileno()) for one in kept]
        self.main = 0
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(len(kept)), *numbers, *program],
            env={
                **self._environment,
                **self._watchdog,
                "NOTIFY_SOCKET": str(self._address),
                "LISTEN_FDS": str(len(kept)),
                "LISTEN_FDNAMES": ":".join(names),
            },
            pass_fds=[one.fileno() for one in kept],
            stdout=self._log,
            stderr=self._log,
        )
        self._processes.append(process)
        self.main = process.pid
        is_ready = False

        def has_begun() -> bool:
            nonlocal is_ready
            has_ended = process.poll() is not None  # asked first: its last words may be on their way
            is_ready = "READY=1" in self.messages
            return is_ready or has_ended

        wait_until(has_begun, START_SECONDS)
        assert is_ready, f"the program ended with {process.returncode}:\n{self.read_log()}"

    def reload(self, *program: str, **changed: str) -> int:
        """Run the command that takes over, as ExecReload= does; return its exit code."""
        ended = subprocess.run(
            program,
            env={**self._environment, **changed},
            stdout=self._log,
            stderr=self._log,
            timeout=20,
            check=False,
        )
        return ended.returncode

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the main process by a signal, and wait until it is gone, and all that it has said is heard."""
        if not self.main:
            return
        main = self.main
        os.kill(main, number)
        wait_until(lambda: not self._is_there(main))
        self._say(LAST_WORDS)
        wait_until(lambda: f"unbelieved {LAST_WORDS}" in self.messages)
        self.main = 0
        self.messages.clear()

    def wait_for(self, message: str) -> None:
        """Wait until the main process has said something."""
        wait_until(lambda: message in self.messages)

    def read_log(self) -> str:
        """Read what all processes have logged."""
        return Path(self._log.name).read_text()

    def _say(self, message: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(message.encode(), str(self._address))

    def _is_there(self, number: int) -> bool:
        for process in self._processes:
            process.poll()
        try:
            return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def _listen(self) -> None:
        while True:
            data, ancillary, _, _ = self._notified.recvmsg(
                MESSAGE_BYTES, socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(4 * MAX_SOCKETS)
            )
            if not data:
                return
            sender, descriptors = 0, []
            for level, kind, content in ancillary:
                assert level == socket.SOL_SOCKET
                if kind == socket.SCM_CREDENTIALS:
                    sender = CREDENTIALS.unpack(content)[0]
                else:
                    descriptors = list(struct.unpack(f"{len(content) // 4}i", content))
            self._obey(data.decode(), sender, descriptors)

    def _obey(self, message: str, sender: int, descriptors: Sequence[int]) -> None:
        fields = dict(line.partition("=")[::2] for line in message.splitlines())
        if sender == self.main and "FDSTORE" in fields:
            assert fields["FDPOLL"] == "0"
            self._let_go(fields["FDNAME"])
            (descriptor,) = descriptors
            self.store[fields["FDNAME"]] = socket.socket(fileno=os.dup(descriptor))
        elif sender == self.main and "FDSTOREREMOVE" in fields:
            self._let_go(fields["FDNAME"])
        elif sender == self.main and "MAINPID" in fields:
            self.main = int(fields["MAINPID"])
        for descriptor in descriptors:
            os.close(descriptor)
        self.messages.append(message if sender == self.main else f"unbelieved {message}")

    def _let_go(self, name: str) -> None:
        kept = self.store.pop(name, None)
        if kept is not None:
            kept.close()
