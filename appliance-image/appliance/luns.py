# SPDX-License-Identifier: BSD-3-Clause
"""
Data disks, and how targets, LUNs, accounts and portals come to be as appliance.json wants them. All is planned first, and
what cannot be is refused before the first change. What the file does not mention stays: nothing is deleted but portals,
rules and accounts of a target that the file lists anew.
"""
import contextlib
import os
import re
import time

from . import Refused, paths, store, tools
from .disks import identity, serial

SYSTEM_DISK = paths.at("/run/lichgate-system-disk")
SWAPS = paths.at("/proc/swaps")
# Smaller ones are seeds, keys and firmware.
MIN_BYTES = 64 << 20
# What a renewal of accounts has to put back: bindings (user, target or None for discovery, outgoing) and closed targets.
RENEWAL = paths.at("/var/lib/appliance/renewal.json")
ORDER = ("wwn-", "nvme-eui.", "scsi-3", "ata-", "nvme-", "scsi-", "virtio-")
PORTAL_SECS = 60


def sysfs(*names):
    return os.path.join(paths.SYS, *names)


def attribute(name, *names):
    return tools.read(sysfs("block", name, *names)).strip()


def natural(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def whole_disk(number):
    """The disk of a device number such as 253:1, or None."""
    folder = os.path.realpath(sysfs("dev/block", number))
    if not os.path.isdir(folder):
        return None
    return os.path.basename(os.path.dirname(folder) if os.path.exists(os.path.join(folder, "partition")) else folder)


def in_use():
    """Disks that the system stands on, or that something on the system has mounted or holds."""
    found = {tools.read(SYSTEM_DISK).strip()}
    found |= {whole_disk(line.split()[2]) for line in tools.read(paths.MOUNTS).splitlines() if len(line.split()) > 2}
    for line in tools.read(SWAPS).splitlines()[1:]:
        name = os.path.basename(os.path.realpath(paths.at(line.split()[0])))
        number = tools.read(sysfs("class/block", name, "dev")).strip()
        found.add(whole_disk(number) if number else None)
    for name in os.listdir(sysfs("block")):
        for part in ("", *(d for d in os.listdir(sysfs("block", name)) if d.startswith(name))):
            holders = sysfs("block", name, part, "holders")
            if os.path.isdir(holders) and os.listdir(holders):
                found.add(name)
    return found


def links(kinds=("by-id", "by-path")):
    """Kernel name: the name of the disk that stays, whatever the order in which disks are found."""
    best = {}
    for kind in kinds:
        folder = os.path.join(paths.DEV, "disk", kind)
        for link in sorted(os.listdir(folder) if os.path.isdir(folder) else []):
            name = os.path.basename(os.path.realpath(os.path.join(folder, link)))
            rank = next((i for i, head in enumerate(ORDER) if link.startswith(head)), len(ORDER))
            rank = (kind != "by-id", rank)
            if name not in best or rank < best[name][0]:
                best[name] = (rank, f"/dev/disk/{kind}/{link}")
    return {name: path for name, (_, path) in best.items()}


def resolved(path):
    """The kernel name behind a path below /dev."""
    return os.path.basename(os.path.realpath(paths.at(path)))


def disks(targets=()):
    """
    The data disks: whole, not the system's, not removable, writable, not in use. With targets, as lgtadm shows them, "lun"
    is what a disk is already, (IQN, number).
    """
    used, names, places = in_use(), links(), links(["by-path"])
    taken = {resolved(lun["path"]): (t["iqn"], lun["lun"]) for t in targets for lun in t["luns"]
             if (lun["path"] or "").startswith("/dev/")}
    found = []
    for name in sorted(os.listdir(sysfs("block")), key=natural):
        size = attribute(name, "size")
        # Loop devices, RAM disks and what lies upon other disks have no device.
        if not os.path.exists(sysfs("block", name, "device")) or attribute(name, "removable") != "0" or name in used:
            continue
        if attribute(name, "hidden") == "1" or attribute(name, "ro") != "0" or int(size or 0) * 512 < MIN_BYTES:
            continue
        found.append({"name": name, "path": names.get(name, f"/dev/{name}"), "serial": serial(sysfs("block", name)),
                      "model": attribute(name, "device/model"), "size": int(size) * 512, "lun": taken.get(name),
                      "identity": identity(sysfs("block", name))})
    for d in found:
        d["twins"] = [t["name"] for t in found if t is not d and d["identity"] and t["identity"] == d["identity"]]
        # A link by serial number leads to either of them.
        if d["twins"]:
            d["path"] = places.get(d["name"], f"/dev/{d['name']}")
    return found


def chosen(wanted, have):
    """The one data disk with that serial number or path."""
    if wanted.startswith("/dev/"):
        fit = [d for d in have if d["name"] == resolved(wanted)]
    else:
        fit = [d for d in have if d["serial"] == wanted]
    if len(fit) > 1:
        raise Refused(f"two data disks have the serial number {wanted}: give the path of one of them")
    if not fit:
        raise Refused(f"{wanted} is not a data disk of this machine")
    return fit[0]


def bare(rule):
    """An admitted address without the length of a network that is this address alone."""
    return rule.removesuffix("/128" if ":" in rule else "/32")


class Plan:
    """Commands of lgtadm, each a list of arguments."""

    def __init__(self, iqn_base):
        self.iqn_base = iqn_base
        self.steps = []
        self.targets = tools.shown("target")["targets"]
        self.accounts = tools.shown("account")["accounts"]
        self.system = tools.shown("system")["system"]
        self.disks = disks(self.targets)
        self.renewed = set()
        self.bound = []
        self.closed = []

    def do(self, mode, op, *args):
        self.steps.append([mode, op, *map(str, args)])

    def target(self, wanted):
        iqn = wanted.get("name") or f"{self.iqn_base}:disks"
        have = next((t for t in self.targets if t["iqn"] == iqn), None)
        if have:
            tid = have["tid"]
        else:
            tid = max([t["tid"] for t in self.targets], default=0) + 1
            have = {"tid": tid, "iqn": iqn, "alias": "", "acl": [], "acl_names": [], "in": [], "out": None, "luns": [],
                    "ready": True, "new": True}
            self.targets.append(have)
            self.do("target", "new", "-t", tid, "-T", iqn)
        if wanted.get("alias", have["alias"]) != have["alias"]:
            self.do("target", "update", "-t", tid, "-n", "alias", "-v", wanted["alias"])
        # Whoever is admitted must find its account and its disks: rules come last.
        self.chap(have, wanted)
        self.luns(have, wanted.get("data_disks", []))
        self.rules(have, wanted.get("initiators"))

    def account(self, account):
        """New, or with the password of the file if it had another; a target that has it is closed meanwhile."""
        user = account["user"]
        if user in self.renewed:
            return
        self.renewed.add(user)
        if user not in self.accounts:
            self.do("account", "new", "-u", user, "-p", account["password"])
            return
        if stored_secret(user) == account["password"]:
            return
        bound = [(t, *how) for t in self.targets for how in (
            [[]] if user in t["in"] else []) + ([["--outgoing"]] if user == t["out"] else [])]
        closed = {t["tid"] for t, *_ in bound if t["ready"]}
        self.bound += [[user, t["iqn"], bool(how)] for t, *how in bound]
        self.closed += [t["iqn"] for t, *_ in bound if t["ready"]]
        for tid in closed:
            self.do("target", "update", "-t", tid, "-n", "state", "-v", "offline")
        self.do("account", "delete", "-u", user)
        self.do("account", "new", "-u", user, "-p", account["password"])
        for t, *how in bound:
            self.do("account", "bind", "-t", t["tid"], "-u", user, *how)
        for how, users in (([], self.system["discovery_in"]), (["--outgoing"], [self.system["discovery_out"]])):
            if user in users:
                self.bound.append([user, None, bool(how)])
                self.do("account", "bind", "-u", user, *how)
        for tid in closed:
            self.do("target", "update", "-t", tid, "-n", "state", "-v", "ready")

    def chap(self, have, wanted):
        if "chap" not in wanted:
            return
        tid, user = have["tid"], wanted["chap"]["user"]
        self.account(wanted["chap"])
        if user not in have["in"]:
            self.do("account", "bind", "-t", tid, "-u", user)
        for other in have["in"]:
            if other != user:
                self.do("account", "unbind", "-t", tid, "-u", other)
        have["in"] = [user]
        mutual = wanted.get("mutual_chap")
        if mutual:
            self.account(mutual)
        if have["out"] and have["out"] != (mutual or {}).get("user"):
            self.do("account", "unbind", "-t", tid, "-u", have["out"], "--outgoing")
            have["out"] = None
        if mutual and not have["out"]:
            self.do("account", "bind", "-t", tid, "-u", mutual["user"], "--outgoing")
            have["out"] = mutual["user"]

    def luns(self, have, wanted):
        if wanted == "all":
            for d in self.disks:
                if d["twins"] and not d["lun"]:
                    raise Refused(f"{d['name']} and {d['twins'][0]} have one identity and may be two paths to one disk: "
                                  f"list the data disks by their paths")
            wanted = [{"disk": d["path"]} for d in self.disks if not d["lun"]]
        asked = {w["lun"] for w in wanted if "lun" in w}
        for w in wanted:
            disk = chosen(w["disk"], self.disks)
            used = {lun["lun"] for lun in have["luns"]}
            if disk["lun"]:
                if disk["lun"][0] != have["iqn"] or w.get("lun", disk["lun"][1]) != disk["lun"][1]:
                    raise Refused(f"{w['disk']} is LUN {disk['lun'][1]} of {disk['lun'][0]} already")
                continue
            number = w.get("lun") or next(n for n in range(1, 16384) if n not in used and n not in asked)
            if number in used:
                raise Refused(f"{have['iqn']} has a LUN {number} already, which is not {w['disk']}")
            more = ["-P", "readonly=1"] if w.get("readonly") else []
            self.do("logicalunit", "new", "-t", have["tid"], "-l", number, "-b", disk["path"], *more)
            have["luns"].append({"lun": number, "path": disk["path"]})
            disk["lun"] = (have["iqn"], number)

    def rules(self, have, wanted):
        old = have["acl"] + have["acl_names"]
        if wanted is None:
            wanted = ["ALL"] if "new" in have else old
        # lgtadm shows a rule as it was given, settings.initiator() writes a single address as a network.
        wanted = list(dict.fromkeys(map(bare, wanted)))
        for rule in old:
            if bare(rule) not in wanted:
                self.do("target", "unbind", "-t", have["tid"], "-I" if rule in have["acl"] else "-Q", rule)
        for rule in wanted:
            if rule not in map(bare, old):
                name = rule.startswith(("iqn.", "eui.", "naa.", "*"))
                self.do("target", "bind", "-t", have["tid"], "-Q" if name else "-I", rule)

    def carry_out(self):
        before = tools.load(RENEWAL)
        remember(before.get("bound", []) + self.bound, before.get("closed", []) + self.closed)
        for mode, op, *args in self.steps:
            tools.lgtadm(mode, op, *args)
        remember(before.get("bound", []), before.get("closed", []))


def stored_secret(user):
    """The account's password, or None if it cannot be told."""
    try:
        return next((o.get(store.SECRET) for o in store.load()[1] if o["key"] == f"account:{user}"), None)
    except Refused:
        return None


def remember(bound, closed):
    if bound or closed:
        tools.store(RENEWAL, {"bound": bound, "closed": closed})
    else:
        tools.remove(RENEWAL)


def reopen():
    """
    What a renewal that a power cut or an error ended has left undone. A target stays closed as long as an account of it is
    missing: it would be open to everybody.
    """
    left = tools.load(RENEWAL)
    if not left:
        return
    accounts, system = tools.shown("account")["accounts"], tools.shown("system")["system"]
    targets = {t["iqn"]: t for t in tools.shown("target")["targets"]}
    missing = []
    for user, iqn, outgoing in left["bound"]:
        if iqn is not None and iqn not in targets:
            continue
        where = targets[iqn] if iqn else {"in": system["discovery_in"], "out": system["discovery_out"]}
        if where["out"] if outgoing else user in where["in"]:
            continue
        if user not in accounts:
            missing.append([user, iqn, outgoing])
            continue
        tools.lgtadm("account", "bind", *(["-t", where["tid"]] if iqn else []), "-u", user, *(["--outgoing"] if outgoing else []))
    waiting = [iqn for iqn in left["closed"] if iqn in {at for _, at, _ in missing}]
    for iqn in left["closed"]:
        if iqn in targets and iqn not in waiting:
            tools.lgtadm("target", "update", "-t", targets[iqn]["tid"], "-n", "state", "-v", "ready")
    remember(missing, waiting)


def spelling(portal):
    host = f"[{portal['host']}]" if ":" in portal["host"] else portal["host"]
    return f"{host}:{portal['port']}"


def set_portals(wanted):
    """
    These portals and no others. New ones come first, but for those in whose place an old one is; when one of them cannot be,
    all is as before. An address may still be on its way: systemd-networkd has just been told.
    """
    wanted = {(p["address"], p["transport"], p["group"]) for p in wanted}
    have = {(spelling(p), p["transport"], p["tpgt"]) for p in tools.shown("portal")["portals"]}
    old, added, gone = sorted(have - wanted), [], []
    try:
        for new in sorted(wanted - have):
            for p in [p for p in old if in_its_place(p, new)]:
                old.remove(p)
                gone.append(p)
                portal("delete", p)
            added.append(new)
            patiently(portal, "new", new)
    except BaseException:
        for op, those in (("delete", added), ("new", gone)):
            for p in those:
                with contextlib.suppress(Refused):
                    portal(op, p)
        raise
    for p in old:
        portal("delete", p)


def portal(op, which):
    at, transport, group = which
    more = f",tpgt={group}" if op == "new" else ""
    tools.lgtadm("portal", op, "-P", f"portal={at},transport={transport}{more}")


def in_its_place(old, new):
    """The same address, or the one that stands for all."""
    (host, _, port), (new_host, _, new_port) = old[0].rpartition(":"), new[0].rpartition(":")
    everywhere = {"[::]", "0.0.0.0"}
    return old[1] == new[1] and port == new_port and (host == new_host or bool({host, new_host} & everywhere))


def patiently(func, *args):
    end = time.monotonic() + PORTAL_SECS
    while True:
        try:
            return func(*args)
        except Refused:
            if time.monotonic() > end:
                raise
        time.sleep(1)


def apply(config, iqn_base):
    """Portals and targets of a checked appliance.json; returns how many changes the targets needed."""
    reopen()
    if "targets" not in config and "portals" not in config:
        return 0
    tools.settle()
    plan = Plan(iqn_base)
    for wanted in config.get("targets", []):
        plan.target(wanted)
    # First: no target is seen, not even for a moment, where the file does not want it.
    if "portals" in config:
        set_portals(config["portals"])
    plan.carry_out()
    reopen()
    return len(plan.steps)
