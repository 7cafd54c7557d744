#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# _deb_image.sh DIR RELEASE: leaves root.img, vmlinuz and initrd in DIR: a minimal Debian of that release with systemd, an
# initiator, and in apt's cache, not installed, what the package depends on and tgt. Built again only when this file changes.
set -eu

dir=$1 suite=$2
packages=linux-image-amd64,systemd-sysv,adduser,udev,kmod,iproute2,e2fsprogs,open-iscsi,python3
# The package's own dependencies; the names of Debian 12, which Debian 13 still provides.
wanted="libibverbs1 libisal2 libjansson4 librdmacm1 libsqlite3-0 liburing2 tgt"
key=$(sha256sum <"$0" | cut -c1-16)

[ "$(cat "$dir/key" 2>/dev/null)" = "$key" ] && exit 0
mkdir -p "$dir"
work=$(mktemp -d "$dir/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "_deb_image.sh: building a $suite guest, once" >&2

cat >"$work/essential" <<'HOOK'
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/guest"
echo COMPRESS=gzip >>"$1/etc/initramfs-tools/conf.d/guest"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic >"$1/etc/initramfs-tools/modules"
HOOK
cat >"$work/customize" <<HOOK
set -eu
apt-get --quiet --yes -o APT::Install-Recommends=true -o APT::Keep-Downloaded-Packages=true \
	--download-only install $wanted
HOOK
cat >>"$work/customize" <<'HOOK'
cat >"$1/etc/systemd/system/guest.service" <<'UNIT'
[Unit]
Description=The script of the second disk
[Service]
ExecStartPre=/bin/mkdir -p /lgt
ExecStartPre=/bin/mount -o ro /dev/vdb /lgt
ExecStart=/bin/sh /lgt/init
ExecStopPost=/bin/sh -c 'sync; echo o >/proc/sysrq-trigger'
StandardOutput=null
UNIT
mkdir -p "$1/etc/systemd/system/multi-user.target.wants"
ln -s ../guest.service "$1/etc/systemd/system/multi-user.target.wants/guest.service"
for unit in open-iscsi.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
	fstrim.timer dpkg-db-backup.timer systemd-timesyncd.service; do
	ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
echo guest >"$1/etc/hostname"
echo 'InitiatorName=iqn.2026-11.org.example:guest' >"$1/etc/iscsi/initiatorname.iscsi"
HOOK

# Outside unshare mode the hooks run as root of the new tree; in it, they must be readable by the mapped user.
chmod 755 "$work" "$work/essential" "$work/customize"
mmdebstrap --quiet --variant=minbase --include=$packages --skip=cleanup/apt,cleanup/reproducible \
	--essential-hook="sh $work/essential \"\$1\"" \
	--customize-hook="APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG sh $work/customize \"\$1\"" \
	"$suite" "$work/rootfs.tar" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

cat >"$work/make" <<'MAKE'
set -eu
mkdir "$1/root"
tar -xf "$1/rootfs.tar" -C "$1/root" --numeric-owner --exclude='./dev/*'
cp "$1"/root/boot/vmlinuz-* "$1/vmlinuz"
cp "$1"/root/boot/initrd.img-* "$1/initrd"
mke2fs -q -t ext4 -L guest-root -d "$1/root" "$1/root.img" 1800M
chmod -R u+rwX "$1/root"
MAKE
if [ "$(id -u)" = 0 ]; then
	sh "$work/make" "$work"
else
	fakeroot sh "$work/make" "$work"
fi
mv "$work/root.img" "$work/vmlinuz" "$work/initrd" "$dir/"
echo "$key" >"$dir/key"
