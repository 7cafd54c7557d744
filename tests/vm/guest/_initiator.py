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


def start(*more):
    """Modules, more of them as lists of words, and the daemon; no systemd runs here."""
    for module in (["iscsi_tcp"], ["sd_mod"], ["crc32c"], ["ext4"], *more):
        sh("modprobe", *module)
    os.makedirs("/run/lock", exist_ok=True)
    with open("/tmp/iscsid.conf", "w", encoding="ascii") as f:
        f.write("node.startup = manual\nnode.session.timeo.replacement_timeout = 120\n"
                "node.conn[0].timeo.noop_out_interval = 5\nnode.conn[0].timeo.noop_out_timeout = 30\n"
                "node.session.initial_login_retry_max = 4\n")
    subprocess.Popen(["iscsid", "-f", "-c", "/tmp/iscsid.conf"], env=ENV, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: subprocess.run(["iscsiadm", "-m", "session"], env=ENV, capture_output=True,
                                    check=False).returncode in (0, 21), 10 * SCALE, "iscsid is ready")


def udev():
    """The daemon: links below /dev and a database, for tools that want them."""
    subprocess.run(["/lib/systemd/systemd-udevd", "--daemon"], env=ENV, check=True)
    sh("udevadm", "trigger")


def discover(portal, iface=None, *more):
    """iface: open-iscsi's name of the way to go: "default" is TCP, "iser" is iSER."""
    return sh("iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", portal, *(["-I", iface] if iface else []), *more)


def node(iqn, portal, *args, iface=None, **kw):
    return sh("iscsiadm", "-m", "node", "-T", iqn, "-p", portal, *(["-I", iface] if iface else []), *args, **kw)


def settings(iqn, portal, pairs, iface=None):
    for name, value in pairs.items():
        node(iqn, portal, "-o", "update", "-n", name, "-v", value, iface=iface)


def login(iqn, portal, iface=None):
    """Logs in; returns the disk's device."""
    node(iqn, portal, "--login", iface=iface)
    return wait_for(lambda: disk_of(iqn, iface), 20 * SCALE, "the disk is there")


def logout(iqn, portal, iface=None):
    node(iqn, portal, "--logout", iface=iface)


def disk_of(iqn, iface=None):
    for name in glob.glob("/sys/class/iscsi_session/session*/targetname"):
        session = os.path.dirname(name)
        if text_of(name) != iqn or iface and text_of(session + "/ifacename") != iface:
            continue
        found = glob.glob(session + "/device/target*/*/block/sd*")
        if found:
            return "/dev/" + os.path.basename(found[0])
    return None


def text_of(path):
    """What a file of sysfs says; nothing if it has just gone."""
    try:
        with open(path, encoding="ascii") as f:
            return f.read().strip()
    except OSError:
        return ""


def size_of(disk):
    return int(text_of(f"/sys/block/{os.path.basename(disk)}/size")) * 512


def negotiated(iqn, attr):
    for name in glob.glob("/sys/class/iscsi_session/session*/targetname"):
        if text_of(name) == iqn:
            return text_of(glob.glob(os.path.dirname(name) + "/device/connection*/iscsi_connection/*/" + attr)[0])
    return None


def kernel_said(pattern):
    return re.findall(pattern, sh("dmesg"))
