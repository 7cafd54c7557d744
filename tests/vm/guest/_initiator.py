# SPDX-License-Identifier: BSD-3-Clause
"""open-iscsi inside the guest, one command a call."""
import glob
import os
import re
import subprocess

from lab import SCALE, wait_for

# The stock programs of the guest must not see the libraries that came with ours.
ENV = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
PORTAL = "127.0.0.1"


def sh(*argv, check=True, timeout=120):
    p = subprocess.run(list(map(str, argv)), env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       errors="replace", timeout=timeout * SCALE, check=False)
    if check and p.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout + p.stderr


def start():
    """Modules and the daemon; no systemd runs here."""
    for module in ("iscsi_tcp", "sd_mod", "crc32c", "ext4"):
        sh("modprobe", module)
    os.makedirs("/run/lock", exist_ok=True)
    with open("/tmp/iscsid.conf", "w", encoding="ascii") as f:
        f.write("node.startup = manual\nnode.session.timeo.replacement_timeout = 120\n"
                "node.conn[0].timeo.noop_out_interval = 5\nnode.conn[0].timeo.noop_out_timeout = 30\n"
                "node.session.initial_login_retry_max = 4\n")
    subprocess.Popen(["iscsid", "-f", "-c", "/tmp/iscsid.conf"], env=ENV, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: subprocess.run(["iscsiadm", "-m", "session"], env=ENV, capture_output=True,
                                    check=False).returncode in (0, 21), 10 * SCALE, "iscsid is ready")


def discover(portal):
    return sh("iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", portal)


def node(iqn, portal, *args, **kw):
    return sh("iscsiadm", "-m", "node", "-T", iqn, "-p", portal, *args, **kw)


def settings(iqn, portal, pairs):
    for name, value in pairs.items():
        node(iqn, portal, "-o", "update", "-n", name, "-v", value)


def login(iqn, portal):
    """Logs in; returns the disk's device."""
    node(iqn, portal, "--login")
    return wait_for(lambda: disk_of(iqn), 20 * SCALE, "the disk is there")


def logout(iqn, portal):
    node(iqn, portal, "--logout")


def disk_of(iqn):
    for name in glob.glob("/sys/class/iscsi_session/session*/targetname"):
        with open(name, encoding="ascii") as f:
            if f.read().strip() != iqn:
                continue
        found = glob.glob(os.path.dirname(name) + "/device/target*/*/block/sd*")
        if found:
            return "/dev/" + os.path.basename(found[0])
    return None


def size_of(disk):
    with open(f"/sys/block/{os.path.basename(disk)}/size", encoding="ascii") as f:
        return int(f.read()) * 512


def negotiated(iqn, attr):
    for name in glob.glob("/sys/class/iscsi_session/session*/targetname"):
        with open(name, encoding="ascii") as f:
            if f.read().strip() != iqn:
                continue
        conn = glob.glob(os.path.dirname(name) + "/device/connection*/iscsi_connection/*/" + attr)
        with open(conn[0], encoding="ascii") as f:
            return f.read().strip()
    return None


def kernel_said(pattern):
    return re.findall(pattern, sh("dmesg"))
