"""Builds the playbooks that restart a node or shut it down, and says what that costs.

The one rule: our jobs are stopped first, each in its own way, and a restart counts only when the kernel says that this
is another boot. What was so before is noted on the node itself, so that whoever carries the run on can compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.command import Command
from sparkdesk.core.step import Expect, Playbook, Reconnect, Run, Stage, Step, Wait

RESTART = "restart"
SHUT_DOWN = "shut_down"
"""Phases of the steps behind which the node goes."""

BACK_TIMEOUT_S = 900.0
"""Longer than any start that was told of; a check of a large disk takes minutes."""
GONE_TIMEOUT_S = 180.0
LINKS_TRIES = 45
"""Looks at the ports, two seconds apart, until those that had a link have one again."""

PEER_WARNING = (
    "The other Spark's CX-7 port can lose its link when this one restarts, and stay down until both have restarted."
)
"""Source: NVIDIA developer forum 57373288385, 59755899691, 60075465527: users' reports."""
BUTTON_WARNING = (
    "A Spark that is shut down comes back by its power button. Whether it can be woken over the network is not known."
)
"""Unverified on hardware [wake-on-lan]."""

_NETDEVS = " ".join(name for halves in CAGE_NETDEVS.values() for name in halves)
# $1 names the run. The kernel's id of this boot, then each CX-7 port with a link (0x15b3: Mellanox's PCI vendor id).
_NOTE = f"""r=${{SPARKDESK_ROOT:-}}; d=$HOME/.local/state/sparkdesk; umask 077; mkdir -p "$d" || exit 73
f=$d/restart-$1; {{ cat "$r/proc/sys/kernel/random/boot_id" || exit 66
for n in "$r"/sys/class/net/*; do case " {_NETDEVS} " in *" ${{n##*/}} "*) ;;
*) [ "$(cat "$n/device/vendor" 2>/dev/null)" = 0x15b3 ] || continue;; esac
[ "$(cat "$n/carrier" 2>/dev/null)" != 1 ] || echo "${{n##*/}}"; done; }} > "$f.new" && mv -f "$f.new" "$f\""""
_IS_NOTED = 'test -s "$HOME/.local/state/sparkdesk/restart-$1"'
_IS_ANOTHER_BOOT = """f=$HOME/.local/state/sparkdesk/restart-$1; [ -s "$f" ] || exit 1
now=$(cat "${SPARKDESK_ROOT:-}/proc/sys/kernel/random/boot_id") && [ -n "$now" ] && [ "$(head -n 1 "$f")" != "$now" ]"""
# $2 looks. Only names of letters, digits, dots, lines come out, so the answer is JSON whatever a port is called.
_LINKS = """r=${SPARKDESK_ROOT:-}; f=$HOME/.local/state/sparkdesk/restart-$1; i=0
while :; do down=; up=; for n in $(tail -n +2 "$f" | tr -cd 'A-Za-z0-9._\\n-'); do
if [ "$(cat "$r/sys/class/net/$n/carrier" 2>/dev/null)" = 1 ]; then up="$up $n"; else down="$down $n"; fi; done
i=$((i + 1)); [ -n "$down" ] && [ "$i" -lt "$2" ] || break; sleep 2; done
if [ -z "$down" ]; then rm -f "$f"; echo "{\\"ok\\": true, \\"links\\": \\"${up# }\\"}"; exit 0; fi
echo "{\\"ok\\": false, \\"message\\": \\"it is back, but these CX-7 ports have lost their link:$down\\",\\
 \\"remedy\\": \\"Restart the Spark at the other end too: a port can stay down until both have restarted.\\"}\""""


def reboot_playbook(node_id: str, node: str, mark: str, stops: Sequence[Playbook] = ()) -> Playbook:
    """Restart a node: our jobs' stops first; then note, restart, wait for another boot, compare the links.

    `mark` is an id of this plan: letters and digits only.
    """
    is_another_boot = _script(_IS_ANOTHER_BOOT, mark)
    note = Step(
        id="note",
        title="Note this boot and the CX-7 links",
        node=node_id,
        check=(Run(_script(_IS_NOTED, mark)),),
        apply=(Run(_script(_NOTE, mark)),),
    )
    restart = Step(
        id="restart",
        title=f"Restart {node}",
        node=node_id,
        phase=RESTART,
        check=(Run(is_another_boot),),
        apply=(_order("systemctl reboot"),),
    )
    back = Step(
        id="back",
        title=f"Wait until {node} is back with another boot",
        node=node_id,
        apply=(Wait(is_another_boot, Expect(), every_s=1.0, timeout_s=BACK_TIMEOUT_S),),
    )
    looking = Run(_script(_LINKS, mark, str(LINKS_TRIES)), Expect(reader="json_field:ok", equals="true"), timeout_s=120)
    links = Step(id="links", title="Look whether its CX-7 links are up again", node=node_id, apply=(looking,))
    return _build(f"Restart {node}", stops, (note, restart, back, links))


def shutdown_playbook(node_id: str, node: str, stops: Sequence[Playbook] = ()) -> Playbook:
    """Shut a node down: our jobs' stops first; then the order, and a look that it is gone."""
    order = Step(
        id="shut_down",
        title=f"Shut {node} down",
        node=node_id,
        phase=SHUT_DOWN,
        apply=(_order("systemctl poweroff"),),
    )
    gone = Step(
        id="gone",
        title=f"Wait until {node} answers no more",
        node=node_id,
        apply=(Reconnect(GONE_TIMEOUT_S, comes_back=False),),
    )
    return _build(f"Shut {node} down", stops, (order, gone))


def _script(script: str, *words: str) -> Command:
    return Command(("sh", "-c", script, "sh", *words))


def _order(line: str) -> Run:
    """As root, two seconds later and by itself: so that the order's own end is seen before the line is lost."""
    script = f"setsid sh -c 'sleep 2; exec {line}' </dev/null >/dev/null 2>&1 &"
    return Run(Command(("sh", "-c", script)), as_root=True)


def _build(title: str, stops: Sequence[Playbook], steps: Sequence[Step]) -> Playbook:
    ends = tuple(
        replace(step, id=f"stop-{number}-{step.id}", phase="stop")
        for number, stop in enumerate(stops, 1)
        for step in stop.steps()
    )
    stages = (Stage("Stop what runs there", ends),) if ends else ()
    return Playbook(title, (*stages, *(Stage(step.title, (step,)) for step in steps)), needs_lock=True)
