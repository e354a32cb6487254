"""A Debian 13 tree that servers run in: an overlay of the lab's cached tree, entered by chroot.

For: the bench, inside of the namespaces that `enter_namespaces` makes; what is mounted and started goes with
them.
Not for: machines with systemd (scripts/lab_machines.py); their systemd would count as the server.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab_machines import make_base_tree
from mail.cgroup import Cgroup
from mail.wire import BenchError

PACKAGES = (
    "python3,ca-certificates,postfix,opendkim,dovecot-imapd,dovecot-lmtpd,dovecot-auth-lua,lua-socket,strace,"
    "dovecot-dev,gcc,libc6-dev"
)
INSIDE = "MADFLEET_BENCH_INSIDE"
COMMAND_SECONDS = 120


def enter_namespaces(prepare: Callable[[], None], module: str) -> None:
    """Start this program, which is a module, again in namespaces of its own, unless that was done.

    Needs root.
    Before, all is prepared that needs a network: there is none inside. Raises: MachineError.
    """
    if INSIDE in os.environ:
        return
    if os.geteuid():
        sys.exit("This makes namespaces: run it as root.")
    find_base()
    prepare()
    os.environ[INSIDE] = "1"
    namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    script = 'ip link set lo up && ulimit -n "$(ulimit -H -n)" && exec "$@"'
    words = [
        "unshare",
        *namespaces,
        "bash",
        "-c",
        script,
        "bash",
        sys.executable,
        "-m",
        module,
        *sys.argv[1:],
    ]
    os.execvp("unshare", words)  # noqa: S606 - no shell is wanted


def find_base() -> Path:
    """Find the tree that all overlays have below; make it when it is not there. Raises: MachineError."""
    cache = Path(os.environ.get("LAB_CACHE", Path.home() / ".cache" / "madfleet-lab"))
    return make_base_tree(cache, PACKAGES)


@dataclass(slots=True)
class Tree:
    """The tree of one server; `home` is a directory on a real disk, which must be new."""

    home: Path
    group: Cgroup
    core: int
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        """Mount it."""
        self.root = self.home / "root"
        lower = find_base()
        for name in ("root", "upper", "work"):
            (self.home / name).mkdir(parents=True)
        layers = f"lowerdir={lower},upperdir={self.home / 'upper'},workdir={self.home / 'work'}"
        _run("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        _run("mount", "--rbind", "/dev", str(self.root / "dev"))
        _run("mount", "-t", "proc", "proc", str(self.root / "proc"))
        _run("mount", "-t", "tmpfs", "tmpfs", str(self.root / "run"))

    def unmount(self) -> None:
        """Let the tree go; what it wrote stays in `home`."""
        _run("umount", "--recursive", str(self.root))

    def run(self, *command: str) -> str:
        """Run a command inside to its end. Raises: BenchError."""
        return _run("chroot", str(self.root), *command)

    def start(self, *command: str, log: str) -> "subprocess.Popen[bytes]":
        """Start a server inside: in its group, on its core; what it says goes to a file in `home`."""
        words = self.group.wrap(["chroot", str(self.root), *command], self.core)
        with (self.home / log).open("wb") as output:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file inside, with what leads to it."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def _run(*command: str) -> str:
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if ended.returncode != 0:
        raise BenchError(f"{' '.join(command[:4])} failed: {ended.stderr.strip() or ended.stdout.strip()}")
    return ended.stdout
