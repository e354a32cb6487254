"""Start a whole fleet on this machine, show how to use it, and end it again.

    fleet.py up [--address 127.0.0.1] [--directory .fleet]
    fleet.py down

For: `make up` and `make down`. A process runner (honcho) keeps the programs; nothing needs root.
"""

import argparse
import json
import os
import shlex
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet_plan import FleetPlan

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60
END_SECONDS = 20


def start_fleet(directory: Path, address: str) -> int:
    """Start the fleet and print how to use it; return the exit code."""
    from fleet_plan import CommandError, plan_local_fleet, prepare_fleet  # noqa: PLC0415 - `down` needs no packages

    if read_runner(directory) is not None:
        print("The fleet is running already. End it with: make down", file=sys.stderr)
        return 1
    try:
        plan = plan_local_fleet(directory, address)
    except ValueError:
        print(
            f"{address} is no IP address. Use one of this machine, as in: make up ADDRESS=192.0.2.7",
            file=sys.stderr,
        )
        return 2
    former = read_former_address(directory)
    if former not in {None, address}:
        print(
            f"{directory} holds a fleet that listens on {former}. Start that one (make up ADDRESS={former}), "
            f"remove the folder, or use another one: make up ADDRESS={address} DIRECTORY=.fleet-2",
            file=sys.stderr,
        )
        return 2
    try:
        print("Making certificates and enrolling the nodes ...")
        prepare_fleet(plan)
        (directory / "address").write_text(address)
        runner = run_processes(directory, plan.processes, plan.environment)
        print("Starting control plane, mail node and TURN node ...")
        wait_until_ready(plan, runner)
        show_fleet(plan)
    except (CommandError, TimeoutError) as error:
        print(error, file=sys.stderr)
        end_fleet(directory)
        return 1
    return 0


def read_former_address(directory: Path) -> str | None:
    """Read which address the fleet in a folder was made for; `None` for a new folder."""
    try:
        return (directory / "address").read_text().strip()
    except FileNotFoundError:
        return None


def run_processes(
    directory: Path, processes: dict[str, list[str]], environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Hand the programs to the process runner, in the background."""
    procfile = directory / "Procfile"
    procfile.write_text(
        "".join(f"{name}: exec {shlex.join(command)}\n" for name, command in processes.items())
    )
    environment_file = directory / "env"
    environment_file.write_text(
        "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    )
    environment_file.chmod(0o600)
    with (directory / "log").open("ab") as log:
        runner = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "honcho",
                "--no-colour",
                "--no-prefix",
                "-d",
                str(directory),
                "-e",
                "env",
                "-f",
                "Procfile",
                "start",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (directory / "pid").write_text(str(runner.pid))
    return runner


def wait_until_ready(plan: "FleetPlan", runner: "subprocess.Popen[bytes]") -> None:
    """Wait until both nodes follow the control plane.

    Raises:
        TimeoutError: They do not, or a program has ended; the text says where its log is.
    """
    from fleet_plan import CommandError  # noqa: PLC0415 - `down` needs no packages

    log = plan.directory / "log"
    ends_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends_at:
        if runner.poll() is not None:
            raise TimeoutError(f"A program has ended. Its last words:\n{tail(log)}")
        try:
            nodes = plan.read_nodes()
        except CommandError:  # nobody listens yet, or has ended: the next turn tells
            continue
        if all(node["health"] == "ok" and node["applied_revision"] == node["revision"] for node in nodes):
            return
        time.sleep(0.3)
    raise TimeoutError(f"The nodes are not ready after {READY_SECONDS} s. See {log}:\n{tail(log)}")


def show_fleet(plan: "FleetPlan") -> None:
    """Print addresses, admin token, and the QR code of a fresh account."""
    import segno  # noqa: PLC0415 - `down` needs no packages

    trusting = ssl._create_unverified_context()  # noqa: S323, SLF001 - our own certificate, made a moment ago
    request = urllib.request.Request(f"{plan.mail_url}/new", method="POST")  # noqa: S310 - our own address
    with urllib.request.urlopen(request, context=trusting, timeout=10) as answer:  # noqa: S310 - the same
        account = json.load(answer)
    print(plan.run("madfleet", "admin-token", "--name", f"make-up-{int(time.time())}"))
    segno.make(account["dclogin_url"], error="l").terminal(compact=True)
    print(f"  Scan this with Delta Chat: a fresh account, {account['email']}\n  {account['dclogin_url']}\n")
    print(f"  Pages of the mail node:  {plan.mail_url}/")
    print(f"  Control plane:           {plan.control_url}/")
    print(f"  Log:                     {plan.directory / 'log'}")
    print(f"  Commands:                set -a; . {plan.directory / 'env'}; set +a; .venv/bin/madfleet nodes")
    print("  End it:                  make down")


def end_fleet(directory: Path) -> int:
    """End what `up` started; return the exit code."""
    runner = read_runner(directory)
    if runner is None:
        print("No fleet is running.")
        return 0
    os.kill(runner, signal.SIGTERM)
    ends_at = time.monotonic() + END_SECONDS
    while read_runner(directory) is not None:
        if time.monotonic() > ends_at:
            print(f"Process {runner} has not ended within {END_SECONDS} s.", file=sys.stderr)
            return 1
        time.sleep(0.1)
    (directory / "pid").unlink()
    print("The fleet has ended. Its data stay in", directory)
    return 0


def read_runner(directory: Path) -> int | None:
    """Find the process runner that is alive; `None` where there is none."""
    try:
        pid = int((directory / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return None
    return pid if b"honcho" in command and state != "Z" else None


def tail(log: Path, lines: int = 15) -> str:
    """Read the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--address", default="127.0.0.1", help="IP address of this machine to listen on")
    parser.add_argument(
        "--directory", type=Path, default=ROOT / ".fleet", help="where the fleet keeps its data"
    )
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    raise SystemExit(
        start_fleet(directory, arguments.address) if arguments.command == "up" else end_fleet(directory)
    )


if __name__ == "__main__":
    main()
