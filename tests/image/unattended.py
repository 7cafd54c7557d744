#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=5400
"""appliance.json, or a NoCloud seed, and nobody to ask: CHAP targets with a LUN per disk, and the machine made the most of."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from _appliance import BOOT_SECS, TOP, Appliance, tool, wait_for
from tap import case, need, run

NAME = "iqn.2026-11.org.example:unattended"
USER, SECRET = "host1", "only-these-two-know"
RIGHT, WRONG, NOBODY = f"{USER}%{SECRET}@", f"{USER}%not-the-password@", ""
MAC = "52:54:00:12:00:01"
# Not the one that DHCP would give.
ADDRESS = "10.0.2.77"
DISKS = [("virtio", "64M"), ("nvme", "96M")]
# In the order of the kernel's names: nvme0n1, vdb.
SIZES = {1: 96 << 20, 2: 64 << 20}
FIRST, APPLY = "lichgate-first-boot.service", "lichgate-apply.service"
APPLY_SECS = 600
SYSCTL = os.path.join(TOP, "appliance-image/rootfs/usr/lib/sysctl.d/60-lichgate.conf")
SPLIT = "/etc/lichgate/tune.env"
BANNER_SECS = 30


def wanted(**more):
    return json.dumps({"targets": [{"name": NAME, "alias": "of the file", "data_disks": "all",
                                    "chap": {"user": USER, "password": SECRET}}], **more})


# From outside

def asked(box, program, lun, account, *options):
    """(exit code, what it printed) of one of libiscsi's programs; without an answer the exit code is None."""
    url = f"iscsi://{account}{box.portal()}/{NAME}/{lun}"
    try:
        p = subprocess.run([program, *options, url], capture_output=True, text=True, errors="replace",
                           stdin=subprocess.DEVNULL, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return None, ""
    return p.returncode, p.stdout + p.stderr


def capacity(box, lun, account=RIGHT):
    code, said = asked(box, "iscsi-readcapacity16", lun, account, "-s")
    return int(said) if code == 0 else None


def identity(box, lun):
    """The page of a LUN by which initiators know it."""
    code, said = asked(box, "iscsi-inq", lun, RIGHT, "-e", "1", "-c", "131")
    need(code == 0 and "DEVICE_IDENTIFICATION" in said, f"LUN {lun} does not say who it is: {said}")
    return said


def serves(box):
    """Whoever knows the password finds a LUN as large as each disk, and nobody else gets in."""
    def answers():
        # Whoever asks all the time keeps the machine from getting there.
        time.sleep(2)
        return all(capacity(box, lun) is not None for lun in SIZES)
    wait_for(answers, BOOT_SECS, "the disks are LUNs")
    # The portals were first, and what is left of the targets is not seen from outside.
    wait_for(lambda: box.sh(f"systemctl is-active {APPLY} || :").strip() in ("active", "failed"), APPLY_SECS, "it has been applied")
    for account in (WRONG, NOBODY):
        for lun in SIZES:
            code, said = asked(box, "iscsi-inq", lun, account)
            need(code and "uthentication" in said, f"as {account or 'nobody'}: exit {code}: {said}")
    for lun, size in SIZES.items():
        need(capacity(box, lun) == size, f"LUN {lun} has {capacity(box, lun)} bytes, its disk {size}")
    need(capacity(box, max(SIZES) + 1) is None, "there are more LUNs than disks")


def banner(box):
    """What port 22 says by itself. QEMU takes the connection before the guest does; that means nothing."""
    try:
        with socket.create_connection(("127.0.0.1", box.ports["ssh"][0])) as s:
            s.settimeout(BANNER_SECS)
            return s.recv(100)
    except OSError:
        return b""


def ssh(box, keys, command):
    p = subprocess.run(["ssh", "-i", f"{keys}/key", "-p", str(box.ports["ssh"][0]), "-o", "BatchMode=yes",
                        "-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={keys}/known", "root@127.0.0.1",
                        command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600, check=False)
    return p.stdout if p.returncode == 0 else None


# From inside

def exported(box):
    """Everything that makes it this appliance, passwords too, in one file; without the time at which it was written."""
    found = json.loads(box.sh("lichgate-appliance config-export -", 300))
    del found["at"]
    return found


def applied(box):
    """What this boot has applied."""
    return re.findall(r"^(.*) applied$", box.sh(f"journalctl -b -o cat --no-pager -u {FIRST} -u {APPLY}"), re.M)


def arguments(box):
    return box.sh("tr '\\0' ' ' </proc/$(systemctl show -P MainPID lichgated.service)/cmdline")


def count(box, name):
    return int(re.search(rf"^{name}:\s+(\d+)", box.sh("cat /proc/meminfo"), re.M).group(1))


def check_tuned(box):
    """Two cores do all; a sixteenth of the memory at most is the gateway's, in huge pages that it has taken."""
    megabytes = int(re.fullmatch(r"/usr/sbin/lichgated -f --buf-mb (\d+) *", arguments(box)).group(1))
    pages = count(box, "HugePages_Total")
    need(pages * 2 == megabytes * box.cpus, f"{pages} huge pages for {box.cpus} times {megabytes} MiB")
    need(pages * 2 <= count(box, "MemTotal") // 1024 // 16, f"{pages} huge pages")
    need(count(box, "HugePages_Free") - count(box, "HugePages_Rsvd") == 0, "the gateway has not taken its huge pages")
    with open(SYSCTL, encoding="ascii") as f:
        settings = dict(re.findall(r"^([\w.]+) = (.*)$", f.read(), re.M))
    have = box.sh(f"sysctl -n {' '.join(settings)}").splitlines()
    for (name, value), found in zip(settings.items(), have, strict=True):
        need(found.split() == value.split(), f"{name} is {found}, not {value}")
    modules = re.findall(r"^(ib_\w+|rdma_\w+|iw_\w+) ", box.sh("lsmod"), re.M)
    need(not modules, f"there is no RDMA device, but {modules}")
    need(box.sh("systemctl show -P TimeoutStartUSec lichgate-tune.service").strip() != "infinity", "the gateway may wait for ever")


def check_soft_roce(box):
    """Every port carries RDMA, and the firewall lets it."""
    need(re.search(r"^link rxe_en\S+ state ACTIVE", box.sh("rdma link"), re.M), box.sh("rdma link"))
    need("4791" in box.sh("nft list set inet lichgate open_udp"), "the firewall is in its way")


def check_split(box):
    """The first core is the network's, the second the gateway's."""
    need("--cores 1 " in arguments(box), arguments(box))
    main = box.sh("systemctl show -P MainPID lichgated.service").strip()
    bound = box.sh(f"grep -h ^Cpus_allowed_list: /proc/{main}/task/*/status").split()[1::2]
    need("1" in bound and "0" not in bound, f"threads of the gateway are bound to {bound}")
    card = re.search(rf"^\d+: ([^:@]+).*{MAC}", box.sh("ip -oneline link"), re.M).group(1)
    irqs = box.sh(f"ls $(readlink -f /sys/class/net/{card}/device/..)/msi_irqs").split()
    need(irqs, "the card has no interrupts")

    def places():
        return set(box.sh("cd /proc/irq && cat " + " ".join(f"{n}/smp_affinity_list" for n in irqs)).split())
    # udev has that done when the card gets its name.
    wait_for(lambda: places() == {"0"}, APPLY_SECS, f"the card's interrupts {irqs} are on core 0")
    need(int(box.sh("cat /proc/irq/default_smp_affinity"), 16) == 1, "interrupts to come go elsewhere")


@case("one file makes the whole appliance; a power cut later nothing has changed and nothing is done again")
def _():
    with tempfile.TemporaryDirectory(prefix="lgt-key.") as keys, \
            Appliance(disks=DISKS, forwards={"ssh": 22}, address=ADDRESS, memory=2048, cpus=2) as box:
        tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{keys}/key")
        with open(f"{keys}/key.pub", encoding="ascii") as f:
            public = f.read().strip()
        network = {"interfaces": [{"mac": MAC, "addresses": [ADDRESS + "/24"], "gateway": "10.0.2.2"}]}
        box.esp_write("appliance.json", wanted(hostname="san1", network=network, ssh_keys=[public], portals=[ADDRESS],
                                               ntp=["192.0.2.123"]))
        box.start()
        serves(box)
        wait_for(lambda: ssh(box, keys, "uname -n") == "san1\n", 600, "SSH takes the key")
        need(banner(box).startswith(b"SSH-2.0-"), "the test does not hear SSH")
        addresses = box.sh("ip address show scope global")
        need(re.findall(r"inet ([\d./]+)", addresses) == [ADDRESS + "/24"], addresses)
        need("default via 10.0.2.2" in box.sh("ip route"), "the gateway")
        need(box.sh("ss -Hltn 'sport = :3260'").split()[3] == ADDRESS + ":3260", "the portal is elsewhere")
        need("192.0.2.123" in box.sh("cat /etc/systemd/timesyncd.conf.d/*"), "the time server")
        need(SECRET not in box.sh("journalctl -b --no-pager", 300), "the password is in the journal")
        need(applied(box) == ["appliance.json: system", "appliance.json: targets"], str(applied(box)))
        check_tuned(box)
        print("set up by the file", flush=True)

        # By hand, so that it shows if the file were applied again; and a wish for the next boot.
        box.sh("lgtadm -m target -o update -t 1 -n alias -v 'by hand'")
        box.sh(f"mkdir -p {os.path.dirname(SPLIT)} && echo 'TUNE_ARGS=--network-cores 1' >{SPLIT} && sync {SPLIT}")
        before = exported(box), [identity(box, lun) for lun in SIZES]
        need("by hand" in json.dumps(before[0]), "the alias was not set")
        need(before[1][0] != before[1][1], "the LUNs have one identity")
        box.cut()

        box.start()
        serves(box)
        # The host's key has to be the same.
        wait_for(lambda: ssh(box, keys, "uname -n") == "san1\n", 600, "SSH takes the key")
        need(not applied(box), f"applied again: {applied(box)}")
        need((exported(box), [identity(box, lun) for lun in SIZES]) == before, "the configuration has changed")
        check_split(box)
        print("the same after a power cut", flush=True)

        # What cannot be, on a machine that has just booted: what was found out before is in /run.
        box.sh(f"echo 'TUNE_ARGS=--network-cores 9' >{SPLIT} && rm /run/lichgate-tune.*")
        box.sh("systemctl stop lichgated.service lichgate-tune.service && systemctl start lichgated.service", 300)
        need("failed" in box.sh("systemctl is-failed lichgate-tune.service"), "nine cores of two are no mistake")
        serves(box)
        need(arguments(box).split() == ["/usr/sbin/lichgated", "-f"], arguments(box))


def seed_disk(path, user_data):
    """A disk as clouds attach it."""
    with open(path, "wb") as f:
        f.truncate(4 << 20)
    tool("mkfs.vfat", "-n", "CIDATA", path)
    tool("mcopy", "-i", path, "-", "::user-data", input=user_data.encode())
    tool("mcopy", "-i", path, "-", "::meta-data", input=b"instance-id: i-1\nlocal-hostname: from-a-seed\n")


@case("a seed counts at the first boot alone; then a file with a mistake changes nothing and is told; no key, no port 22")
def _():
    with tempfile.TemporaryDirectory(prefix="lgt-seed.") as folder:
        seed = os.path.join(folder, "seed.raw")
        seed_disk(seed, f"#cloud-config\nhostname: san2\nlichgate: {wanted(options={'soft_roce': True})}\n")
        with Appliance(disks=[*DISKS, ("virtio", seed)], forwards={"ssh": 22}, cpus=1) as box:
            box.start()
            serves(box)
            need(box.sh("uname -n").strip() == "san2", "the host name")
            need("dynamic" in box.sh("ip address show scope global"), "no DHCP")
            need(not banner(box), "port 22 answers and nobody has a key")
            need("22" not in box.sh("nft list set inet lichgate open_tcp"), "the firewall lets SSH in")
            need(applied(box) == ["the seed: system", "the seed: targets"], str(applied(box)))
            check_soft_roce(box)
            before = exported(box)
            print("set up by the seed", flush=True)
            box.off()

            seed_disk(seed, "#cloud-config\nhostname: by-an-initiator\n")
            box.esp_write("appliance.json", wanted(hostnam="san3"))
            box.start()
            said = box.console.expect(r'there is no key "hostnam"[\s\S]*?Press Enter', BOOT_SECS).group(0)
            need(SECRET not in said, "the console tells the password")
            serves(box)
            need(box.sh("uname -n").strip() == "san2", "the name has changed")
            need(exported(box) == before, "the configuration has changed")
            check_soft_roce(box)
            need(not banner(box), "port 22 answers and nobody has a key")


if __name__ == "__main__":
    sys.exit(run())
