# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance health: what each disk says of itself.

From smartctl, which speaks ATA, SCSI and NVMe. A disk that keeps no such record, as those of virtual machines, is
"unknown", which is no fault. States: ok, warning (replace it soon), failing (replace it now), unknown.
"""
import json
import os
import re
import subprocess

from . import Refused, disks, paths

BLOCK = paths.at("/sys/block")
KEPT = os.path.join(paths.STATE, "health.json")
SMARTCTL = paths.at("/usr/sbin/smartctl")
# Devices that are no disks of their own.
NO_DISK = re.compile(r"(loop|ram|zram|dm-|md|sr|fd|nbd|drbd|rbd)\d*")
SMART_SECS = 60
# smartctl's exit status: the command line, the device that cannot be opened.
NOT_ASKED = 0x3
ATA_BAD = {5: "reallocated sectors", 187: "uncorrectable errors", 197: "pending sectors", 198: "unreadable sectors"}
STATES = ("unknown", "ok", "warning", "failing")
# Of the journal: error, warning, notice.
LEVEL = {"failing": 3, "warning": 4}
NOTICE = 5


def add_arguments(parser):
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for programs")
    how.add_argument("--log", action="store_true", help="for the journal: what changed since the last time, and what is bad")


def attribute(disk, *names):
    """The first of these files of a disk that says something. It is shown on terminals and becomes lines of the journal."""
    return plain(next(filter(None, (disks.read(os.path.join(BLOCK, disk, name)) for name in names)), ""))


def plain(text):
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def system_disk():
    try:
        return os.path.basename(disks.boot_disk())
    except (Refused, OSError):
        return None


def names():
    """Whole disks by name, those without a medium left out, and the single paths of an NVMe namespace, which are no devices."""
    return [name for name in sorted(os.listdir(BLOCK)) if not NO_DISK.fullmatch(name) and
            attribute(name, "size") not in ("", "0") and attribute(name, "hidden") != "1"]


def ask(disk):
    """smartctl's answer, or None. A disk that sleeps is not woken."""
    argv = [SMARTCTL, "--json", "--all", "--nocheck=standby", os.path.join(paths.DEV, disk)]
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=SMART_SECS, check=False)
        said = None if answer.returncode & NOT_ASKED else json.loads(answer.stdout)
        return said if isinstance(said, dict) else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def at_path(found, *names):
    """A number or truth deep in an answer, or None; whatever else is there is not believed."""
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int) else None


def judge_ata(said, faults):
    table = said.get("ata_smart_attributes")
    rows = table.get("table") if isinstance(table, dict) else None
    for row in rows if isinstance(rows, list) else []:
        # Above the count some disks keep something else.
        count = (at_path(row, "raw", "value") or 0) & 0xffffffff
        if count and at_path(row, "id") in ATA_BAD:
            faults.append(("warning", f"{count} {ATA_BAD[row['id']]}"))


def judge_nvme(said, faults):
    def log(name):
        return at_path(said, "nvme_smart_health_information_log", name) or 0
    if log("critical_warning"):
        faults.append(("failing", f"critical warning 0x{log('critical_warning'):02x}"))
    if log("available_spare") < log("available_spare_threshold"):
        faults.append(("failing", f"{log('available_spare')} % of the spare blocks left"))
    if log("media_errors"):
        faults.append(("warning", f"{log('media_errors')} media errors"))
    if log("percentage_used") >= 100:
        faults.append(("warning", f"{log('percentage_used')} % of its life used"))


def judge_scsi(said, faults):
    if at_path(said, "scsi_grown_defect_list"):
        faults.append(("warning", f"{at_path(said, 'scsi_grown_defect_list')} grown defects"))
    for kind in ("read", "write", "verify"):
        count = at_path(said, "scsi_error_counter_log", kind, "total_uncorrected_errors")
        if count:
            faults.append(("warning", f"{count} uncorrected {kind} errors"))


def judge(said):
    """State, what is wrong, and figures of an answer."""
    if said is None:
        return {"state": "unknown", "why": "no health record"}
    faults = []
    passed = at_path(said, "smart_status", "passed")
    if passed is not None and not passed:
        faults.append(("failing", "says itself that it fails"))
    judge_ata(said, faults)
    judge_nvme(said, faults)
    judge_scsi(said, faults)
    found = {"state": max([f[0] for f in faults], key=STATES.index, default="ok" if passed is not None else "unknown"),
             "why": ", ".join(f[1] for f in faults)}
    if found["state"] == "unknown":
        found["why"] = "no health record"
    for name, where in (("celsius", ("temperature", "current")), ("hours", ("power_on_time", "hours")),
                        ("used_percent", ("nvme_smart_health_information_log", "percentage_used"))):
        figure = at_path(said, *where)
        if figure is not None:
            found[name] = figure
    return found


def collect():
    """A dictionary for each disk."""
    system = system_disk()
    found = []
    for disk in names():
        size_now = attribute(disk, "size")
        if not size_now:
            # Pulled out while those before it answered.
            continue
        one = {"name": disk, "use": "system" if disk == system else "data",
               "bytes": int(size_now) * 512,
               "model": attribute(disk, "device/model", "device/../model"),
               "serial": attribute(disk, "serial", "device/serial")}
        # SCSI's own word: a disk that the kernel has given up answers nobody.
        given_up = attribute(disk, "device/state") in ("offline", "dead", "transport-offline")
        said = None if given_up else ask(disk)
        if said and not one["serial"]:
            one["serial"] = plain(str(said.get("serial_number", "")))
        one.update({"state": "failing", "why": "does not answer"} if given_up else judge(said))
        found.append(one)
    return found


def size(count):
    """As on the label of a disk: powers of ten."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000:
            break
        count /= 1000
    else:
        unit = "PB"
    return f"{count:.3g} {unit}" if count < 999.5 else f"{count:.0f} {unit}"


def figure(one, name, unit):
    return f"{one[name]}{unit}" if name in one else "-"


def table(found):
    """Lines for people."""
    rows = [("DISK", "USE", "SIZE", "MODEL", "SERIAL", "TEMP", "USED", "HOURS", "STATE", "")]
    rows += [(d["name"], d["use"], size(d["bytes"]), d["model"] or "-", d["serial"] or "-", figure(d, "celsius", " C"),
              figure(d, "used_percent", " %"), figure(d, "hours", ""), d["state"], d["why"]) for d in found]
    width = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width[n]) for n, cell in enumerate(row)).rstrip() for row in rows)


def label(one):
    return " ".join(filter(None, (one["name"], one["model"], one["serial"])))


def changes(before, now):
    """[(priority, sentence)]: what is bad each time, what is new once. A disk is known by its serial number."""
    def key(one):
        return one["serial"] or one["name"]
    old, new = {key(d): d for d in before}, {key(d): d for d in now}
    said = [(NOTICE, f"disk gone: {label(d)}") for k, d in old.items() if k not in new]
    for k, d in new.items():
        was = old[k]["state"] if k in old else None
        if d["state"] in LEVEL:
            said.append((LEVEL[d["state"]], f"disk {d['state']}: {label(d)}: {d['why']}"))
        elif was is None:
            said.append((NOTICE, f"disk found: {label(d)}: {d['state']}"))
        elif was != d["state"]:
            said.append((NOTICE, f"disk {d['state']} again: {label(d)}" if was in LEVEL and d["state"] == "ok"
                         else f"disk {d['state']}, was {was}: {label(d)}"))
    return said


def last():
    """What was found the last time; a record that is damaged is as good as none."""
    try:
        with open(KEPT, encoding="utf-8") as f:
            kept = json.load(f)
        return [d for d in kept if all(isinstance(d[k], str) for k in ("name", "model", "serial", "state"))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def keep(found):
    os.makedirs(paths.STATE, exist_ok=True)
    with open(KEPT + ".new", "w", encoding="utf-8") as f:
        json.dump(found, f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(KEPT + ".new", KEPT)


def run(args):
    found = collect()
    if args.json:
        print(json.dumps(found, indent=2))
    elif args.log:
        for priority, sentence in changes(last(), found):
            print(f"<{priority}>{sentence}")
        keep(found)
    else:
        print(table(found))
    return 0
