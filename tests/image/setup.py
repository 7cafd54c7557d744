#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=600
"""The image's own systemd in a container: appliance.json makes the network, SSH and a target, before there is a link."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from lab import wait_for  # noqa: E402
from tap import case, need, run  # noqa: E402

IMAGE_DIR = os.environ.get("LGT_IMAGE_DIR", "build/image")
NAME = "iqn.2026-11.org.example:u"
URL = f"iscsi://host1%{{}}@198.51.100.15/{NAME}/0"
SECRET = "only-these-two-know"
SECS = 120
CONFIG = {"hostname": "san1", "portals": ["198.51.100.15"],
          "network": {"interfaces": [{"name": "host0", "addresses": ["198.51.100.15/24"]}]},
          "targets": [{"name": NAME, "chap": {"user": "host1", "password": SECRET}}]}


def out(*argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=SECS, **more)


class Container:
    """The root file system out of the update file, booted; its network is a veth whose other end is named ve-lgtsetup."""

    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        update = max(glob.glob(os.path.join(IMAGE_DIR, "lichgate-*.update")), key=os.path.getmtime)
        need(out("tar", "-xf", update, "-C", folder, "root.img").returncode == 0, update)
        need(out("unsquashfs", "-q", "-n", "-d", self.root, os.path.join(folder, "root.img")).returncode == 0)
        subprocess.run(["cp", "-a", self.path("usr/share/factory/var/."), self.path("var/")], check=True)
        self.proc = None

    def path(self, name):
        return os.path.join(self.root, name)

    def start(self):
        self.proc = subprocess.Popen(["systemd-nspawn", "-q", "-D", self.root, "--boot", "--register=no", "--keep-unit",
                                      "--network-veth", "--machine=lgtsetup", "--console=pipe"],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sh(self, command):
        init = out("pgrep", "-P", str(self.proc.pid)).stdout.split()
        return out("nsenter", "-t", init[0], "-m", "-n", "-p", "-u", "-i", "--root", "--wd", "sh", "-c",
                   command).stdout if init else ""

    def stop(self):
        if self.proc:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()


@case("the portal has its address before the cable is in, SSH its key, the target its password")
def _(box, key):
    with open(key + ".pub", encoding="ascii") as f:
        config = {**CONFIG, "ssh_keys": [f.read().strip()]}
    with open(box.path("boot/appliance.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)
    box.start()
    wait_for(lambda: "198.51.100.15:3260" in box.sh("lgtadm -m portal -o show"), SECS, "the portal listens")
    need("NO-CARRIER" in box.sh("ip link show host0"), "there was a link too early to tell")
    need(box.sh("cat /proc/sys/kernel/hostname").strip() == "san1")
    subprocess.run(["ip", "link", "set", "ve-lgtsetup", "up"], check=True)
    subprocess.run(["ip", "address", "add", "198.51.100.1/24", "dev", "ve-lgtsetup"], check=True)
    wait_for(lambda: out("iscsi-inq", URL.format(SECRET)).returncode == 0, SECS, "the target answers")
    need(out("iscsi-inq", URL.format("not-the-password")).returncode, "a wrong password was taken")
    ssh = ["ssh", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
           "root@198.51.100.15", "lichgate-appliance config-export /var/tmp/e && lichgate-appliance config-import /var/tmp/e"]
    said = out(*ssh)
    need(said.returncode == 0 and "imported" in said.stdout, said.stdout + said.stderr)
    need(SECRET not in box.sh("journalctl -b --no-pager"), "the password is in the journal")


if os.geteuid() or not shutil.which("systemd-nspawn") or not glob.glob(os.path.join(IMAGE_DIR, "lichgate-*.update")):
    print("needs root, systemd-container and the image")
    sys.exit(77)
with tempfile.TemporaryDirectory(prefix="lgt-setup.") as work:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(work, "key")], check=True)
    container = Container(work)
    try:
        code = run(container, os.path.join(work, "key"))
    finally:
        container.stop()
sys.exit(code)
