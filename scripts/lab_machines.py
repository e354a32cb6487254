"""Boot real Debian machines with systemd on this machine, each as it would be handed to an operator.

    base tree (once) ─▶ overlay per machine ─▶ systemd-nspawn --boot ─▶ SSH

For: lab.py. A machine has its own cgroup, because systemd inside wants one to itself.
Not for: the network that they stand in (lab_network.py), nor what is installed on them (Ansible).
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lab_network import (
    BRIDGE,
    GATEWAY_IPV4,
    GATEWAY_IPV6,
    NAMESPACE,
    NAMESPACE_FILE,
    PREFIX_IPV4,
    PREFIX_IPV6,
)

# No more than what a machine needs to boot and to be reached: the rest is the role host_setup's to install.
BASE_PACKAGES = "systemd,systemd-sysv,systemd-resolved,dbus,python3,iproute2,openssh-server,sudo"
NAME_SERVER_PACKAGES = BASE_PACKAGES + ",nsd,pebble"
NAME_SERVER_IPV4 = f"{PREFIX_IPV4}.53"
SUITE = "trixie"
CAPABILITIES = "CAP_NET_ADMIN,CAP_BPF,CAP_PERFMON,CAP_SYS_ADMIN"
TREE_SECONDS = 300
HALT_SECONDS = 20
CGROUPS = Path("/sys/fs/cgroup")

NETWORK_FILE = """[Match]
Name=host0
[Network]
Address={ipv4}/24
Address={ipv6}/64
Gateway={gateway_ipv4}
Gateway={gateway_ipv6}
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
IPv6DuplicateAddressDetection=0
"""
BOOT_SCRIPT = """
echo $$ > {cgroup}/cgroup.procs
exec nsenter --net={namespace} unshare --mount sh -ec '
  mount --make-rprivate /
  umount -R /sys/fs/cgroup
  mkdir -p /run/systemd/nspawn
  mount -t tmpfs none /run/systemd/nspawn
  mount -t cgroup2 none /sys/fs/cgroup
  mount -t overlay overlay -o lowerdir={base},upperdir={home}/upper,workdir={home}/work {home}/root
  exec systemd-nspawn --quiet --directory={home}/root --machine={name} --boot --register=no --keep-unit \
    --network-bridge={bridge} --resolv-conf=off --timezone=off --link-journal=no \
    --capability={capabilities} --system-call-filter=bpf --console=pipe'
"""


class MachineError(Exception):
    """A machine or its tree cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of the lab. `number` is the end of its addresses; what it writes goes to `home`."""

    name: str
    number: int
    home: Path

    @property
    def ipv4(self) -> str:
        """Its IPv4 address."""
        return f"{PREFIX_IPV4}.{self.number}"

    @property
    def ipv6(self) -> str:
        """Its IPv6 address."""
        return f"{PREFIX_IPV6}::{self.number}"

    @property
    def _cgroup(self) -> Path:
        unified = CGROUPS / "unified"
        return (unified if unified.is_dir() else CGROUPS) / f"{NAMESPACE}-{self.name}"

    @property
    def _process_file(self) -> Path:
        return self.home / "process"

    def is_running(self) -> bool:
        """Tell whether its first process lives."""
        return self._process_file.exists() and Path("/proc", self._process_file.read_text()).exists()

    def boot(self, base: Path, public_key: str, files: dict[str, str]) -> None:
        """Start it on an empty overlay of the base tree, with more files. SSH reaches it seconds later."""
        if self.is_running():
            return
        self._prepare_files(public_key, files)
        self._cgroup.mkdir(exist_ok=True)
        script = BOOT_SCRIPT.format(
            cgroup=self._cgroup,
            namespace=NAMESPACE_FILE,
            base=base,
            home=self.home,
            name=self.name,
            bridge=BRIDGE,
            capabilities=CAPABILITIES,
        )
        with (self.home / "console.log").open("wb") as console:
            process = subprocess.Popen(
                ["bash", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._process_file.write_text(str(process.pid))

    def halt(self) -> None:
        """End it in order; kill what does not end; forget what it wrote."""
        if self.is_running():
            os.kill(int(self._process_file.read_text()), signal.SIGTERM)
            _wait_until(lambda: not self.is_running())
        if self._cgroup.exists():
            (self._cgroup / "cgroup.kill").write_text("1")
            _wait_until(self._remove_cgroup)
        shutil.rmtree(self.home, ignore_errors=True)

    def _remove_cgroup(self) -> bool:
        try:
            for path, _, _ in os.walk(self._cgroup, topdown=False):
                Path(path).rmdir()
        except OSError:
            return False
        return True

    def _prepare_files(self, public_key: str, files: dict[str, str]) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        upper = self.home / "upper"
        for directory in ("etc/systemd/network", "etc/systemd/system/multi-user.target.wants", "etc/ssh"):
            (upper / directory).mkdir(parents=True)
        for directory in ("work", "root"):
            (self.home / directory).mkdir()
        (upper / "root" / ".ssh").mkdir(parents=True, mode=0o700)
        (upper / "root").chmod(0o700)
        keys = upper / "root" / ".ssh" / "authorized_keys"
        keys.write_text(public_key)
        keys.chmod(0o600)
        etc = upper / "etc"
        (etc / "machine-id").write_text("")
        (etc / "hostname").write_text(self.name + "\n")
        (etc / "resolv.conf").write_text(f"nameserver {NAME_SERVER_IPV4}\noptions timeout:1\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {self.name}\n")
        (etc / "systemd/network/10-host0.network").write_text(
            NETWORK_FILE.format(
                ipv4=self.ipv4,
                ipv6=self.ipv6,
                gateway_ipv4=GATEWAY_IPV4,
                gateway_ipv6=GATEWAY_IPV6,
            )
        )
        (etc / "systemd/system/multi-user.target.wants/systemd-networkd.service").symlink_to(
            "/usr/lib/systemd/system/systemd-networkd.service"
        )
        for path, text in files.items():
            (upper / path).parent.mkdir(parents=True, exist_ok=True)
            (upper / path).write_text(text)
        # The tree's keys would be the same on all machines.
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(etc / "ssh/ssh_host_ed25519_key"))


def make_base_tree(cache: Path, packages: str = BASE_PACKAGES) -> Path:
    """Make the tree that machines start from, once for each list of packages; return it.

    Raises:
        MachineError: It cannot be built; without a network, copy the cache of a machine that has one.
    """
    label = sha256(f"{SUITE}\n{packages}".encode()).hexdigest()[:12]
    tree = cache / f"{SUITE}-{label}"
    with _locked(cache / f"{tree.name}.lock"):
        if not tree.exists():
            draft = cache / f"{tree.name}.new"
            shutil.rmtree(draft, ignore_errors=True)
            _run(
                *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
                *(f"--include={packages}", "--customize-hook=rm -f $1/etc/ssh/ssh_host_*"),
                *(SUITE, str(draft)),
            )
            draft.rename(tree)
    return tree


def make_ssh_key(home: Path) -> str:
    """Make the controller's key, if there is none yet; return its public half."""
    path = home / "id_ed25519"
    if not path.exists():
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path))
    return path.with_suffix(".pub").read_text()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one run at a time build a tree; others wait. The lock ends with its holder, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _wait_until(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HALT_SECONDS
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.05)


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TREE_SECONDS)
    if ended.returncode != 0:
        raise MachineError(f"{command[0]} failed: {ended.stderr.strip()}")
