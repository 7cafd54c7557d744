# SPDX-License-Identifier: BSD-3-Clause
"""sg3-utils, blkdiscard and fstrim on a thin disk. Each case knows what the medium or the answer has to be afterwards."""
import glob
import os
import re
import subprocess
import time

import _initiator as ini
from lab import SCALE, Lab, wait_for
from tap import case, need, run

BLOCK = 512
BLOCKS = 32 << 10
SIZE = BLOCKS * BLOCK
MISCOMPARE = 14  # sg3-utils' exit code for that sense key
ONES = b"\xff" * BLOCK


class Disk:
    """A LUN with what its medium has to be: the gateway's file is looked at behind the kernel's back."""

    def __init__(self, lab, lun):
        self.file = lab.file(f"disk{lun}", SIZE)
        self.want = bytearray(SIZE)
        self.lun = lun
        lab.lun(1, lun, self.file)
        lab.op("logicalunit", "update", "--tid", 1, "--lun", lun, "--params",
               f"thin_provisioning=1,vendor_id=ACME,product_id=Anvil {lun},product_rev=0007,scsi_sn=SN-{lun}")

    @property
    def dev(self):
        return "/dev/" + os.path.basename(glob.glob(f"/sys/class/iscsi_session/*/device/target*/*:{self.lun}/block/sd*")[0])

    def expect(self, lba, data):
        self.want[lba * BLOCK:lba * BLOCK + len(data)] = data

    def check(self, what):
        with open(self.file, "rb") as f:
            got = f.read()
        if got != self.want:
            at = next(i for i in range(BLOCKS) if got[i * BLOCK:(i + 1) * BLOCK] != self.want[i * BLOCK:(i + 1) * BLOCK])
            raise AssertionError(f"{what}: block {at} of LUN {self.lun} is not as it should be")

    def fill(self, lba, data):
        ini.sh("dd", "if=" + scratch(data), "of=" + self.dev, "bs=1M", f"seek={lba * BLOCK}",
               "oflag=direct,seek_bytes", "conv=notrunc")
        self.expect(lba, data)

    def mapped(self):
        """What sg_get_lba_status says: [(first block, how many, whether mapped)]."""
        out = ini.sh("sg_get_lba_status", "--brief", "--maxlen=8192", "--lba=0", self.dev)
        return [(int(m[1], 16), int(m[2], 16), m[3] == "0")
                for m in re.finditer(r"^0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\d+)", out, re.M)]


def scratch(data):
    path = "/tmp/scratch"
    with open(path, "wb") as f:
        f.write(data)
    return path


def pattern(first, n):
    """Blocks that each know their number."""
    return b"".join(b"%08x" % (first + i) * (BLOCK // 8) for i in range(n))


def raw(*argv):
    p = subprocess.run(list(map(str, argv)), env=ini.ENV, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    need(p.returncode == 0, f"{argv}: exit {p.returncode} {p.stderr.decode()}")
    return p.stdout


def code(*argv):
    return subprocess.run(list(map(str, argv)), env=ini.ENV, stdin=subprocess.DEVNULL, capture_output=True,
                          check=False).returncode


@case("sg_inq, sg_readcap, sg_luns: identity and size")
def _(one, two):
    text = ini.sh("sg_inq", one.dev)
    for part in (r"PQual=0\s+PDT=0", r"RMB=0", r"\bCmdQue=1", r"\b3PC=1", r"Vendor identification: ACME\b",
                 r"Product identification: Anvil 1\b", r"Product revision level: 0007", r"Unit serial number: SN-1\b"):
        need(re.search(part, text), f"no {part}: {text}")
    need(ini.sh("sg_readcap", "--brief", one.dev).split() == [f"0x{BLOCKS:x}", f"0x{BLOCK:x}"], "READ CAPACITY(10)")
    text = ini.sh("sg_readcap", "--16", one.dev)
    for part in (rf"Last LBA={BLOCKS - 1}\b", rf"block length={BLOCK} bytes", "lbpme=1, lbprz=1", "prot_en=0"):
        need(re.search(part, text), f"no {part}: {text}")
    need(re.findall(r"^\s+([0-9a-f]{16})$", ini.sh("sg_luns", two.dev), re.M) ==
         ["0000000000000000", "0001000000000000", "0002000000000000"], "REPORT LUNS")


@case("sg_vpd decodes each page that page 00 names")
def _(one, _two):
    def page(number):
        data = raw("sg_vpd", "--raw", f"--page=0x{number:02x}", one.dev)
        need(data[1] == number and len(data) == 4 + int.from_bytes(data[2:4], "big"), f"page {number:02x}: {data.hex()}")
        return data[4:]

    for number in page(0):
        page(number)
        said = ini.sh("sg_vpd", f"--page=0x{number:02x}", one.dev)
        need(not re.search(r"invalid|unable|malformed|too short|bad |unexpected", said, re.I), f"page {number:02x}: {said}")
    ini.sh("sg_vpd", "--all", one.dev)
    need({0, 0x80, 0x83, 0x86, 0x88, 0x8f, 0xb0, 0xb1, 0xb2} <= set(page(0)), page(0).hex())
    need(page(0x80) == b"SN-1", page(0x80))
    sn = ini.sh("/lib/udev/scsi_id", "-g", "-u", "-d", one.dev)
    need(sn.strip()[1:] in ini.sh("sg_vpd", "--page=di", one.dev).replace("0x", ""), sn)
    text = ini.sh("sg_vpd", "--page=bl", one.dev)
    need("Maximum compare and write length: 128 blocks" in text and "[unlimited]" not in text, text)
    text = ini.sh("sg_vpd", "--page=lbpv", one.dev)
    for bit in ("(LBPU): 1", "(LBPWS): 1", "(LBPWS10): 1", "(LBPRZ): 1"):
        need(bit in text, f"no {bit}: {text}")


@case("sg_opcodes lists what the table of commands has for a thin disk, and the task management")
def _(one, _two):
    data = raw("sg_opcodes", "--raw", one.dev)
    need(len(data) == 4 + int.from_bytes(data[:4], "big"), "its length")
    got = {(d[0], int.from_bytes(d[2:4], "big") if d[5] & 1 else None, int.from_bytes(d[6:8], "big"))
           for d in (data[i:i + 8] for i in range(4, len(data), 8))}
    want = set()
    with open("/lgt/opcodes.txt", encoding="ascii") as f:
        for word, kinds, _secs, _s, mask, *_name in (line.split() for line in f if line[0] != "#"):
            op, _, sa = word.partition("/")
            if "t" in kinds:
                want.add((int(op, 16), int(sa, 16) if sa else None, len(mask) // 2))
    need(got == want, f"more {sorted(map(str, got - want))}, less {sorted(map(str, want - got))}")
    text = ini.sh("sg_opcodes", "--opcode=0x42", "--mask", one.dev)
    need("Usage data: 42 00 00 00 00 00 00 ff ff 00" in text, text)
    need("Abort task" in ini.sh("sg_opcodes", "--tmf", one.dev), "task management")


@case("looking tools end well: sg_turs, sg_requests, sg_logs, sg_modes, sg_rtpg, sg_persist, sg_sync, sg_timestamp")
def _(one, _two):
    for tool, part in ((["sg_turs"], ""), (["sg_requests"], "No Sense"), (["sg_logs", "--all"], "Supported log pages"),
                       (["sg_modes", "--all"], "Caching"), (["sg_rtpg", "--extended"], "access state : 0x00"),
                       (["sg_persist", "--in", "--report-capabilities"], "Write Exclusive"), (["sg_sync"], "")):
        text = ini.sh(*tool, one.dev)
        need(part in text, f"{tool}: no {part}: {text}")
    need(abs(int(ini.sh("sg_timestamp", one.dev)) / 1000 - time.time()) < 60, "the time of day")


@case("sg_write_same: one block becomes many, of either length, or none at all")
def _(one, _two):
    one.fill(0, pattern(0, 8192))
    one.check("writes")
    ini.sh("sg_write_same", "--10", "--in=" + scratch(ONES), "--lba=100", "--num=51", one.dev)
    one.expect(100, ONES * 51)
    one.check("WRITE SAME(10)")
    ini.sh("sg_write_same", "--16", "--in=" + scratch(pattern(77, 1)), "--lba=1001", "--num=300", one.dev)
    one.expect(1001, pattern(77, 1) * 300)
    one.check("WRITE SAME(16)")
    ini.sh("sg_write_same", "--16", "--ndob", "--lba=1500", "--num=33", one.dev)
    one.expect(1500, bytes(33 * BLOCK))
    one.check("WRITE SAME(16) with NDOB")
    ini.sh("sg_write_same", "--16", "--unmap", "--lba=1600", "--num=64", one.dev)
    one.expect(1600, bytes(64 * BLOCK))
    one.check("WRITE SAME(16) with UNMAP")
    need((1600, 64, False) in one.mapped(), one.mapped())
    # The last block is the last one that there is.
    ini.sh("sg_write_same", "--16", "--in=" + scratch(ONES), f"--lba={BLOCKS - 1}", "--num=1", one.dev)
    one.expect(BLOCKS - 1, ONES)
    need(code("sg_write_same", "--16", "--in=" + scratch(ONES), f"--lba={BLOCKS - 1}", "--num=2", one.dev), "past the end")
    one.check("WRITE SAME(16) at the end")


@case("sg_unmap and sg_get_lba_status: what is unmapped is zero and told, its neighbours stay")
def _(_one, two):
    two.fill(0, pattern(0, 4096))
    need(two.mapped() == [(0, 4096, True), (4096, BLOCKS - 4096, False)], two.mapped())
    ini.sh("sg_unmap", "--force", "--lba=1024,2048", "--num=512,8", two.dev)
    two.expect(1024, bytes(512 * BLOCK))
    two.expect(2048, bytes(8 * BLOCK))
    two.check("UNMAP")
    need(two.mapped() == [(0, 1024, True), (1024, 512, False), (1536, 512, True), (2048, 8, False), (2056, 2040, True),
                          (4096, BLOCKS - 4096, False)], two.mapped())
    need(code("sg_unmap", "--force", f"--lba=0,{BLOCKS - 8}", "--num=8,9", two.dev), "past the end")
    two.check("UNMAP that was refused")


@case("sg_compare_and_write: written if equal, else told and left alone")
def _(one, _two):
    old = bytes(one.want[200 * BLOCK:204 * BLOCK])
    new = pattern(0xbeef, 4)
    argv = ["sg_compare_and_write", "--in=" + scratch(old + new), "--lba=200", "--num=4", f"--xferlen={8 * BLOCK}", one.dev]
    ini.sh(*argv)
    one.expect(200, new)
    one.check("COMPARE AND WRITE")
    need(code(*argv) == MISCOMPARE, "the same again is not a miscompare")
    one.check("a miscompare")


@case("sg_verify and sg_write_verify compare with the medium")
def _(one, _two):
    ini.sh("sg_write_verify", "--in=" + scratch(pattern(9, 16)), "--lba=300", "--num=16", one.dev)
    one.expect(300, pattern(9, 16))
    one.check("WRITE AND VERIFY(10)")
    argv = ["sg_verify", "--bytchk=1", "--count=16", f"--ndo={16 * BLOCK}", "--lba=300"]
    ini.sh(*argv, "--in=" + scratch(pattern(9, 16)), one.dev)
    need(code(*argv, "--in=" + scratch(pattern(10, 16)), one.dev) == MISCOMPARE, "other data are not a miscompare")


@case("sg_xcopy: blocks go to another LUN and to another place of the same one")
def _(one, two):
    for to, seek in ((two, 10000), (one, 20000)):
        # sg_xcopy pads nothing: a count that its pieces of 128 blocks do not divide.
        ini.sh("sg_xcopy", "if=" + one.dev, "of=" + to.dev, "bs=512", "skip=64", f"seek={seek}", "count=3001")
        to.expect(seek, bytes(one.want[64 * BLOCK:3065 * BLOCK]))
        for disk in (one, two):
            disk.check("EXTENDED COPY")


@case("blkdiscard: the range is zero and given back")
def _(one, _two):
    had = os.stat(one.file).st_blocks
    ini.sh("blkdiscard", "--offset", 4096 * BLOCK, "--length", 2048 * BLOCK, one.dev)
    one.expect(4096, bytes(2048 * BLOCK))
    one.check("blkdiscard")
    need((4096, 2048, False) in one.mapped(), one.mapped())
    need(had - os.stat(one.file).st_blocks == 2048, "not given back")
    ini.sh("blkdiscard", "--zeroout", "--offset", 512 * BLOCK, "--length", 16 * BLOCK, one.dev)
    one.expect(512, bytes(16 * BLOCK))
    one.check("blkdiscard --zeroout")
    ini.sh("blkdiscard", one.dev)
    one.expect(0, bytes(SIZE))
    one.check("blkdiscard of it all")
    need(one.mapped() == [(0, BLOCKS, False)] and os.stat(one.file).st_blocks == 0, one.mapped())


@case("fstrim: what a file system has deleted is given back, and what it has stays")
def _(one, _two):
    ini.sh("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=0", one.dev)
    os.makedirs("/tmp/mnt", exist_ok=True)
    ini.sh("mount", one.dev, "/tmp/mnt")
    for name in ("kept", "gone"):
        with open("/tmp/mnt/" + name, "wb") as f:
            f.write(pattern(ord(name[0]), 8192))
    os.sync()
    had = os.stat(one.file).st_blocks
    os.remove("/tmp/mnt/gone")
    os.sync()
    ini.sh("fstrim", "/tmp/mnt")
    wait_for(lambda: had - os.stat(one.file).st_blocks >= 8000, 5 * SCALE, "4 MiB are given back")
    ini.sh("umount", "/tmp/mnt")
    ini.sh("mount", one.dev, "/tmp/mnt")
    with open("/tmp/mnt/kept", "rb") as f:
        need(f.read() == pattern(ord("k"), 8192), "a file that was kept")
    ini.sh("umount", "/tmp/mnt")
    ini.sh("e2fsck", "-f", "-n", one.dev)
    need(not ini.kernel_said(r"I/O error"), ini.sh("dmesg")[-2000:])


with Lab() as lab_:
    ini.start(["sg"])
    ini.udev()
    lab_.target(1)
    disks = Disk(lab_, 1), Disk(lab_, 2)
    ini.discover(lab_.portal)
    ini.login(lab_.iqn(1), lab_.portal)
    for disk_ in disks:
        wait_for(lambda d=disk_: glob.glob(f"/sys/class/iscsi_session/*/device/target*/*:{d.lun}/block/sd*"), 20 * SCALE, "a disk")
        wait_for(lambda d=disk_: code("sg_turs", d.dev) == 0, 20 * SCALE, "no unit attention is left")
    failed = run(*disks)
    # The guest would wait long for disks that have gone.
    ini.sh("iscsiadm", "-m", "node", "--logout", check=False)
raise SystemExit(failed)
