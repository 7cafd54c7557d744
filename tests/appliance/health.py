#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""health on a directory with disks in its /sys, and a smartctl that says what the test wants."""
import json
import os
import shutil

import _root
from _root import ROOT, command, put, script
from tap import case, need, run
from appliance import health  # noqa: E402

ATA = {"smart_status": {"passed": True}, "temperature": {"current": 31}, "power_on_time": {"hours": 1234},
       "ata_smart_attributes": {"table": [{"id": 5, "raw": {"value": 0}}, {"id": 197, "raw": {"value": 3}}]}}
NVME = {"smart_status": {"passed": True}, "nvme_smart_health_information_log": {
    "critical_warning": 0, "available_spare": 100, "available_spare_threshold": 10, "percentage_used": 7, "media_errors": 0}}
NVME_BAD = {"smart_status": {"passed": False}, "nvme_smart_health_information_log": {
    "critical_warning": 4, "available_spare": 5, "available_spare_threshold": 10, "percentage_used": 101, "media_errors": 2}}
SCSI = {"smart_status": {"passed": True}, "scsi_grown_defect_list": 0,
        "scsi_error_counter_log": {"read": {"total_uncorrected_errors": 0}}}


@case("health: what smartctl says becomes a state and a reason; nonsense becomes unknown")
def _():
    def state(said):
        found = health.judge(said)
        return found["state"], found["why"]
    need(state(ATA) == ("warning", "3 pending sectors"), state(ATA))
    need(state(NVME) == ("ok", "") and health.judge(NVME)["used_percent"] == 7)
    need(state(NVME_BAD)[0] == "failing" and "critical warning 0x04" in state(NVME_BAD)[1], state(NVME_BAD))
    need(state(SCSI) == ("ok", ""))
    worn = {**SCSI, "scsi_grown_defect_list": 2, "scsi_error_counter_log": {"write": {"total_uncorrected_errors": 4}}}
    need(state(worn) == ("warning", "2 grown defects, 4 uncorrected write errors"), state(worn))
    for said in (None, {}, {"smart_status": {}}, {"smart_status": 1}, {"ata_smart_attributes": {"table": [1, None, {"id": 5}]}},
                 {"nvme_smart_health_information_log": "x", "temperature": []},
                 {"nvme_smart_health_information_log": {"critical_warning": 1.5}},
                 {"ata_smart_attributes": {"table": [{"id": [], "raw": {"value": 1}}, {"id": 5, "raw": {"value": 1.5}}]}},
                 {"ata_smart_attributes": {"table": [{"id": 5, "raw": {"value": 7 << 32}}]}}):
        need(state(said) == ("unknown", "no health record"), f"{said}: {state(said)}")


def disks():
    _root.empty()
    for name, sectors, model in (("sda", 2000000, "ACME 2000"), ("sdb", 7814037168, "ACME 4T"), ("vdb", 4096, ""), ("sr0", 99, "CD"),
                                 ("loop0", 8, ""), ("sdc", 0, "empty reader")):
        put(f"/sys/block/{name}/size", f"{sectors}\n")
        put(f"/sys/block/{name}/device/model", f"{model}  \n")
        put(f"/sys/block/{name}/device/serial", f"SER-{name}\n")
    put("/sys/block/sda/sda2/partition", "2\n")
    os.makedirs(ROOT + "/sys/dev/block")
    os.symlink("../../block/sda/sda2", ROOT + "/sys/dev/block/8:2")
    put("/proc/self/mountinfo", "24 1 8:2 / /boot rw - vfat /dev/sda2 rw\n")
    # Answers with the file of the disk's name; without one as for a device that it cannot speak to.
    script("/usr/sbin/smartctl", f'for d; do :; done\ncat "{ROOT}/answers/${{d##*/}}" 2>/dev/null || exit 2\n')
    put("/answers/sda", json.dumps(ATA))
    put("/answers/sdb", json.dumps(SCSI))


@case("health: real disks alone are listed, the system's marked; table and JSON agree")
def _():
    disks()
    found = json.loads(command("health", "--json")[1])
    need([(d["name"], d["use"], d["state"]) for d in found] ==
         [("sda", "system", "warning"), ("sdb", "data", "ok"), ("vdb", "data", "unknown")], found)
    need(found[1]["bytes"] == 7814037168 * 512 and found[1]["model"] == "ACME 4T")
    lines = command("health")[1].splitlines()
    need(len(lines) == 4 and "4 TB" in lines[2] and lines[1].endswith("warning  3 pending sectors"), lines)
    need([health.size(n) for n in (512, 999999, 1 << 30, 999_900_000_000)] == ["512 B", "1000 kB", "1.07 GB", "1000 GB"],
         [health.size(n) for n in (512, 999999, 1 << 30, 999_900_000_000)])


@case("health --log: what is bad each time, what is new once, with the journal's priorities")
def _():
    disks()
    first = command("health", "--log")[1].splitlines()
    need(first == ["<4>disk warning: sda ACME 2000 SER-sda: 3 pending sectors", "<5>disk found: sdb ACME 4T SER-sdb: ok",
                   "<5>disk found: vdb SER-vdb: unknown"], first)
    need(command("health", "--log")[1].splitlines() == first[:1], "only what is bad is said again")
    put("/answers/sda", json.dumps(SCSI))
    put("/answers/sdb", json.dumps(NVME_BAD))
    shutil.rmtree(ROOT + "/sys/block/vdb")
    said = command("health", "--log")[1].splitlines()
    need(said[0] == "<5>disk gone: vdb SER-vdb" and "<5>disk ok again: sda ACME 2000 SER-sda" in said, said)
    need(any(line.startswith("<3>disk failing: sdb") for line in said), said)
    put("/sys/block/sdb/device/state", "offline\n")
    need("does not answer" in command("health", "--log")[1])
    put("/var/lib/appliance/health.json", '[{"name": 1}]')
    need(command("health", "--log")[0] == 0, "a damaged record stops nobody")

@case("health: a disk that is pulled out meanwhile, a path of another, names that would drive a terminal, an answer of no use")
def _():
    disks()
    put("/sys/block/nvme0c0n1/size", "4096\n")
    put("/sys/block/nvme0c0n1/hidden", "1\n")
    put("/sys/block/sdb/device/model", "ACME\x1b[2J\n<0>4T")
    put("/answers/sdb", "[]")
    script("/usr/sbin/smartctl", f'rm -rf "{ROOT}/sys/block/vdb"\nfor d; do :; done\ncat "{ROOT}/answers/${{d##*/}}"\n')
    code, out, err = command("health", "--log")
    need(code == 0 and not err, err)
    need(out.splitlines()[1:] == ["<5>disk found: sdb ACME?[2J?<0>4T SER-sdb: unknown"], out)


raise SystemExit(run())
