# SPDX-License-Identifier: BSD-3-Clause
"""An appliance's root for the tests of set-up: disks in /sys, ports, /etc/shadow, and programs that only note their calls."""
import json
import os
import stat

from _root import ROOT, get, path, put

CALLS = path("calls")
EMPTY = {"target": {"targets": []}, "account": {"accounts": []}, "portal": {"portals": []},
         "system": {"system": {"discovery_in": [], "discovery_out": None,
                               "gateway": {"connected": True, "configured": True, "trouble": None}}}}
LGTADM = """#!/bin/sh
mode=; op=; all="$*"
while [ $# -gt 0 ]; do
	case $1 in -m) mode=$2 ;; -o) op=$2 ;; esac
	shift
done
[ "$op" != show ] || exec cat "$LICHGATE_ROOT/gateway/$mode.json"
echo "lgtadm $all" >>"$LICHGATE_ROOT/calls"
case " $all " in *" $(cat "$LICHGATE_ROOT/refuse") "*) echo "lgtadm: refused here" >&2; exit 22 ;; esac
"""
NOTED = """#!/bin/sh
echo "${0##*/} $*" >>"$LICHGATE_ROOT/calls"
"""
KEYGEN = """#!/bin/sh
for file; do :; done
case " $* " in
*" -y "*) ! grep -q broken "$file" && echo "ssh-ed25519 AAAA" ;;
*) echo "-----BEGIN OPENSSH PRIVATE KEY-----" >"$file" ;;
esac
"""


def program(name, text):
    put(f"bin/{name}", text)
    os.chmod(path(f"bin/{name}"), stat.S_IRWXU)


def disk(name, number, gib=1, serial="", removable=0, parts=(), device=True):
    top = f"sys/devices/{name}"
    put(f"{top}/size", str(int(gib * (1 << 30)) // 512))
    put(f"{top}/removable", str(removable))
    put(f"{top}/ro", "0")
    put(f"{top}/serial", serial + "\n")
    os.makedirs(path(f"{top}/holders"))
    if device:
        os.makedirs(path(f"{top}/device"))
    for n in parts:
        put(f"{top}/{name}{n}/partition", str(n))
        os.makedirs(path(f"{top}/{name}{n}/holders"))
        os.symlink(f"../../devices/{name}/{name}{n}", path(f"sys/dev/block/{number}:{n}"))
    os.symlink(f"../devices/{name}", path(f"sys/block/{name}"))
    os.symlink(f"../../devices/{name}", path(f"sys/dev/block/{number}:0"))
    put(f"dev/{name}", b"")
    if serial:
        os.symlink(f"../../{name}", path(f"dev/disk/by-id/virtio-{serial}"))


def machine():
    """The system is on vda; sda is a removable one, vdb and nvme0n1 are data disks, vdc is held, vdd mounted, vde tiny."""
    for folder in ("sys/block", "sys/dev/block", "sys/class/net", "dev/disk/by-id", "etc/ssh", "run", "gateway"):
        os.makedirs(path(folder))
    disk("vda", "254", parts=(2, 5))
    disk("sda", "8", removable=1)
    disk("vdb", "255", 4, serial="B1")
    disk("nvme0n1", "259", 2, serial="N1")
    disk("vdc", "256", serial="C1", parts=(1,))
    put("sys/devices/vdc/vdc1/holders/dm-3", "")
    disk("vdd", "257", serial="D1", parts=(1,))
    disk("vde", "258", gib=1 / 64, serial="E1")
    disk("loop0", "7", device=False)
    put("proc/self/mountinfo", "25 1 254:2 / /boot rw - vfat /dev/vda2 rw\n26 1 257:1 / /mnt rw - ext4 /dev/vdd1 rw\n")
    put("etc/shadow", "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n")
    for name, mac in (("eth0", "52:54:00:00:00:01"), ("eth1", "52:54:00:00:00:02")):
        put(f"sys/class/net/{name}/type", "1")
        put(f"sys/class/net/{name}/address", mac)
        put(f"sys/class/net/{name}/carrier", "1")
        os.makedirs(path(f"sys/class/net/{name}/device"))
    os.makedirs(path("sys/class/net/lo"))
    put("refuse", "nothing-of-this")
    program("lgtadm", LGTADM)
    program("ssh-keygen", KEYGEN)
    for name in ("systemctl", "ip"):
        program(name, NOTED)
    program("udevadm", "#!/bin/sh\nexit 1\n")
    os.environ["PATH"] = path("bin") + ":" + os.environ["PATH"]
    gateway()


def gateway(**modes):
    """What lgtadm shows."""
    for mode, shown in {**EMPTY, **modes}.items():
        put(f"gateway/{mode}.json", json.dumps(shown))


def calls():
    """What was called since the last time."""
    found = get("calls").decode().splitlines() if os.path.exists(CALLS) else []
    put("calls", "")
    return found


def appliance_json(**config):
    put("boot/appliance.json", json.dumps(config))


def settings():
    return json.loads(get("var/lib/appliance/settings.json"))


def exists(name):
    return os.path.exists(os.path.join(ROOT, name))
