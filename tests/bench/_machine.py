# SPDX-License-Identifier: BSD-3-Clause
"""The machine: which CPUs, how busy with others, what it is called."""
import os
import platform
import time


class Busy(Exception):
    """Something else ran: no figure of that moment is worth reporting."""


def cpus():
    """(target's, client's) where there are two."""
    have = sorted(os.sched_getaffinity(0))
    return (have[0], have[1]) if len(have) > 1 else None


def _stat():
    with open("/proc/stat", encoding="ascii") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return v[0] + v[1] + v[2] + v[5] + v[6] + v[7]


def wait_quiet(most, secs):
    """Until less than `most` of a core is used, or Busy."""
    tick = os.sysconf("SC_CLK_TCK")
    end = time.monotonic() + secs
    while True:
        began, busy = time.monotonic(), _stat()
        time.sleep(1)
        share = (_stat() - busy) / tick / (time.monotonic() - began)
        if share <= most:
            return
        if time.monotonic() > end:
            raise Busy(f"before the first run {100 * share:.0f} % of a core are in use")


def foreign(run):
    """Share of a core that neither target nor client used in a run, and share that the hypervisor took."""
    cpu, secs = run["cpu_s"], run["seconds"]
    if cpu["target"] is None:
        return 0.0, cpu["steal"] / secs
    return (cpu["busy"] - cpu["target"] - cpu["self"]) / secs, cpu["steal"] / secs


def disturbed(run):
    """What was wrong with a run, or None. Ticks are samples: a short window needs more room."""
    room = 0.08 + 0.05 / run["seconds"] ** 0.5
    other, steal = foreign(run)
    if other > room:
        return f"something else used {100 * other:.0f} % of a core"
    if steal > room:
        return f"the hypervisor took away {100 * steal:.0f} % of a core"
    return None


def describe():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
            "date": time.strftime("%Y-%m-%d")}
