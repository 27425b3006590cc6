# The tier of lab nodes with a real systemd-networkd and D-Bus, on which netplan works: sourced by ../node_init.sh, whose
# functions it takes the place of. Where it says "stands for", a small program of ours answers (shims/).
# Needs NODE_TIER, the path of this file, and what node_init.sh needs.

fill_root() { # while the host's files are in reach, before they are left: $1 is the new root
    here=${NODE_TIER%/*}
    lab=$1/usr/local/lib/lab
    mkdir -p "$lab"
    cp -r "$here/shims" "$here/image" "$lab"
    cp -r "$here/../../../sparkdesk/simulator/program" "$lab" # the programs of simulated nodes, for what they parse
    cp "$here/boot.sh" "$lab/boot"
    chmod -R a+rX,go-w "$lab"
    chmod 755 "$lab/boot"
}

start_network() { # in place of a plain `ip addr add`
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    echo "PATH=\"$PATH\"" >/etc/environment # as on Ubuntu, where a sign-in finds what lies in sbin
    echo "SetEnv PATH=$PATH" >>/etc/ssh/sshd_config
    printf 'Defaults secure_path="%s"\nroot ALL=(ALL:ALL) ALL\n%%sudo ALL=(ALL:ALL) ALL\n' "$PATH" >/etc/sudoers
    place_shims
    make_netplan
    make_identity
    make_rdma
    make_readings
    # A read-only /sys tells networkd that it is in a container: it does not wait for udev, which is not there.
    mount -o remount,ro,bind /sys
    printf 'port="%s"\naddress="%s"\ncx7_ports="%s"\n' "$NODE_PORT" "$NODE_ADDRESS" "$NODE_CX7_PORTS" \
        >/usr/local/lib/lab/node
    /usr/local/lib/lab/boot
}

place_shims() { # shims/all.txt says which program stands where; what apt-get would bring comes later
    shims=/usr/local/lib/lab/shims
    find "$shims" -type f -exec chmod 755 {} +
    while read -r file names; do
        case $file in '' | '#'*) continue ;; esac
        for name in $names; do ln -sf "$shims/$file" "/usr/local/bin/$name"; done
    done <"$shims/all.txt"
    # netplan's generator calls this one by its full path.
    ln -sf "$shims/udevadm.sh" /usr/bin/udevadm
    # Nobody's container engine or GPU of the host is seen in a node, and no package manager of it either.
    for name in docker nvidia-smi nvidia-ctk ib_write_bw ib_write_lat earlyoom; do rm -f "/usr/bin/$name"; done
    mkdir -p /var/lib/lab/packages
    echo 1.20.0-1 >/var/lib/lab/packages/nvidia-container-toolkit
    echo 2.28.9-1+cuda13.0 >/var/lib/lab/packages/libnccl2
}

make_netplan() { # as on a Spark: the installer's own file has the management port
    rm -rf /etc/netplan /etc/systemd/network /usr/lib/netplan/*.yaml
    mkdir -p /etc/netplan
    cat >/etc/netplan/00-installer-config.yaml <<X
# This is the network config written by 'subiquity'
network:
  version: 2
  ethernets:
    $NODE_PORT:
      addresses: [$NODE_ADDRESS]
      routes:
        - to: default
          via: 10.42.0.1
X
    chmod 600 /etc/netplan/00-installer-config.yaml
}

make_identity() { # Source: spark-facts 1.3; the serial is none
    cat >/etc/dgx-release <<'X'
DGX_NAME="DGX Spark"
DGX_PRETTY_NAME="NVIDIA DGX Spark"
DGX_SWBUILD_DATE="2025-09-10-13-50-03"
DGX_SWBUILD_VERSION="7.2.3"
DGX_COMMIT_ID="833b4a7"
DGX_PLATFORM="DGX Server for KVM"
DGX_SERIAL_NUMBER="0000000000000"

DGX_OTA_VERSION="7.5.0"
DGX_OTA_DATE="Thu Jun 18 17:40:28 EDT 2026"
X
    sed -i '/^docker:/d' /etc/group /etc/gshadow
    echo 'docker:x:989:' >>/etc/group # its user is not in it by default
    echo 'docker:!::' >>/etc/gshadow
    touch /etc/.pwd.lock # who changes a group makes it, and it stays for ever
    chmod 600 /etc/.pwd.lock
    : >"/home/$NODE_USER/.sudo_as_admin_successful" # so does sudo, when it is first used
    chown 1001:1001 "/home/$NODE_USER/.sudo_as_admin_successful"
    mkdir -p /etc/docker /var/lib/lab
    printf '{\n    "runtimes": {\n        "nvidia": {\n            "args": [],\n            "path": "nvidia-container-runtime"\n        }\n    }\n}\n' >/etc/docker/daemon.json
    echo nvcr.io/nvidia/vllm:26.01-py3 >/var/lib/lab/images
    mkdir -p /usr/lib/aarch64-linux-gnu
    : >/usr/lib/aarch64-linux-gnu/libnccl.so.2.28.9
}

make_readings() { # what moves on a Spark and stands still here
    mount -t tmpfs -o mode=755 driver /proc/driver
    mkdir /proc/driver/nvidia
    echo "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.159.03  Release Build" >/proc/driver/nvidia/version
    mkdir -p /run/sparkdesk-sim # read by the simulator's programs
    echo '{"driver": "580.159.03", "uuid": "GPU-00000000-0000-0000-0000-000000000000", "pstate": "P8", "util_pct": 0,
"temperature_c": 35, "power_w": 4.0, "sm_mhz": 208, "power_capped_us": 0, "apps": []}' >/run/sparkdesk-sim/gpu.json
    chmod 666 /run/sparkdesk-sim/gpu.json # the PyTorch of image/ tells there that it loads the GPU
    # Our all_gather asks for memory that the machine below may not have; what it gathers has no size.
    sed -e 's/^MemTotal:.*/MemTotal:       127535084 kB/' -e 's/^MemAvailable:.*/MemAvailable:   123731968 kB/' \
        /proc/meminfo >/run/meminfo
    mount --bind /run/meminfo /proc/meminfo
}

make_rdma() { # /sys/class alone is covered: what comes, goes and counts below /sys/devices stays the kernel's own
    mkdir -p /run/sysclass/up /run/sysclass/work
    mount -t overlay -o lowerdir=/sys/class,upperdir=/run/sysclass/up,workdir=/run/sysclass/work class /sys/class
    mkdir -p /sys/class/dmi/id /sys/class/infiniband
    echo NVIDIA >/sys/class/dmi/id/sys_vendor
    echo NVIDIA_DGX_Spark >/sys/class/dmi/id/product_name
    echo 'DGX Spark' >/sys/class/dmi/id/product_family
    for port in $NODE_CX7_PORTS; do # enp1s0f0np0 -> rocep1s0f0, enP2p1s0f0np0 -> roceP2p1s0f0
        device=roce${port#en}
        device=/sys/class/infiniband/${device%np*}
        mkdir -p "$device/device/net/$port" "$device/ports/1/counters" "$device/ports/1/gid_attrs/types" \
            "$device/ports/1/gid_attrs/ndevs"
        echo 'fw 28.45.4028' | cut -c4- >"$device/fw_ver"
        echo '1: CA' >"$device/node_type"
        echo '4: ACTIVE' >"$device/ports/1/state"
        echo '5: LinkUp' >"$device/ports/1/phys_state"
        echo '200 Gb/sec (2X NDR)' >"$device/ports/1/rate"
        echo Ethernet >"$device/ports/1/link_layer"
        echo "$port" >"$device/ports/1/gid_attrs/ndevs/3"
        echo 'RoCE v2' >"$device/ports/1/gid_attrs/types/3"
        for name in port_xmit_data port_rcv_data port_xmit_packets port_rcv_packets; do
            echo 0 >"$device/ports/1/counters/$name"
        done
    done
}
