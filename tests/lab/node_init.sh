# PID 1 of a lab node: makes the machine, then waits until the pipe that it was started with closes; the kernel then
# ends every process of the node and its mounts and network with it.
# Needs NODE_NAME, NODE_MACHINE_ID, NODE_ADDRESS, NODE_PORT, NODE_USER, NODE_KEY, NODE_PASSWORD_HASH, NODE_CX7_PORTS,
# NODE_SSHD_OPTIONS; NODE_TIER may name a file with other functions than those below. Says "pid N", waits for a line,
# "ready".
set -eu
fill_root() { :; }     # while the host's files are in reach; $1 is the new root
start_network() {      # the management port gets its address
    ip addr add "$NODE_ADDRESS" dev "$NODE_PORT"
    ip link set "$NODE_PORT" up
}
# shellcheck disable=SC1090
[ -z "${NODE_TIER:-}" ] || . "$NODE_TIER"
read -r pid _ </proc/self/stat # /proc is still the host's here
echo "pid $pid"
read -r _ # until the network ports are in place

# --- an own root: the host's files, with everything that is written kept in memory ---------------------------------
mount --make-rprivate /
mount -t tmpfs -o size=512m,mode=755 node /mnt
mkdir /mnt/up /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work node /mnt/root
root=/mnt/root
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount --rbind /dev $root/dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $root/dev/pts
mount --bind $root/dev/pts/ptmx $root/dev/ptmx
mount -t tmpfs -o mode=755 tmpfs $root/run
for folder in tmp var/tmp; do mount -t tmpfs -o mode=1777 tmpfs $root/$folder; done
# Nobody's own files and programs of the host are seen in a node.
hidden="root home srv opt"
[ ! -x $root/usr/bin/python3 ] || hidden="$hidden usr/local" # else the only Python may be there
for folder in $hidden; do
    [ ! -d $root/$folder ] || mount -t tmpfs -o mode=755 tmpfs $root/$folder
done
mkdir -p $root/mnt/old $root/usr/local/bin $root/usr/local/sbin
fill_root $root
cd $root
pivot_root . mnt/old
cd /

# --- who it is ------------------------------------------------------------------------------------------------------
hostname "$NODE_NAME"
echo "$NODE_NAME" >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$NODE_NAME" >/etc/hosts
echo "$NODE_MACHINE_ID" >/etc/machine-id
sed -i "/^$NODE_USER:/d" /etc/passwd /etc/group /etc/shadow
echo "$NODE_USER:x:1001:1001::/home/$NODE_USER:/bin/bash" >>/etc/passwd
echo "$NODE_USER:x:1001:" >>/etc/group
echo "$NODE_USER:$NODE_PASSWORD_HASH:19000:0:99999:7:::" >>/etc/shadow
chmod 600 /etc/shadow
# In sudo's group, as a Spark's first account is; sudo asks for the password above.
sed -i "s/^sudo:\([^:]*\):\([0-9]*\):.*/sudo:\1:\2:$NODE_USER/" /etc/group
rm -rf /etc/sudoers.d/*
printf 'root ALL=(ALL:ALL) ALL\n%%sudo ALL=(ALL:ALL) ALL\n' >/etc/sudoers
chmod 440 /etc/sudoers
mkdir -p "/home/$NODE_USER/.ssh"
echo "$NODE_KEY" >"/home/$NODE_USER/.ssh/authorized_keys"
[ ! -f /etc/skel/.bashrc ] || cp /etc/skel/.bashrc "/home/$NODE_USER/"
chown -R 1001:1001 "/home/$NODE_USER"
chmod 700 "/home/$NODE_USER/.ssh"

# --- sshd -----------------------------------------------------------------------------------------------------------
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
mkdir -p /run/sshd
cat >/etc/ssh/sshd_config <<'X'
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
X
printf '%s\n' "$NODE_SSHD_OPTIONS" >>/etc/ssh/sshd_config
cat /proc/sys/kernel/random/uuid >/run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
umount -l /mnt/old
ip link set lo up
# The CX-7 ports: no address but the link-local one, as on a Spark before bring-up.
# A virtual cable says 10 Gb/s; what the node reads is a file of its own, which a test may change (LabNode.set_speed).
mkdir -p /run/speed
for port in $NODE_CX7_PORTS; do
    ip link set "$port" up
    echo 200000 >"/run/speed/$port"
    mount --bind "/run/speed/$port" "/sys/class/net/$port/speed"
done
start_network
/usr/sbin/sshd -E /run/sshd.log </dev/null >/dev/null 2>&1
echo ready
set +e
# Not `wait`: the end of the pipe is the sign that the lab is over. bash reaps the orphans meanwhile.
while read -r _; do :; done
exit 0
