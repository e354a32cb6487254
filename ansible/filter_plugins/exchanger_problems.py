"""Filter that finds what is wrong with exchangers in an inventory, as sentences.

For: the role inventory_check, before anything is changed.
Not for: all else in an inventory (inventory_problems.py), nor for what is written from it
(exchanged_domains.py).
"""

import re
from collections.abc import Callable, Iterator, Mapping

Host = Mapping[str, object]

DIGEST = re.compile(r"[0-9a-f]{64}")
LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9])?"
DOMAIN = re.compile(rf"{LABEL}(\.{LABEL})+|\[[0-9.]+\]|\[IPv6:[0-9a-f:.]+\]", re.IGNORECASE)
URL = re.compile(r"https?://[^\s,@/]+(/[^\s,]*)?")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
MAX_MESSAGE_BYTES = 45 << 20
MAKE_TOKEN = ".venv/bin/mailnode exchange token"  # noqa: S105 - a command


def find_exchanger_problems(hosts: Mapping[str, Host], groups: Mapping[str, list[str]]) -> list[str]:
    """Find problems; an empty list means that there are none.

    Args:
        hosts: The variables of each host.
        groups: Host names by kind; those of `exchangers` are looked at.
    """
    return [
        f"{name}: {problem}" for name in groups["exchangers"] for problem in _check_exchanger(hosts[name])
    ]


def _check_exchanger(host: Host) -> Iterator[str]:
    public = host.get("exchanger_public_host")
    if not isinstance(public, str) or not HOST.fullmatch(public):
        yield (
            f"exchanger_public_host is {_show(public)}. Write the name or address that servers reach it by,"
            " such as exchanger.example.org or 192.0.2.61."
        )
    kept, forwarded = host.get("exchanger_kept") or {}, host.get("exchanger_forwarded") or {}
    if not isinstance(kept, Mapping) or not isinstance(forwarded, Mapping):
        variable = "exchanger_forwarded" if isinstance(kept, Mapping) else "exchanger_kept"
        yield (
            f'{variable} is no mapping. Write each domain in a line of its own, such as far.example.org: "".'
        )
        return
    if not kept and not forwarded:
        yield "It is for no domain. Write one into exchanger_kept or exchanger_forwarded."
    for domain in (*kept, *forwarded):
        if not isinstance(domain, str) or not DOMAIN.fullmatch(domain):
            yield f"{domain!r} is no mail domain. Write one such as chat.example.org or '[192.0.2.21]'."
    for domain in sorted({str(each).lower() for each in kept} & {str(each).lower() for each in forwarded}):
        yield f"{domain} is both in exchanger_kept and in exchanger_forwarded. Keep it in one of them."
    yield from _check_kept(kept)
    yield from _check_forwarded(forwarded)
    yield from _check_space(host)


def _check_kept(kept: Mapping[object, object]) -> Iterator[str]:
    for domain, digests in kept.items():
        if not isinstance(digests, list) or not digests:
            yield f"exchanger_kept has {domain} without a list of digests. Make one: {MAKE_TOKEN} {domain}."
            continue
        for digest in digests:
            if str(digest).startswith("mfx_"):
                yield (
                    f"exchanger_kept has a token of {domain} itself. Write its digest, which was shown with"
                    " it, and give the token to that server alone."
                )
            elif not DIGEST.fullmatch(str(digest)):
                yield (
                    f"exchanger_kept has a digest of {domain} that is none. Write the 64 digits and letters"
                    f" that this shows: {MAKE_TOKEN} {domain}."
                )


def _check_forwarded(forwarded: Mapping[object, object]) -> Iterator[str]:
    for domain, url in forwarded.items():
        if url and not (isinstance(url, str) and URL.fullmatch(url)):
            yield (
                f"exchanger_forwarded has {url!r} for {domain}. Write an address such as"
                " https://192.0.2.7:8443/mxdeliv, or nothing for the domain's own."
            )


def _check_space(host: Host) -> Iterator[str]:
    names = [f"exchanger_{part}_bytes" for part in ("message", "domain", "total")]
    sizes = [
        host.get(name, default) for name, default in zip(names, (32 << 20, 1 << 30, 8 << 30), strict=True)
    ]
    if not all(isinstance(size, int) for size in sizes):
        return  # the role itself says so
    message_bytes, domain_bytes, total_bytes = (int(str(size)) for size in sizes)
    if message_bytes > MAX_MESSAGE_BYTES:
        yield (
            f"{names[0]} is {message_bytes}. Write {MAX_MESSAGE_BYTES} at most: nodes read no more in one"
            " answer."
        )
    if not message_bytes <= domain_bytes <= total_bytes:
        yield (
            f"{names[0]}, {names[1]} and {names[2]} become smaller. Write each at least as large as the one"
            " before it."
        )


def _show(value: object) -> str:
    return "missing" if value in (None, "") else repr(value)


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters."""
        return {"find_exchanger_problems": find_exchanger_problems}
