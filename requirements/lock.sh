#!/bin/sh
# Writes the hash-locked requirement files anew from pyproject.toml; needs `uv` on PATH and the network.
# One file serves Python 3.11 to 3.13 (markers inside), and none names an index.
set -eu
cd "$(dirname "$0")/.."

lock() { # lock OUTPUT ARGUMENT...
    output=$1
    shift
    uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --custom-compile-command "requirements/lock.sh" \
        --constraint requirements/constraints.in --output-file "$output" "$@"
}

lock requirements/run.txt pyproject.toml
lock requirements/demo.txt pyproject.toml --extra demo --constraint requirements/run.txt
lock requirements/dev.txt pyproject.toml --extra demo --extra dev --constraint requirements/demo.txt
lock requirements/model.txt --no-deps requirements/model.in
