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
for section in xdp tc; do
    object=$target/relay_$section.o
    (cd turnnode/bpf && clang-14 -O2 -mcpu=v3 -Wall -Wextra -Werror -target bpf \
        -I"/usr/include/$(uname -m)-linux-gnu" -c "relay_$section.c" -o -) >"$object"
    llvm-strip-14 --strip-unneeded --remove-section=.llvm_addrsig "$object"
done
