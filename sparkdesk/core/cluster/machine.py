"""Who a machine is, read once right after the first sign-in, before it is kept as a node.

The one rule: the product's serial never leaves the node. The node itself hashes it together with its machine id, and
only that is sent, kept and compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkdesk.core.command import Command
from sparkdesk.core.plain_text import make_line

TIMEOUT_S = 15.0
MAX_OUTPUT_BYTES = 64 * 1024
MAX_MACS = 8

# One line a value, marked, because the user's start-up files may print before it. Only shell built-ins see the serial.
# The hash is the one of remote/reader.py. Source: dgx-release as captured on Sparks by others; the DMI serial is for
# root alone and so no use here. CX-7 ports (mlx5_core) do not wake a machine and are left out.
_SCRIPT = r"""r=${SPARKDESK_ROOT-}
say() { printf 'sparkdesk-%s %s\n' "$1" "$2"; }
read_file() { cat "$1" 2>/dev/null | head -c 400 | head -n 1; }
id=$(read_file "$r/etc/machine-id")
say machine "$id"
say host "$(uname -n)"
say vendor "$(read_file "$r/sys/class/dmi/id/sys_vendor")"
say product "$(read_file "$r/sys/class/dmi/id/product_name")"
serial=$(sed -n 's/^DGX_SERIAL_NUMBER="\{0,1\}\([^"]*\).*/\1/p' "$r/etc/dgx-release" 2>/dev/null | tail -n 1)
first=${serial%"${serial#?}"}
case $(printf %s "$serial" | tr A-Z a-z) in
'' | none | n/a | 'default string' | 'not specified' | 'system serial number' | 'to be filled by o.e.m.') ;;
*[!"$first"]*) say serial "$(printf '%s\n%s' "$id" "$serial" | sha256sum | head -c 64)" ;;
esac
for d in "$r"/sys/class/net/*; do
    [ -e "$d/device" ] && [ ! -e "$d/wireless" ] && [ "$(read_file "$d/type")" = 1 ] || continue
    case $(readlink "$d/device/driver") in */mlx5_core) continue ;; esac
    say mac "$(read_file "$d/address")"
done
exit 0
"""

IDENTIFY = Command(("sh", "-c", _SCRIPT))
"""Reads only; prints what `read_machine` understands."""

_LINE = re.compile(r"sparkdesk-(machine|host|vendor|product|serial|mac) (.*)")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_NO_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Machine:
    """Who a machine says it is. Every text is untrusted and plain; "" means that it could not be read."""

    machine_id: str = ""
    hostname: str = ""
    vendor: str = ""
    product: str = ""
    serial_hash: str = ""
    macs: tuple[str, ...] = ()

    def words(self) -> str:
        """The machine in words, for a log."""
        product = product_words(self.product)
        is_named = product.lower().startswith(self.vendor.lower())
        made = product if is_named else f"{self.vendor} {product}".strip()
        return ", ".join(word for word in (self.hostname, made) if word) or "a machine that says nothing of itself"


def product_words(product: str) -> str:
    """A product's name as people read it: NVIDIA's own firmware writes NVIDIA_DGX_Spark."""
    return product.replace("_", " ")


def read_machine(output: bytes) -> Machine:
    """What `IDENTIFY` printed; never raises."""
    found: dict[str, str] = {}
    macs: list[str] = []
    for line in output[-MAX_OUTPUT_BYTES:].decode("utf-8", "replace").split("\n"):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, value = match.group(1), match.group(2).strip()
        if name == "mac":
            if _MAC.fullmatch(value.lower()) and value != _NO_MAC and value.lower() not in macs:
                macs.append(value.lower())
        else:
            found[name] = value
    return Machine(
        machine_id=_only(_MACHINE_ID, found.get("machine", "")),
        hostname=make_line(found.get("host", ""), max_chars=64),
        vendor=make_line(found.get("vendor", ""), max_chars=64),
        product=make_line(found.get("product", ""), max_chars=64),
        serial_hash=_only(_HASH, found.get("serial", "")),
        macs=tuple(macs[:MAX_MACS]),
    )


def _only(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.fullmatch(text) else ""
