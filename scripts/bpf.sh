#!/bin/bash
# Build the programs that relay in the kernel, with one version of Debian's clang: the same sources give the same bytes.
# `bpf.sh` writes them where the package ships them; `bpf.sh DIRECTORY` elsewhere, to compare.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-turnnode/src/turnnode/kernel}
version=1:14.0.6-12
found=$(dpkg-query --show --showformat='${Version}' clang-14 2>/dev/null || true)
if [[ $found != "$version" ]]; then
    echo "This needs clang-14 $version of Debian 12, with llvm-14 and libbpf-dev; there is ${found:-none}." >&2
    exit 1
fi
compile() {
    (cd "$(dirname "$1")" && clang-14 -O2 -mcpu=v3 -Wall -Wextra -Werror -target bpf \
        -I"/usr/include/$(uname -m)-linux-gnu" -c "$(basename "$1")" -o -) >"$2"
    llvm-strip-14 --strip-unneeded --remove-section=.llvm_addrsig "$2"
}
compile turnnode/bpf/relay_xdp.c "$target/relay_xdp.o"
compile turnnode/bpf/relay_tc.c "$target/relay_tc.o"
compile bench/turn/load.c "${1:-bench/turn}/load.o"
# A test compares these with the sources, so that nobody forgets to build.
if (($# == 0)); then
    sha256sum turnnode/bpf/*.[ch] bench/turn/*.c >turnnode/bpf/sources.sha256
fi
