#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=5400
"""The console's menu on the serial line, from a new appliance to LUNs behind a password, and what it set as seen from outside."""
import json
import os
import re
import subprocess
import sys
import tempfile

from _appliance import BOOT_SECS, Appliance, tool, wait_for
from tap import case, need, run

USER, SECRET = "host1", "only-these-two-know"
PASSWORD = "correct horse"
# What QEMU's network has for the machine, by DHCP as well.
ADDRESS, GATEWAY = "10.0.2.15/24", "10.0.2.2"
# A menu is left unanswered for a minute; then the emulated machine sets its network up again.
SECS = 300
MAIN = r"restart, power off[\s\S]*?Choice: "
CHOICE, NAME, SURE, KEEP = "Choice: ", "Name[^\n]*: ", "Type yes to go on: ", "Keep them[?] Type yes: "


def drive(box, *steps):
    """Each step is what is typed and what must come of it."""
    for typed, answer in steps:
        box.console.send(typed + "\r")
        box.console.expect(answer, SECS)


def refused(box, why, *steps):
    """What was typed last is answered by one sentence and the main menu."""
    drive(box, *steps[:-1])
    start = box.console.at
    drive(box, (steps[-1], MAIN))
    said = box.console.said()[start:box.console.at].partition("\nLichgate\n")[0]
    lines = [line for line in said.splitlines()[1:] if line]
    need(len(lines) == 1 and re.fullmatch(f"Not done: .*{why}.*", lines[0]), f"{steps[-1]!r}: {said!r}")


def attached(box, lun, secret):
    """Does an initiator with that password find the LUN?"""
    url = f"iscsi://{USER}%{secret}@{box.portal()}/{box.iqn}/{lun}"
    try:
        p = subprocess.run(["iscsi-inq", url], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                           check=False)
    except subprocess.TimeoutExpired:
        return False
    return p.returncode == 0 and "DIRECT_ACCESS" in p.stdout


def both_attached(box):
    # QEMU's network looks for nobody: it learns the address of a new card from what that sends.
    box.sh(f"ping -c 1 {GATEWAY}", check=False)
    wait_for(lambda: attached(box, 1, SECRET) and attached(box, 2, SECRET), SECS, "both LUNs answer")


def links(box):
    return {link["ifname"]: link for link in json.loads(box.sh("ip -j address show"))}


def addresses(box, name):
    return [f"{a['local']}/{a['prefixlen']}" for a in links(box).get(name, {}).get("addr_info", []) if a["family"] == "inet"]


def ssh(box, key):
    """An SSH login by that key: what a command says, or None."""
    try:
        p = subprocess.run(["ssh", "-F", "none", "-i", key, "-p", str(box.ports["ssh"][0]), "-o", "BatchMode=yes",
                            "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                            "root@127.0.0.1", "cat /etc/machine-id"], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return None
    return p.stdout.strip() if p.returncode == 0 else None


@case("three menus make LUNs, a target and its CHAP; without the password nobody attaches")
def _(box, _key):
    box.start()
    box.console.expect("Press Enter for the menu", BOOT_SECS)
    box.wait_portal()
    box.port = box.sh("basename $(dirname $(ls -d /sys/class/net/*/device))").strip()
    drive(box, ("", MAIN), ("1", r"Name:[\s\S]*?Portal:[\s\S]*?Targets:   none[\s\S]*?SSH:       off[\s\S]*?" + MAIN),
          ("5", r"disk2  free\n[^\n]*disk1  free\n[\s\S]*?Choice: "), ("2", CHOICE), ("1", NAME),
          ("disks", r"2 LUNs in (\S+)[.] " + SURE), ("yes", r"done[\s\S]*?Choice: "), ("0", MAIN))
    box.iqn = re.search(r"2 LUNs in (\S+)[.]", box.console.said()).group(1)
    need(box.iqn.endswith(":disks") and box.iqn in box.discover(), f"{box.iqn}: {box.discover()}")
    drive(box, ("6", r"2 LUNs[\s\S]*?Choice: "), ("2", CHOICE), ("1", "User: "), (USER, "Password[^\n]*: "), (SECRET, "done"),
          ("0", MAIN))
    need(SECRET not in box.console.said(), "the password is on the screen")
    both_attached(box)
    need(not attached(box, 1, "not-the-password"), "a wrong password was taken")
    before = box.console.at
    drive(box, ("1", MAIN))
    need(re.search(rf"Target 1:  {re.escape(box.iqn)}  2 LUNs", box.console.said()[before:]))


@case("wrong input gets one sentence, and changes nothing")
def _(box, _key):
    before = box.sh("lgtadm -m target -o show; lgtadm -m account -o show; cat /var/lib/appliance/settings.json")
    for typed in ("12", "-1", "99999999999\x1b[A", "x; reboot"):
        drive(box, (typed, r"Type a number from 0 to 11[.]\nChoice: "))
    refused(box, "no data disk is free", ("5", CHOICE), "1")
    refused(box, "at least 12 characters", ("6", CHOICE), ("2", CHOICE), ("1", "User: "), (USER, "Password[^\n]*: "), "short")
    refused(box, "not an iSCSI name", ("6", CHOICE), ("1", NAME), "with a blank")
    refused(box, "10.0.2.300/24", ("2", CHOICE), ("2", "Port[^\n]*: "), (box.port, "Address[^\n]*: "),
            ("10.0.2.300/24", "Gateway[^\n]*: "), "")
    refused(box, "there is no port eth9", ("2", CHOICE), ("1", "Port[^\n]*: "), "eth9")
    refused(box, "4095 is not a number", ("2", CHOICE), ("3", "On which[^\n]*: "), (box.port, "number[^\n]*: "),
            ("4095", NAME), ("", "DHCP[^\n]*: "), "y")
    refused(box, "10 is not a number", ("2", CHOICE), ("5", "Port[^\n]*: "), (box.port, "MTU[^\n]*: "), "10")
    refused(box, "two different", ("3", CHOICE), ("1", "New password[^\n]*: "), (PASSWORD, "Again: "), PASSWORD + "s")
    refused(box, "not a public SSH key", ("3", CHOICE), ("2", "Public key[^\n]*: "), "ssh-ed25519 nonsense")
    refused(box, "not/a/server", ("4", CHOICE), ("1", "Time servers[^\n]*: "), "not/a/server")
    refused(box, "date and time", ("4", CHOICE), ("2", "Date[^\n]*: "), "tomorrow")
    now = box.sh("lgtadm -m target -o show; lgtadm -m account -o show; cat /var/lib/appliance/settings.json")
    need(now == before, f"{before}\n{now}")
    both_attached(box)


@case("a static address that nobody confirms goes back to DHCP by itself")
def _(box, _key):
    drive(box, ("2", CHOICE), ("2", "Port"), (box.port, "Address"), ("192.0.2.5/24", "Gateway"), ("", SURE), ("yes", KEEP))
    wait_for(lambda: addresses(box, box.port) == ["192.0.2.5/24"], SECS, "the address is there, alone")
    box.console.expect(r"old settings are back[\s\S]*?Choice: ", SECS)
    wait_for(lambda: addresses(box, box.port) == [ADDRESS], SECS, "DHCP is back")
    drive(box, ("0", MAIN))
    both_attached(box)


@case("a bond with an address, an MTU and a VLAN stay once they are confirmed, and go when their entries do")
def _(box, _key):
    kept = r"kept[\s\S]*?Choice: "
    drive(box, ("2", CHOICE), ("4", "Ports[^\n]*: "), (box.port, r"active-backup[\s\S]*?Choice: "), ("2", NAME),
          ("", "DHCP[^\n]*: "), ("n", "Address[^\n]*: "), (ADDRESS, "Gateway[^\n]*: "), (GATEWAY, SURE), ("yes", KEEP), ("yes", kept))
    wait_for(lambda: addresses(box, "bond0") == [ADDRESS] and not addresses(box, box.port), SECS, "the bond has the address")
    need(links(box)[box.port].get("master") == "bond0", "the port is not in the bond")
    both_attached(box)
    drive(box, ("5", "Port[^\n]*: "), ("bond0", "MTU[^\n]*: "), ("1400", SURE), ("yes", KEEP), ("yes", kept))
    wait_for(lambda: links(box)["bond0"]["mtu"] == 1400, SECS, "the bond has its MTU")
    drive(box, ("3", "On which[^\n]*: "), ("bond0", "number[^\n]*: "), ("42", NAME), ("", "DHCP[^\n]*: "),
          ("n", "Address[^\n]*: "), ("192.0.2.5/24", "Gateway[^\n]*: "), ("", SURE), ("yes", KEEP), ("yes", kept))
    wait_for(lambda: addresses(box, "vlan42") == ["192.0.2.5/24"], SECS, "the VLAN has its address")
    need("vlan protocol 802.1Q id 42" in box.sh("ip -d link show vlan42"), "it is another VLAN")
    both_attached(box)
    for number, entry in (("2", "vlan42"), ("1", "bond0")):
        drive(box, ("7", rf"{number}  {entry}: [\s\S]*?Choice: "), (number, SURE), ("yes", KEEP), ("yes", kept))
        need(entry not in links(box), f"{entry} is still there")
    wait_for(lambda: addresses(box, box.port) == [ADDRESS], SECS, "DHCP is back")
    drive(box, ("0", MAIN))
    both_attached(box)


@case("an SSH key lets its owner in and nobody else; the clock is set")
def _(box, key):
    with open(key + ".pub", encoding="ascii") as f:
        public = f.read().strip()
    need(ssh(box, key) is None, "SSH is served to everybody")
    drive(box, ("3", CHOICE), ("2", "Public key[^\n]*: "), (public, r"added[\s\S]*?SSH keys: 1[\s\S]*?Choice: "), ("0", MAIN))
    wait_for(lambda: ssh(box, key) == box.sh("cat /etc/machine-id").strip(), SECS, "SSH takes the key")
    need(ssh(box, key + ".other") is None, "SSH takes another key")
    drive(box, ("4", CHOICE), ("1", "Time servers[^\n]*: "), ("192.0.2.7", r"Time servers: 192[.]0[.]2[.]7\n[\s\S]*?Choice: "),
          ("2", "Date[^\n]*: "), ("2031-02-03 04:05:06", r"2031-02-03 04:\d\d:\d\d UTC[\s\S]*?Choice: "), ("0", MAIN))
    need(box.sh("date -u +%F").strip() == "2031-02-03", "the clock is another")
    need("192.0.2.7" in box.sh("timedatectl show-timesync 2>/dev/null || cat /etc/systemd/timesyncd.conf.d/*"))


@case("with a password the menu is closed, and opens to it")
def _(box, _key):
    drive(box, ("3", CHOICE), ("1", "New password[^\n]*: "), (PASSWORD, "Again: "), (PASSWORD, r"set[\s\S]*?Choice: "), ("0", MAIN),
          ("0", "Press Enter"), ("", "Password: "), ("wrong", r"not the password[\s\S]*?Press Enter"), ("", "Password: "),
          (PASSWORD, MAIN))
    need(PASSWORD not in box.console.said(), "the password is on the screen")


@case("^C, ^D and noise lead back; health, support bundle and export run; it powers off")
def _(box, _key):
    for noise in ("\x03", "\x04"):
        box.console.send(noise)
        box.console.expect("Press Enter")
        drive(box, ("", "Password: "), (PASSWORD, MAIN))
    drive(box, ("8", MAIN), ("9", CHOICE), ("1", MAIN))
    made = box.sh("ls -t /var/lib/appliance/support/*").split()[0]
    need(made in box.console.said() and box.sh(f"stat -c %a {made}").strip() == "600", f"{made} is not told, or for everybody")
    drive(box, ("9", CHOICE), ("2", "File: "), ("/var/tmp/all.json", MAIN))
    need(box.sh("stat -c %a /var/tmp/all.json").strip() == "600", "the export can be read by others")
    need(SECRET in box.sh("cat /var/tmp/all.json"), "the export lacks the password of CHAP")
    drive(box, ("11", CHOICE), ("2", SURE))
    box.console.send("yes\r")
    box.wait_off(SECS)


with tempfile.TemporaryDirectory(prefix="lgt-console.", dir=os.environ.get("LGT_IMAGE_TMP")) as top:
    owner = os.path.join(top, "key")
    for name in (owner, owner + ".other"):
        tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
    with Appliance(disks=[("virtio", "64M"), ("nvme", "96M")], forwards={"ssh": 22}, cpus=1) as machine:
        failed = run(machine, owner)
sys.exit(failed)
