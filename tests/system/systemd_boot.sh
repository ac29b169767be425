#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# systemd_boot.sh SCRATCH SOURCE BUILD - becomes systemd as process 1, on a copy-on-write view of this machine with what
# BUILD installs on top, and with /run, /dev, /sys and control groups of its own. To be run in fresh mount, process id,
# control group, UTS, IPC and network namespaces; nothing of it reaches the machine.
set -euo pipefail
readonly scratch=$1 source=$2 build=$3 root=$1/root

mount_tree() {
    local node
    mount -t tmpfs -o mode=0755 scratch "$scratch"
    mkdir "$scratch/upper" "$scratch/work" "$root"
    mount -t overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=0755 run "$root/run"
    mount -t tmpfs -o mode=1777 tmp "$root/tmp"
    mount -t tmpfs -o mode=0755 dev "$root/dev"
    mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/net"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts"
    for node in null zero full random urandom tty net/tun; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
}

# Only what the machine is tested for is to run: no logins, clocks, networks, nor whatever else is installed.
calm_down() {
    local unit
    rm -rf "$root"/etc/systemd/system/*.wants
    for unit in systemd-firstboot systemd-udevd systemd-networkd systemd-resolved systemd-timesyncd systemd-logind \
        systemd-sysctl; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
    done
    rm -f "$root/etc/nsresourced.conf"
    printf 'uninitialized\n' >"$root/etc/machine-id"
    sed -i '/^\(passwd\|group\):/s/:.*/: files systemd/' "$root/etc/nsswitch.conf"
}

# Parts of the machine that are mounts of their own are not in the view.
bring_along() {
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
}

mount_tree
calm_down
bring_along "$source"
bring_along "$build"
DESTDIR=$root cmake --install "$build" >/dev/null
systemctl --root="$root" --quiet enable nsresourced.service
ip link set lo up
mkdir "$root/outside"
cd "$root"
pivot_root . outside
umount -l /outside
exec env -i container=other PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --system --unit=basic.target \
    --log-target=journal --show-status=no
