#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=5400
"""The image boots by SeaBIOS and by OVMF, serves data disks, and keeps what it was told."""
import os
import re
import shutil
import subprocess
import sys

from _appliance import OVMF, Appliance, partitions, wait_for
from tap import case, need, run

IQN = "iqn.2026-11.org.example:kept"
LAST = "iqn.2026-11.org.example:last"
DAEMONS = ("lichgated.service", "lichgate-mgmtd.service")


def check_system(box, firmware):
    """A machine that answers Discovery: what it is and how it got there."""
    stamps = re.findall(r"\d+", box.sh(f"systemctl show -P ActiveEnterTimestampMonotonic {' '.join(DAEMONS)}"))
    print(f"{firmware}: daemons ready {max(map(int, stamps)) / 1e6:.1f} s after the kernel started", flush=True)
    for unit in DAEMONS:
        need(box.sh(f"systemctl is-active {unit}").strip() == "active", f"{unit} is not active")
    uefi = box.sh("test -d /sys/firmware/efi", check=False)[0] == 0
    need(uefi == (firmware == "uefi"), "the firmware is another one")
    need(re.search(r"^/dev/mapper/root / squashfs ro\b", box.sh("cat /proc/mounts"), re.M), "/ is not the verity device")
    need("CRYPT-VERITY-" in box.sh("cat /sys/class/block/dm-0/dm/uuid"), "/ is no verity device")
    code, said = box.sh("touch /usr/x", check=False)
    need(code and "Read-only" in said, "the root could be written to")


def attach_disks(box):
    """A target with a LUN for each data disk."""
    box.sh(f"lgtadm --lld iscsi --mode target --op new --tid 1 --targetname {IQN}")
    box.sh("lgtadm --lld iscsi --mode target --op bind --tid 1 --initiator-address ALL")
    for lun, path in ((1, "/dev/vdb"), (2, "/dev/nvme0n1")):
        box.sh(f"lgtadm --lld iscsi --mode logicalunit --op new --tid 1 --lun {lun} --backing-store {path}")


def has_luns(box):
    """Logs in, and finds each disk by its size."""
    for lun, size in ((1, 64 << 20), (2, 96 << 20)):
        told = wait_for(lambda lun=lun: capacity(box, lun), 300, f"LUN {lun} tells its capacity")
        need(told == size, f"LUN {lun} has {told} bytes, its disk {size}")


def capacity(box, lun):
    p = subprocess.run(["iscsi-readcapacity16", "-s", box.url(IQN, lun)], capture_output=True, text=True, timeout=120,
                       stdin=subprocess.DEVNULL, check=False)
    return int(p.stdout) if p.returncode == 0 else None


@case("by SeaBIOS and, after a power cut, by OVMF: serves virtio and NVMe disks, and nothing confirmed is lost")
def _():
    with Appliance(disks=[("virtio", "64M"), ("nvme", "96M")]) as box:
        box.start()
        box.wait_portal()
        check_system(box, "bios")
        need(int(re.search(r"(\d+)\s*$", box.sh("df --output=size -m /var")).group(1)) > 1000, "/var was not grown")
        attach_disks(box)
        has_luns(box)
        box.sh("echo kept >/etc/kept.conf && sync /etc/kept.conf")
        ident = box.sh("cat /etc/machine-id").strip()
        need(re.fullmatch("[0-9a-f]{32}", ident), f"no machine-id but {ident!r}")
        grown = partitions(box.system)
        # No sync here: the daemon answered, so its configuration has to be there.
        box.sh(f"lgtadm --lld iscsi --mode target --op new --tid 2 --targetname {LAST}")
        box.sh("lgtadm --lld iscsi --mode target --op bind --tid 2 --initiator-address ALL")
        box.cut()

        box.firmware = "uefi"
        shutil.copy(os.path.join(OVMF, "OVMF_VARS_4M.fd"), box.path("vars.fd"))
        box.start()
        box.wait_portal()
        has_luns(box)
        need(LAST in box.discover(), "the target of the last moment is gone")
        check_system(box, "uefi")
        need(box.sh("cat /etc/kept.conf").strip() == "kept", "a file of /etc is gone")
        need(box.sh("cat /etc/machine-id").strip() == ident, "the machine has another identity")
        need(partitions(box.system) == grown, "the partitions changed again")


if __name__ == "__main__":
    sys.exit(run())
