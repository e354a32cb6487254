"""The lab: Debian machines with systemd on this machine, in a network of their own.

    lab.py prepare            base tree, SSH key and network
    lab.py boot control …     start machines (Molecule's create.yml does)
    lab.py halt control …     end machines, and forget what they wrote
    lab.py run COMMAND …      run a command inside the network
    lab.py down               end everything

For: root on a Debian host. It needs the packages that `HOST_PROGRAMS` names.
Not for: installing the fleet; the playbook does, as it does on hosts of operators.
"""

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from lab_authority import make_certificates
from lab_machines import (
    NAME_SERVER_PACKAGES,
    Machine,
    MachineError,
    make_base_tree,
    make_ssh_key,
)
from lab_names import FOREIGN_NAME, PLANE_NAME, Host, write_server_settings, write_zone
from lab_network import NAMESPACE, NetworkError, enter_network, make_network, remove_network

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = {
    "control": 10,
    "control2": 11,
    "mail1": 21,
    "mail2": 22,
    "turn1": 31,
    "turn2": 32,
    "db1": 41,
    "db2": 42,
    "exchanger1": 61,
    "exchanger2": 62,
    "dns": 53,
}
HOST_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "ip": "iproute2",
    "nsenter": "util-linux",
}


def find_home() -> Path:
    """Find where machines write; `LAB_DIRECTORY` moves it."""
    return Path(os.environ.get("LAB_DIRECTORY", ROOT / ".lab"))


def find_cache() -> Path:
    """Find where base trees are kept beyond a lab; `LAB_CACHE` moves it."""
    return Path(os.environ.get("LAB_CACHE", Path.home() / ".cache" / "madfleet-lab"))


def list_machines(names: list[str]) -> list[Machine]:
    """List machines by name."""
    return [Machine(name, NUMBERS[name], find_home() / name) for name in names]


def prepare() -> None:
    """Make what all machines need, and say what this host lacks."""
    missing = sorted(package for program, package in HOST_PROGRAMS.items() if shutil.which(program) is None)
    if os.geteuid() != 0:
        raise MachineError("The lab starts machines; run it as root.")
    if missing:
        raise MachineError(f"Install what the lab needs: apt-get install {' '.join(missing)}")
    find_home().mkdir(mode=0o700, parents=True, exist_ok=True)
    make_base_tree(find_cache())
    make_base_tree(find_cache(), NAME_SERVER_PACKAGES)
    make_ssh_key(find_home())
    names = [PLANE_NAME, FOREIGN_NAME, *(f"_{name}.test" for name in NUMBERS)]
    make_certificates(find_home() / "certificates", names)
    make_network()


def boot(names: list[str]) -> None:
    """Start machines, and with them the one that knows their names."""
    prepare()
    base, public_key = make_base_tree(find_cache()), make_ssh_key(find_home())
    name_server_base = make_base_tree(find_cache(), NAME_SERVER_PACKAGES)
    hosts = [Host(machine.name, machine.ipv4, machine.ipv6) for machine in list_machines(list(NUMBERS))]
    zone = write_zone(hosts, ["mail1", "mail2"], ["turn1", "turn2"], ["control", "control2"])
    files = {"etc/nsd/nsd.conf": write_server_settings(hosts[-1]), "etc/nsd/lab.zone": zone}
    for machine in list_machines(["dns", *names]):
        if machine.name == "dns":
            machine.boot(name_server_base, public_key, files)
        else:
            machine.boot(base, public_key, {})


def halt(names: list[str]) -> None:
    """End machines."""
    for machine in list_machines(names):
        machine.halt()


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare")
    commands.add_parser("down")
    for name in ("boot", "halt"):
        commands.add_parser(name).add_argument("machines", nargs="+", choices=sorted(NUMBERS))
    commands.add_parser("run").add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    try:
        match options.command:
            case "prepare":
                prepare()
            case "boot":
                boot(options.machines)
            case "halt":
                halt(options.machines)
            case "run":
                # Labs side by side have the same addresses; each keeps its own connections.
                connections = {"ANSIBLE_SSH_CONTROL_PATH_DIR": f"~/.ansible/{NAMESPACE}"}
                ended = subprocess.run(
                    enter_network(*options.words), env={**os.environ, **connections}, check=False
                )
                raise SystemExit(ended.returncode)
            case _:
                halt(list(NUMBERS))
                remove_network()
    except (MachineError, NetworkError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
