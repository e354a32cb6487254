"""Filters that write the two lists of domains of an exchanger as its settings hold them.

For: the role exchanger.
Not for: judging them; the role inventory_check does (exchanger_problems.py), and the daemon (`--check`).
"""

from collections.abc import Callable, Mapping, Sequence


def list_kept_domains(kept: Mapping[str, Sequence[str]]) -> list[str]:
    """Write DOMAIN=DIGEST for each token of each domain."""
    return [f"{domain}={digest}" for domain, digests in kept.items() for digest in digests]


def list_forwarded_domains(forwarded: Mapping[str, str | None]) -> list[str]:
    """Write DOMAIN=URL, or DOMAIN alone where mail goes to the domain itself."""
    return [f"{domain}={url}" if url else domain for domain, url in forwarded.items()]


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters."""
        return {"list_kept_domains": list_kept_domains, "list_forwarded_domains": list_forwarded_domains}
