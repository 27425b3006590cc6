#!/bin/sh
# Stands for earlyoom: a lab node's memory is the machine's own, which nobody may guard from here.
[ "${1:-}" != -v ] || { echo "earlyoom v1.7"; exit 0; }
echo "earlyoom is not simulated" >&2
exit 1
