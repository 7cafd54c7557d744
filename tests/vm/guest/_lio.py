# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own target (LIO) with RAM disks, over TCP and iSER: a reference beside the gateway, set up by configfs."""
import glob
import os

import _initiator as ini

ROOT = "/sys/kernel/config/target"


def put(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(str(text))


def make(*names):
    path = os.path.join(ROOT, *map(str, names))
    os.makedirs(path, exist_ok=True)
    return path


def start():
    for module in ("target_core_mod", "iscsi_target_mod", "ib_isert"):
        ini.sh("modprobe", module)
    if not os.path.ismount("/sys/kernel/config"):
        ini.sh("mount", "-t", "configfs", "config", "/sys/kernel/config")
    make("iscsi")


def disk(n, size, null=False):
    """RAM disk n, or one that throws data away and answers at once."""
    path = make("core", "rd_mcp_0", f"rd{n}")
    put(path + "/control", f"rd_pages={size // 4096},rd_nullio={int(null)}")
    put(path + "/enable", 1)
    return path


def target(iqn, disks, portals, chap=None):
    """
    LUN i of the target is disks[i], or none where that is None. portals: ADDR:PORT → whether by iSER. Whoever comes is let
    in; chap = (user, password, user of the target, its password) has both sides prove themselves.
    """
    group = make("iscsi", iqn, "tpgt_1")
    for name, value in (("authentication", int(bool(chap))), ("generate_node_acls", 1), ("demo_mode_write_protect", 0),
                        ("cache_dynamic_acls", 1)):
        put(f"{group}/attrib/{name}", value)
    if chap:
        for name, value in zip(("userid", "password", "userid_mutual", "password_mutual"), chap):
            put(f"{group}/auth/{name}", value)
    for i, path in enumerate(disks):
        if path:
            os.symlink(path, os.path.join(make("iscsi", iqn, "tpgt_1", "lun", f"lun_{i}"), "disk"))
    for portal, iser in portals.items():
        where = make("iscsi", iqn, "tpgt_1", "np", portal)
        if iser:
            put(where + "/iser", 1)
    put(group + "/enable", 1)


def stop():
    """Takes everything down again, from the top."""
    for group in glob.glob(ROOT + "/iscsi/iqn.*/tpgt_1"):
        put(group + "/enable", 0)
        for path in glob.glob(group + "/lun/lun_*/disk"):
            os.unlink(path)
        for kind in ("lun/lun_*", "np/*"):
            for path in glob.glob(f"{group}/{kind}"):
                os.rmdir(path)
        os.rmdir(group)
        os.rmdir(os.path.dirname(group))
    for path in glob.glob(ROOT + "/core/rd_mcp_0/rd*"):
        os.rmdir(path)
