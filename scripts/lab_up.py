"""Boot the lab, deploy the fleet on it as an operator does, show how to get in, run the playbook again.

    caches ─▶ programs, bundles ┐
              trees, machines   ┴▶ playbook ─▶ first QR code served ─▶ playbook again: nothing changes

For: `make lab`. The last line is JSON; `cold_s` is the last start from empty caches, wherever it was.
Not for: machines (lab.py), nor the tests that run on them (lab_test.sh).
"""

import json
import os
import platform
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv/bin/python"
LAB = [str(PYTHON), "scripts/lab.py"]
PLAYBOOK = [
    *("env", f"MOLECULE_PROJECT_DIRECTORY={ROOT}", f"ANSIBLE_CONFIG={ROOT}/ansible/ansible.cfg"),
    *(".venv-ansible/bin/ansible-playbook", "--inventory", "inventories/lab"),
]
MACHINES = ["control", "mail1", "mail2", "turn1", "turn2"]
CONTROL_ADDRESS, CONTROL_NAME = "198.51.100.10", "_control.test"
CACHE = Path(os.environ.get("LAB_CACHE", Path.home() / ".cache" / "madfleet-lab"))
COLD_FILE = CACHE / "cold-seconds"
STEP_SECONDS = 900
SERVED_SECONDS = 60
JOIN_LINK = re.compile(r"dcaccount:[^\s\"'<>]+")


class LabError(Exception):
    """A step has failed; the text is what it said."""


def main() -> None:
    """Do all steps."""
    began_at = time.monotonic()
    start = name_start()
    try:
        link = deploy_first(began_at)
        served_after = time.monotonic() - began_at
        if start == "cold":
            COLD_FILE.write_text(f"{served_after:.1f}")
        say(f"The fleet serves its QR code after {served_after:.0f} s ({start}).")
        again_at = time.monotonic()
        say("Running the playbook once more ...")
        changed = count_changes(run(*LAB, "run", "scripts/deploy.sh", "inventories/lab"))
    except LabError as error:
        raise SystemExit(str(error)) from error
    show_fleet(link)
    figures = {
        "lab": "up",
        "cold_s": float(COLD_FILE.read_text()) if COLD_FILE.exists() else None,
        "warm_s": round(served_after, 1) if start == "warm" else None,
        "second_run_s": round(time.monotonic() - again_at, 1),
        "changed": changed,
    }
    print(json.dumps(figures))
    if changed:
        raise SystemExit(f"The second run made {changed} changes; it should make none.")


def name_start() -> str:
    """Tell what a start finds in its caches: nothing (cold), everything (warm), or a part."""
    caches = [any(CACHE.glob("*-*/etc")), (ROOT / "wheelhouse").exists()]
    return "warm" if all(caches) else "partly warm" if any(caches) else "cold"


def deploy_first(began_at: float) -> str:
    """Make what is missing, deploy, and wait for the QR code; return the link in it."""
    say("Installing programs ...")
    run("make", "--no-print-directory", "setup", ".venv-ansible/.ready")
    say("Building bundles, booting machines ...")
    with ThreadPoolExecutor(2) as executor:
        bundles = executor.submit(build_bundles)
        run(*LAB, "prepare")
        run(*LAB, "run", *PLAYBOOK, "molecule/default/create.yml")
        bundles.result()
    say(f"Machines run and bundles are built after {time.monotonic() - began_at:.0f} s. Deploying ...")
    run(*LAB, "run", "scripts/deploy.sh", "inventories/lab")
    return wait_for_code()


def build_bundles() -> None:
    """Build what hosts of this architecture install; the lab has no way to Debian's mirrors."""
    run("make", "--no-print-directory", "dist/apt/debian13-amd64.tar")
    run(str(PYTHON), "scripts/wheels.py", "--architecture", platform.machine())


def wait_for_code() -> str:
    """Wait until the control plane shows the code by which people join the fleet. Raises: LabError."""
    address = f"{CONTROL_NAME}:443:{CONTROL_ADDRESS}"
    fetch = ["curl", "--silent", "--fail", "--cacert", ".lab/certificates/ca.pem", "--resolve", address]
    deadline = time.monotonic() + SERVED_SECONDS
    while True:
        page = subprocess.run(
            [*LAB, "run", *fetch, f"https://{CONTROL_NAME}/join"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        found = JOIN_LINK.search(page)
        if found and "<svg" in page:
            return found.group()
        if time.monotonic() > deadline:
            raise LabError(f"https://{CONTROL_NAME}/join shows no QR code after {SERVED_SECONDS} s.")
        time.sleep(0.2)


def count_changes(output: str) -> int:
    """Add up what a run of the playbook changed. Raises: LabError."""
    found = re.findall(r"^\w+ +: .*changed=(\d+)", output, re.MULTILINE)
    if len(found) != len(MACHINES):
        raise LabError(f"The playbook's recapitulation names {len(found)} of {len(MACHINES)} machines.")
    return sum(map(int, found))


def show_fleet(link: str) -> None:
    """Print how to get in, with the QR code, and how to go on."""
    code = run(str(PYTHON), "-m", "segno.cli", "--compact", "--border", "1", link)
    print(code)
    say(f"Join:          {link}")
    say(f"Control plane: https://{CONTROL_NAME} ({CONTROL_ADDRESS}, inside the lab's network)")
    say("Enter:         .venv/bin/python scripts/lab.py run ssh -i .lab/id_ed25519 root@198.51.100.10")
    say("Test it:       make lab-test        End it: make lab-down")


def run(*command: str) -> str:
    """Run a step; return what it printed. Raises: LabError."""
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=STEP_SECONDS
    )
    if ended.returncode != 0:
        raise LabError(f"{' '.join(command)} failed:\n{ended.stdout[-8000:]}\n{ended.stderr[-4000:]}")
    return ended.stdout


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
