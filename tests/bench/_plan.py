# SPDX-License-Identifier: BSD-3-Clause
"""What is measured, and what it must show."""
from collections import namedtuple

# One way of loading a LUN: arguments of lean.
Load = namedtuple("Load", "name title args")
# A line of the plan: the contenders run one after the other, so that their ratios are of the same minute.
Line = namedtuple("Line", "load contenders")
# value = median over the rounds of what(over) / what(under), or of what(over) where under is None.
Goal = namedtuple("Goal", "title what over under least most note", defaults=("",))

LOADS = {n: Load(n, title, args.split()) for n, title, args in [
    ("r1", "4K read QD1", "--depth 1"),
    ("r1s", "4K read QD1, sleeping client", "--depth 1 --sleep"),
    ("r32", "4K read QD32", "--depth 32"),
    ("r128", "4K read QD128", "--depth 128"),
    ("w32", "4K write QD32", "--depth 32 --rw write"),
    ("r8x16", "4K read 8 × QD16", "--sessions 8 --depth 16"),
    ("R16", "256K read QD16", "--depth 16 --bs 256K"),
    ("W16", "256K write QD16", "--depth 16 --bs 256K --rw write"),
    ("r32d", "4K read QD32, digests", "--depth 32 --digest both"),
    ("R16d", "256K read QD16, digests", "--depth 16 --bs 256K --digest both"),
    ("s1", "4K read 1 × QD32, sleeping client", "--depth 32 --sleep"),
    ("s64", "4K read 64 × QD32, sleeping client", "--sessions 64 --depth 32 --sleep"),
    ("idle", "100 sessions, idle", "--sessions 100 --idle --sleep"),
]}

NULL, SHM, DISK = "lichgate null", "lichgate shm", "lichgate disk"
POLL, WIDE = "lichgate poll null", "lichgate 2 cores null"
EPOLL_NULL, EPOLL_SHM = "lichgate epoll null", "lichgate epoll shm"
LIMIT, LIMIT_FILE, LIMIT_DISK = "limit", "limit-file", "limit-disk"
TGT_NULL, TGT_SHM = "tgt null", "tgt shm"

LINES = [
    Line("r1", [LIMIT, NULL, POLL, TGT_NULL]),
    Line("r1s", [LIMIT, NULL]),
    Line("r32", [LIMIT, NULL, EPOLL_NULL, TGT_NULL]),
    Line("r128", [LIMIT, NULL]),
    Line("w32", [LIMIT, NULL]),
    Line("r8x16", [LIMIT, NULL]),
    Line("r32", [LIMIT_FILE, SHM, EPOLL_SHM, TGT_SHM]),
    Line("r128", [LIMIT_FILE, SHM]),
    Line("w32", [LIMIT_FILE, SHM, TGT_SHM]),
    Line("R16", [LIMIT_FILE, SHM, EPOLL_SHM, TGT_SHM]),
    Line("W16", [LIMIT_FILE, SHM, TGT_SHM]),
    Line("r32d", [NULL]),
    Line("R16", [NULL]),
    Line("R16d", [NULL]),
    Line("r32", [LIMIT_DISK, DISK]),
    Line("s1", [WIDE]),
    Line("s64", [WIDE]),
    Line("idle", [NULL, POLL]),
]


def least(title, what, over, under, goal, note=""):
    return Goal(title, what, over, under, goal, None, note)


def most(title, what, over, under, goal, note=""):
    return Goal(title, what, over, under, None, goal, note)


GOALS = [
    least("4K read, null, QD32: IOPS", "iops", (NULL, "r32"), (LIMIT, "r32"), 0.75),
    least("4K read, null, QD128: IOPS", "iops", (NULL, "r128"), (LIMIT, "r128"), 0.75),
    least("4K write, null, QD32: IOPS", "iops", (NULL, "w32"), (LIMIT, "w32"), 1.0),
    least("4K read, null, 8 × QD16: IOPS", "iops", (NULL, "r8x16"), (LIMIT, "r8x16"), 0.85),
    least("4K read, file, QD32: IOPS", "iops", (SHM, "r32"), (LIMIT_FILE, "r32"), 0.65, "0.75 is the aim"),
    least("4K write, file, QD32: IOPS", "iops", (SHM, "w32"), (LIMIT_FILE, "w32"), 0.60, "0.75 is the aim"),
    least("256K read, file, QD16: IOPS", "iops", (SHM, "R16"), (LIMIT_FILE, "R16"), 0.95),
    least("256K write, file, QD16: IOPS", "iops", (SHM, "W16"), (LIMIT_FILE, "W16"), 0.95),
    most("4K read, null, QD1: latency", "latency", (NULL, "r1"), (LIMIT, "r1"), 1.15),
    most("4K read, null, QD1, sleeping client: latency", "latency", (NULL, "r1s"), (LIMIT, "r1s"), 1.15),
    least("4K read, null, QD1, --poll-us 50: IOPS", "iops", (POLL, "r1"), (LIMIT, "r1"), 2.3),
    most("4K read, null, QD32: CPU per I/O", "cpu", (NULL, "r32"), (LIMIT, "r32"), 1.35),
    most("4K read, null, QD128: CPU per I/O", "cpu", (NULL, "r128"), (LIMIT, "r128"), 1.35),
    most("4K read, file, QD32: CPU per I/O", "cpu", (SHM, "r32"), (LIMIT_FILE, "r32"), 1.55),
    most("4K read, file, QD128: CPU per I/O", "cpu", (SHM, "r128"), (LIMIT_FILE, "r128"), 1.55),
    least("4K read, file, QD32: CPU of tgt per ours", "cpu", (TGT_SHM, "r32"), (SHM, "r32"), 8),
    least("4K write, file, QD32: CPU of tgt per ours", "cpu", (TGT_SHM, "w32"), (SHM, "w32"), 8),
    least("256K read, file, QD16: CPU of tgt per ours", "cpu", (TGT_SHM, "R16"), (SHM, "R16"), 4),
    least("256K write, file, QD16: CPU of tgt per ours", "cpu", (TGT_SHM, "W16"), (SHM, "W16"), 4),
    least("4K read, QD32: IOPS with digests per without", "iops", (NULL, "r32d"), (NULL, "r32"), 0.90),
    least("256K read, QD16: IOPS with digests per without", "iops", (NULL, "R16d"), (NULL, "R16"), 0.75),
    most("64 sessions per 1, two cores: CPU per I/O", "cpu", (WIDE, "s64"), (WIDE, "s1"), 1.10),
    most("100 idle sessions: share of a core", "share", (NULL, "idle"), None, 0.01),
    most("100 idle sessions, --poll-us 50: share of a core", "share", (POLL, "idle"), None, 0.01),
]
