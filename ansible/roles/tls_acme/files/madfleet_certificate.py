"""Obtain this host's certificate by ACME, and put it where the services read it.

    settings ─▶ certbot, idle while the certificate is good ─▶ chain and key ─▶ /etc/madfleet/tls
                    └─ fails ─▶ one sentence, in the log and in the file `problem`; what is there stays

For: madfleet-acme.service and the command madfleet-certificate, as a user that may write nothing else.
Not for: ACME itself, which is certbot's; nor for the services, which notice a new certificate by themselves.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

LINEAGE = "fleet"
CERTBOT_SECONDS = 600
MAX_DETAIL_CHARACTERS = 300
INSTALLED_FILES = (("privkey.pem", "key.pem", 0o640), ("fullchain.pem", "certificate.pem", 0o644))

REFUSAL = re.compile(r"^ +(?:Identifier|Domain): (\S+)\n +Type: +(\S+)\n +Detail: (.*)$", re.MULTILINE)
UNEXPECTED = re.compile(r"^An unexpected error occurred:\n(.+)$", re.MULTILINE)
NO_ADDRESS = re.compile(r"NXDOMAIN|no valid A records|(could not resolve|resolving) URL", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the role tls_acme has written down.

    names: host names and IP addresses that the certificate is for, the first one its subject.
    email: where the authority may write to; "" for nowhere.
    profile: what kind of certificate is asked for; "" for the authority's usual one.
    authorities_file: CAs that vouch for the ACME directory itself.
    """

    names: list[str]
    directory_url: str
    authorities_file: str
    email: str
    profile: str
    is_profile_required: bool
    certbot: str
    account_directory: str
    webroot: str
    target_directory: str
    problem_file: str

    @property
    def lineage_directory(self) -> Path:
        """Where certbot keeps the newest chain and key."""
        return Path(self.account_directory, "live", LINEAGE)


def build_command(settings: Settings, *, is_forced: bool) -> list[str]:
    """Build the command that obtains or renews; `is_forced` renews what is good yet."""
    state = settings.account_directory
    profile = "--required-profile" if settings.is_profile_required else "--preferred-profile"
    return [
        settings.certbot,
        *("certonly", "--non-interactive", "--agree-tos", "--server", settings.directory_url),
        *("--config-dir", state, "--work-dir", f"{state}/work", "--logs-dir", f"{state}/logs"),
        *("--max-log-backups", "20", "--cert-name", LINEAGE, "--key-type", "ecdsa"),
        *("--webroot", "--webroot-path", settings.webroot, "--renew-with-new-domains"),
        *(("--email", settings.email) if settings.email else ("--register-unsafely-without-email",)),
        *((profile, settings.profile) if settings.profile else ()),
        "--force-renewal" if is_forced else "--keep-until-expiring",
        *(word for name in settings.names for word in _ask_for(name)),
    ]


def explain(output: str, settings: Settings) -> str:
    """Explain a failure of certbot in one sentence that names the likely cause."""
    refusal = REFUSAL.search(output)
    if refusal is not None:
        return _explain_refusal(*refusal.groups())
    if "CERTIFICATE_VERIFY_FAILED" in output:
        return f"Nobody vouches for {settings.directory_url}. Name its CA in tls_acme_ca_file."
    if "requests.exceptions." in output:
        return (
            f"The authority at {settings.directory_url} cannot be reached. Let this host connect to it, or"
            " correct tls_acme_directory_url."
        )
    unexpected = UNEXPECTED.search(output)
    lines = [unexpected[1]] if unexpected else output.strip().splitlines() or ["certbot broke off"]
    return f"No certificate could be obtained: {_shorten(lines[-1])}."


def install(source: Path, target: Path) -> bool:
    """Put chain and key in place, each whole at any moment; tell whether others were there.

    Their group is that of the process.
    """
    wanted = {name: ((source / kept).read_bytes(), mode) for kept, name, mode in INSTALLED_FILES}
    if all(_read(target / name) == content for name, (content, _) in wanted.items()):
        return False
    for name, (content, mode) in wanted.items():
        with (target / f".{name}.new").open("wb") as draft:
            os.fchmod(draft.fileno(), mode)
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
    for name in wanted:
        (target / f".{name}.new").replace(target / name)
    return True


def _explain_refusal(name: str, kind: str, detail: str) -> str:
    if kind == "dns" or NO_ADDRESS.search(detail):
        return f"The authority finds no address of {name}. Let its A and AAAA records lead to this host."
    match kind:
        case "connection" | "tls":
            return (
                f"The authority could not reach port 80 of {name}. Open it in every firewall before this"
                f" host, and let the A and AAAA records of {name} lead here and nowhere else."
            )
        case "unauthorized":
            return (
                f"Another host answers at port 80 of {name}. Let its A and AAAA records lead here and"
                " nowhere else."
            )
        case "caa":
            return f"A CAA record forbids this authority for {name}. Allow it there."
        case _:
            return f"The authority refuses {name}: {_shorten(detail)}."


def _ask_for(name: str) -> tuple[str, str]:
    try:
        return "--ip-address", str(ip_address(name))
    except ValueError:
        return "--domain", name


def _shorten(text: str) -> str:
    return " ".join(text.split())[:MAX_DETAIL_CHARACTERS].rstrip(".")


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _run_certbot(settings: Settings, *, is_forced: bool) -> str | None:
    """Run certbot and show what it says; return what is to be explained, or `None` if all is well."""
    try:
        ended = subprocess.run(  # noqa: S603 - the command is built above, and no shell reads it
            build_command(settings, is_forced=is_forced),
            env=os.environ | {"REQUESTS_CA_BUNDLE": settings.authorities_file},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=CERTBOT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"certbot did not end within {CERTBOT_SECONDS} seconds"
    sys.stdout.write(ended.stdout)
    return ended.stdout if ended.returncode else None


def main() -> None:
    """Obtain the certificate of this host by ACME, or renew it if that is due."""
    parser = argparse.ArgumentParser(prog="madfleet-certificate", description=main.__doc__)
    parser.add_argument("--settings", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--force-renewal", action="store_true", help="renew it now, with a new key")
    options = parser.parse_args()
    settings = Settings(**json.loads(options.settings.read_text()))
    problem = Path(settings.problem_file)
    fault = _run_certbot(settings, is_forced=options.force_renewal)
    if fault is not None:
        sentence = explain(fault, settings)
        problem.write_text(sentence + "\n")
        sys.exit(sentence)
    # Also when certbot had nothing to do: what is in place may come from another mode of the role.
    if install(settings.lineage_directory, Path(settings.target_directory)):
        sys.stdout.write(f"Another certificate for {', '.join(settings.names)} is in place.\n")
    problem.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
