# SPDX-License-Identifier: BSD-3-Clause
"""
Disks that look as if somebody should assemble, mount or boot them: LVM and md as bytes, and partitions with the names,
the file systems and the identities of an appliance's own. blkid(8) says of each what the test takes it for.
"""
import json
import os
import struct
import subprocess
import uuid
import zlib

SECTOR = 512
MIB = 1 << 20
LINUX_RAID = "A19D880F-05FC-4D3B-A006-743F0F84911E"
LINUX_LVM = "E6D6D379-F507-44C2-A23C-238F2A3DF928"


def lvm_crc(data):
    """CRC-32 without the last inversion, from a start value of LVM's own."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def lvm(size, group):
    """The first MiB of a physical volume whose group GROUP has one logical volume, "root"."""
    pv, vg, lv = (uuid.uuid4().hex for _ in range(3))

    def dashed(u):
        return "-".join((u[:6], u[6:10], u[10:14], u[14:18], u[18:22], u[22:26], u[26:]))

    extents = (size - MIB) // (4 * MIB)
    text = f"""{group} {{
id = "{dashed(vg)}"
seqno = 2
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = 8192
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{dashed(pv)}"
device = "/dev/sda"
status = ["ALLOCATABLE"]
flags = []
dev_size = {size // SECTOR}
pe_start = 2048
pe_count = {extents}
}}
}}
logical_volumes {{
root {{
id = "{dashed(lv)}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
creation_time = 1700000000
creation_host = "elsewhere"
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "striped"
stripe_count = 1
stripes = ["pv0", 0]
}}
}}
}}
}}
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "elsewhere"
creation_time = 1700000000
""".encode() + b"\0"
    area, area_size = 4096, MIB - 4096
    head = struct.pack("<16sIQQ", b" LVM2 x[5A%r0N*>", 1, area, area_size)
    head += struct.pack("<QQII", SECTOR, len(text), lvm_crc(text), 0)
    head = head.ljust(SECTOR - 4, b"\0")
    head = struct.pack("<I", lvm_crc(head)) + head
    # The volume and where its data and its metadata are; then what later versions added.
    body = struct.pack("<I8s", 32, b"LVM2 001") + pv.encode() + struct.pack("<Q", size)
    body += struct.pack("<QQQQ", MIB, 0, 0, 0) + struct.pack("<QQQQ", area, area_size, 0, 0)
    body += struct.pack("<IIQQ", 2, 1, 0, 0)
    body = body.ljust(SECTOR - 20, b"\0")
    label = b"LABELONE" + struct.pack("<QI", 1, lvm_crc(body)) + body
    return (b"\0" * SECTOR + label).ljust(area, b"\0") + head + text


def md(size, name):
    """The first sectors of the only member of a RAID 1, metadata 1.2, clean: nothing is missing for it to run."""
    roles, data_offset = 128, 2048
    sectors = size // SECTOR - data_offset
    head = struct.pack("<IIII16s32sQIIQIII", 0xA92B4EFC, 1, 0, 0, uuid.uuid4().bytes, f"any:{name}".encode(), 1700000000,
                       1, 0, sectors, 0, 1, 0).ljust(128, b"\0")
    head += struct.pack("<QQQQII16sQ", data_offset, sectors, 8, 0, 0, 0, uuid.uuid4().bytes, 0)
    tail = struct.pack("<I32x", roles) + struct.pack(f"<{roles}H", 0, *[0xFFFF] * (roles - 1))

    def whole(checksum):
        return head + struct.pack("<QQQI", 1700000000, 1, 2 ** 64 - 1, checksum) + tail

    total = sum(struct.unpack(f"<{len(whole(0)) // 4}I", whole(0)))
    return b"\0" * 4096 + whole((total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)


def run(*argv, **more):
    env = dict(os.environ, PATH="/usr/sbin:/sbin:" + os.environ["PATH"], LC_ALL="C")
    return subprocess.run(argv, check=True, capture_output=True, env=env, **more).stdout.decode()


def probe(path, at=0):
    """What blkid finds: {"TYPE": …, "LABEL": …, "UUID": …}."""
    said = run("blkid", "--probe", "--output", "export", "--offset", str(at), path)
    return dict(line.split("=", 1) for line in said.splitlines())


def blank(path, size, start):
    with open(path, "wb") as f:
        f.truncate(size)
        f.write(start)


def copied(system, path, extra=64 * MIB):
    """
    A disk with the partitions of SYSTEM, byte for byte: names, file systems, their labels and UUIDs, boot loader. The table
    alone has other GUIDs, as after `install`. Behind them one partition is LVM's and one is md's. Returns {name: offset}.
    """
    table = json.loads(run("sfdisk", "--json", system))["partitiontable"]
    size = os.path.getsize(system)
    start = table["partitions"][-1]["start"] + table["partitions"][-1]["size"]
    start = -(-start // 2048) * 2048
    length = extra // 2 // SECTOR - 2048
    parts = [(p["name"], p["type"], p["start"], p["size"]) for p in table["partitions"]]
    parts += [("volumes", LINUX_LVM, start, length), ("array", LINUX_RAID, start + length, length)]
    run("cp", "--sparse=always", system, path)
    os.truncate(path, size + extra)
    script = "label: gpt\n" + "".join(f'start={s}, size={n}, type={kind}, name="{name}"\n' for name, kind, s, n in parts)
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never", "--wipe-partitions=never", path,
        input=script.encode())
    with open(path, "r+b") as f:
        for data, at in ((lvm(length * SECTOR, "lichgate"), start), (md(length * SECTOR, "state"), start + length)):
            f.seek(at * SECTOR)
            f.write(data)
    return {name: s * SECTOR for name, _, s, _ in parts}
