#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=3600
"""Closed by default: of all ports 3260 answers, nobody has a password, the daemons are locked in, and a bundle tells nothing."""
import re
import sys

from _appliance import BOOT_SECS, Appliance, wait_for
from _wire import THEIRS, Wire
from tap import case, need, run

PORT = "52:54:00:00:00:01"
# systemd's measure, from 0 (locked in) to 10: what needs block devices and network is not far below this.
MOST = {"lichgated": 3.0, "lichgate-mgmtd": 1.0}
UDP_PORTS = (53, 67, 68, 69, 111, 123, 137, 161, 500, 546, 1900, 4791, 5353, 5355, 10000)
CHAP = "Bundle-must-not-have-9"


def interface(box):
    """The card of the cable, with an address."""
    name = re.search(rf"^\d+: ([^:@]+).*{PORT}", box.sh("ip -oneline link"), re.M).group(1)
    box.sh(f"ip link set {name} up && ip address replace {THEIRS}/24 dev {name}")
    return name


def ports_open(wire, ports=range(1, 65536)):
    found, refused = wire.knock(ports)
    need(not refused and not wire.other, f"refused instead of silent: {refused[:20]} {wire.other[:5]}")
    return found


@case("from outside 3260 alone answers, of 65535 TCP ports; UDP is silent")
def _(box, wire):
    wire.ping()
    need(ports_open(wire) == [3260], f"open: {sorted(wire.open)}")
    for port in UDP_PORTS:
        wire.udp(port)
    wire.ping()
    need(not wire.other, f"answers to UDP: {wire.other}")


@case("22 is open exactly while SSH runs, and a firewall that starts anew keeps it so")
def _(box, wire):
    some = (21, 22, 23, 80, 3260)
    box.sh("touch /var/lib/appliance/ssh-enabled && systemctl start ssh.service")
    need(ports_open(wire, some) == [22, 3260], f"with SSH: {sorted(wire.open)}")
    # SSH's restart comes with it and is not waited for.
    box.sh("systemctl restart nftables.service && until systemctl is-active --quiet ssh.service; do sleep 1; done")
    need(ports_open(wire, some) == [22, 3260], f"after the firewall's restart: {sorted(wire.open)}")
    box.sh("systemctl stop ssh.service && rm /var/lib/appliance/ssh-enabled")
    need(ports_open(wire, some) == [3260], f"without SSH: {sorted(wire.open)}")


@case("soft RoCE: a device and its port while the unit runs")
def _(box, wire):
    name = interface(box)
    need("rxe" not in box.sh("lsmod"), "soft RoCE is loaded without anybody asking")
    box.sh(f"systemctl start lichgate-rxe@{name}.service")
    need(f"rxe_{name}" in box.sh("rdma link"), "no device")
    need("4791" in box.sh("nft list set inet lichgate open_udp"), "its port is closed")
    box.sh(f"systemctl stop lichgate-rxe@{name}.service")
    need(f"rxe_{name}" not in box.sh("rdma link") and "4791" not in box.sh("nft list set inet lichgate open_udp"), "it stays")


@case("nobody has a password, and no key opens a door")
def _(box, wire):
    for line in box.sh("cat /etc/shadow").split():
        user, password = line.split(":")[:2]
        need(re.fullmatch(r"[!*]+", password), f"{user} has a password, or needs none")
    need(not box.sh("cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys 2>/dev/null || :").strip(), "there are keys")
    need("inactive" in box.sh("systemctl is-active ssh.service ssh.socket || :"), "SSH runs")


@case("the daemons are locked in, and the gateway is not root")
def _(box, wire):
    for name, most in MOST.items():
        said = box.sh(f"SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 systemd-analyze security {name}.service")
        print(said, flush=True)
        level = float(re.search(rf"exposure level for {name}\.service: ([\d.]+)", said).group(1))
        need(level <= most, f"{name}: {level}, at most {most}")
    need(box.sh("ps -o user= -C lichgated").strip() != "root", "the gateway runs as root")


@case("watchdog, journal and settings are in force")
def _(box, wire):
    need(box.sh("systemctl show --property=RuntimeWatchdogUSec").strip() == "RuntimeWatchdogUSec=2min", "no watchdog asked for")
    need(box.sh("ls /dev/watchdog0", check=False)[0] == 0, "there is no watchdog")
    need(box.sh("cat /sys/class/watchdog/watchdog0/state").strip() == "active", "nobody feeds the watchdog")
    need(box.sh("ls /var/log/journal/*/system.journal"), "the journal is not kept")
    need(box.sh("sysctl -n net.core.somaxconn kernel.panic vm.swappiness").split() == ["8192", "10", "1"], "settings are others")


@case("a support bundle of the real thing has no secret in it")
def _(box, wire):
    box.sh(f"lgtadm --lld iscsi --mode account --op new --user someone --password {CHAP}")
    box.sh(f"logger 'a careless word: {CHAP}' && journalctl --flush --sync")
    path = box.sh("lichgate-appliance support-bundle", 600).strip().splitlines()[-1]
    print(box.sh(f"ls -l {path}"), flush=True)
    box.sh(f"mkdir /run/bundle && tar -xJf {path} -C /run/bundle")
    need("a careless word" in box.sh("cat /run/bundle/*/journal.txt"), "the journal is not in it")
    need("someone" in box.sh("cat /run/bundle/*/gateway/accounts.txt"), "the accounts are not in it")
    code, said = box.sh(f"grep -rl -e {CHAP} /run/bundle", check=False)
    need(code == 1, f"the secret is in {said}")
    print(box.sh("grep -rl '^(exit\\|^([a-z-]*: ' /run/bundle || :"), flush=True)
    box.sh(f"lgtadm --lld iscsi --mode account --op delete --user someone; rm -r /run/bundle {path}")


@case("GRUB shows its menu, and gives neither an editor nor a command line")
def _(_box, _wire):
    for key in "ec":
        with Appliance(cpus=1, shell=False) as other:
            other.start()

            def menu():
                other.console.send("\x1b")
                return "Lichgate, slot b" in other.console.said()
            wait_for(menu, BOOT_SECS, "GRUB's menu")
            other.console.expect("Lichgate, slot b")
            other.console.send(key)
            other.console.expect("Enter username:")


def main():
    with Appliance(disks=[("virtio", "64M")]) as box:
        box.cable = (box.path("cable"), 1)
        box.start()
        wire = Wire(box.path("cable"))
        box.wait_portal()
        interface(box)
        failed = run(box, wire)
        wire.close()
        box.off()
    return failed


if __name__ == "__main__":
    sys.exit(main())
