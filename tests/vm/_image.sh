#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# _image.sh DIR [RELEASE]: leaves root.img, vmlinuz and initrd in DIR, of the Debian release that this machine runs, or a
# later one, so that what is built here runs there. Built again only when this file changes. Needs no root and no loop device.
set -eu

dir=$1
packages=linux-image-amd64,systemd-sysv,udev,open-iscsi,fio,iproute2,kmod,sg3-utils,e2fsprogs,procps,python3
# Soft RoCE, and an initiator of its own that speaks iSER.
packages=$packages,rdma-core,ibverbs-utils,ibverbs-providers,libiscsi-bin
# Two paths to one disk; nftables cuts one of them.
packages=$packages,multipath-tools,nftables
# shellcheck disable=SC1091
suite=${2:-$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")}
key=$(cat "$0" /etc/os-release | sha256sum | cut -c1-16)

[ "$(cat "$dir/key" 2>/dev/null)" = "$key" ] && exit 0
mkdir -p "$dir"
work=$(mktemp -d "$dir/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "_image.sh: building a $suite guest, once" >&2

# An initramfs with what QEMU's virtio disk needs, no more: the emulator unpacks it on every start.
cat >"$work/essential" <<'HOOK'
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/guest"
echo COMPRESS=gzip >>"$1/etc/initramfs-tools/conf.d/guest"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic >"$1/etc/initramfs-tools/modules"
HOOK
cat >"$work/customize" <<'HOOK'
cat >"$1/usr/local/sbin/guest-init" <<'INIT'
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
[ -d /proc/self ] || mount -t proc proc /proc
[ -d /sys/class ] || mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tmpfs shm /dev/shm
mkdir -p /lgt
mount -o ro /dev/vdb /lgt
sh /lgt/init
sync
echo o >/proc/sysrq-trigger
sleep 60
INIT
chmod 755 "$1/usr/local/sbin/guest-init"
# The same root, booted from a LUN with systemd: proves itself with a file, and goes.
cat >"$1/etc/systemd/system/lun-proof.service" <<'UNIT'
[Unit]
Description=Leave a proof on the root file system and power off
ConditionKernelCommandLine=lun-proof
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'dd if=/dev/urandom of=/root/proof bs=1M count=8 && cd /root && sha256sum proof >proof.sha256 && sync && echo LUN-PROOF-WRITTEN >/dev/ttyS0'
ExecStartPost=systemctl poweroff --no-block
UNIT
mkdir -p "$1/etc/systemd/system/multi-user.target.wants"
ln -s ../lun-proof.service "$1/etc/systemd/system/multi-user.target.wants/lun-proof.service"
for unit in open-iscsi.service iscsid.service iscsid.socket apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \
	e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-timesyncd.service sg3-utils.service \
	multipathd.service multipathd.socket; do
	ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
echo guest >"$1/etc/hostname"
echo 'InitiatorName=iqn.2026-11.org.example:guest' >"$1/etc/iscsi/initiatorname.iscsi"
rm -rf "$1"/usr/share/doc "$1"/usr/share/locale "$1"/usr/share/man "$1"/var/cache/apt "$1"/var/lib/apt/lists
HOOK
chmod 755 "$work/essential" "$work/customize"

# Outside unshare mode the hooks run as root of the new tree; in it, they must be readable by the mapped user.
chmod 755 "$work"
mmdebstrap --quiet --variant=minbase --include=$packages \
	--essential-hook="sh $work/essential \"\$1\"" --customize-hook="sh $work/customize \"\$1\"" \
	"$suite" "$work/rootfs.tar" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

cat >"$work/make" <<'MAKE'
set -eu
mkdir "$1/root"
tar -xf "$1/rootfs.tar" -C "$1/root" --numeric-owner --exclude='./dev/*'
cp "$1"/root/boot/vmlinuz-* "$1/vmlinuz"
cp "$1"/root/boot/initrd.img-* "$1/initrd"
mke2fs -q -t ext4 -L guest-root -d "$1/root" "$1/root.img" 1200M
chmod -R u+rwX "$1/root"
MAKE
if [ "$(id -u)" = 0 ]; then
	sh "$work/make" "$work"
else
	fakeroot sh "$work/make" "$work"
fi
mv "$work/root.img" "$work/vmlinuz" "$work/initrd" "$dir/"
echo "$key" >"$dir/key"
