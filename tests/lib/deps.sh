#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# deps.sh PURPOSE…: installs what Debian 12 or 13 lacks for build, deb, check, run, vm, image, bench, fuzz or clang.
# Looks at the package database only; the network is used when something is missing.
set -eu

packages()
{
	case $1 in
	build)	echo gcc libc6-dev make pkgconf liburing-dev libisal-dev libssl-dev libjansson-dev \
			libsqlite3-dev libsystemd-dev librdmacm-dev libibverbs-dev ;;
	clang)	echo clang libclang-rt-dev ;;
	fuzz)	echo clang libclang-rt-dev ;;
	deb)	echo build-essential dpkg-dev debhelper fakeroot git systemd mmdebstrap ;;
	run)	echo libiscsi-bin qemu-utils qemu-block-extra python3 ;;
	check)	echo check libiscsi-bin libiscsi-dev qemu-utils qemu-block-extra python3 git openssl \
			shellcheck mandoc tgt python3-yaml fdisk e2fsprogs ;;
	vm)	echo mmdebstrap qemu-system-x86 qemu-utils qemu-block-extra e2fsprogs fakeroot python3 ;;
	image)	echo mmdebstrap uidmap squashfs-tools cryptsetup-bin dosfstools mtools fdisk e2fsprogs grub-common \
			grub-pc-bin grub-efi-amd64-bin qemu-utils openssl dpkg-dev python3 ;;
	check-image) echo qemu-system-x86 qemu-utils ovmf mtools fdisk libiscsi-bin systemd-container \
			squashfs-tools openssh-client python3 ;;
	bench)	echo tgt linux-perf python3 ;;
	*)	echo "deps.sh: unknown purpose $1" >&2; exit 2 ;;
	esac
}

want=
for purpose in "$@"; do
	want="$want $(packages "$purpose")"
done

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "deps: this is not a Debian system; install the equivalents of$want and use DEPS=0." >&2
	exit 1
fi

missing=
for pkg in $want; do
	case " $missing " in *" $pkg "*) continue ;; esac
	state=$(dpkg-query -W -f='${db:Status-Status}\n' "$pkg" 2>/dev/null | head -n 1)
	[ "$state" = installed ] || missing="$missing $pkg"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
		echo "deps: missing packages, and no right to install them:$missing." >&2
		exit 1
	fi
	as_root=sudo
fi

# Output is shown only when it has something to say.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get()
{
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300 "$@" \
		>"$log" 2>&1 </dev/null
}

echo "deps: installing$missing" >&2
# Its tools are wanted, not a second target on port 3260: the service stays masked until somebody unmasks it.
case " $missing " in
*" tgt "*)	$as_root mkdir -p /etc/systemd/system
		[ -e /etc/systemd/system/tgt.service ] ||
			$as_root ln -s /dev/null /etc/systemd/system/tgt.service ;;
esac
# shellcheck disable=SC2086 # a list of words
if ! apt_get install --no-install-recommends $missing &&
   ! { apt_get update && apt_get install --no-install-recommends $missing; }; then
	cat "$log" >&2
	echo "deps: apt-get could not install:$missing." >&2
	exit 1
fi
