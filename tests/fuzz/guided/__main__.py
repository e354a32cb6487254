"""Let coverage guide what is tried: `python -m fuzz.guided TARGET [options of libFuzzer] CORPUS`.

For: scripts/fuzz_guided.sh, which says for how long. Whatever is found new is kept in the corpus.
Not for: what must hold (targets.py).
"""

import logging
import sys

import atheris
import structlog

with atheris.instrument_imports(include=["mailnode"]):
    from fuzz.guided.targets import TARGETS


def main() -> None:
    """Try inputs until the options say that it is enough, or one fails."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    name = sys.argv.pop(1)
    sys.argv[0] = f"{sys.executable} -m fuzz.guided {name}"  # what libFuzzer runs again when it merges
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
