#!/bin/sh
# Stands for timedatectl: /var/lib/lab/clock says "no" where the clock is not synchronized. Nobody's clock is set.
# The one rule: words as systemd 255 has them; what is not here fails.
state=$(cat /var/lib/lab/clock 2>/dev/null || echo yes)
case "$*" in
    show) printf 'Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=%s\nNTPSynchronized=%s\n' "$state" "$state" ;;
    "show -p NTPSynchronized --value" | "show --property=NTPSynchronized --value") echo "$state" ;;
    "show -p NTP --value" | "show --property=NTP --value") echo "$state" ;;
    "set-ntp true" | "set-ntp yes" | "set-ntp 1" | "set-ntp false" | "set-ntp no" | "set-ntp 0")
        [ "$(id -u)" = 0 ] || { echo "Failed to set ntp: Interactive authentication required." >&2; exit 1; }
        case $2 in true | yes | 1) echo yes ;; *) echo no ;; esac >/var/lib/lab/clock ;;
    *) echo "timedatectl: $* is not simulated" >&2; exit 1 ;;
esac
