# SPDX-License-Identifier: BSD-3-Clause
"""Tables of what was found, for a terminal and for docs/performance.md."""
import unicodedata

import _plan

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
COLUMNS = ["r1", "r32", "r128", "w32", "r8x16", "R16", "W16"]


def short(v):
    """Three digits that mean something."""
    if v is None:
        return "–"
    if abs(v) < 0.01:
        return f"{v:.2g}" if v else "0"
    return f"{v:.3g}" if abs(v) < 1000 else f"{v:.0f}"


def matrix(found, what, scale=1.0):
    """First row: titles. A contender without any of the loads is left out."""
    rows = [["", *(_plan.LOADS[c].title for c in COLUMNS)]]
    for name, loads in found["medians"].items():
        values = [loads.get(c, {}).get(what) for c in COLUMNS]
        if any(v is not None for v in values):
            rows.append([name, *("" if v is None else short(v * scale) for v in values)])
    return rows


def goals(found):
    rows = [["", "measured", "goal", ""]]
    for g in found["goals"]:
        bound = f"≥ {g['least']:g}" if g["least"] is not None else f"≤ {g['most']:g}"
        mark = {True: "met", False: "NOT MET", None: "not measured"}[g["met"]]
        note = f" ({g['note']})" if g["note"] else ""
        rows.append([g["title"] + note, short(g["value"]), bound, mark])
    return rows


def others(found):
    """Runs beside the matrix."""
    rows = [["", "IOPS, thousands", "mean µs", "p99 µs", "CPU µs per I/O"]]
    for name, loads in found["medians"].items():
        for load, m in loads.items():
            if load in COLUMNS or load == "idle":
                continue
            rows.append([f"{name}: {_plan.LOADS[load].title}", short(m["iops"] / 1000), short(m["latency"]),
                         short(m["p99"]), short(m["cpu"])])
    return rows


def idle(found):
    rows = [["", "share of a core, %", "KiB per session", "µs per login"]]
    for name, loads in found["medians"].items():
        if "idle" in loads:
            m = loads["idle"]
            rows.append([name, short(100 * m["share"]), short(m["rss_per_session"] / 1024), short(m["login_us"])])
    return rows


def sections(found):
    yield "Goals", goals(found)
    yield "IOPS, thousands", matrix(found, "iops", 0.001)
    yield "Target CPU, µs per I/O", matrix(found, "cpu")
    yield "Latency, mean, µs", matrix(found, "latency")
    yield "Further runs", others(found)
    yield "100 idle sessions", idle(found)


def width(s):
    return sum(0 if unicodedata.combining(c) else 1 for c in s)


def heading(found):
    m = found["machine"]
    return (f"{m['date']}, {m['cpus']} CPUs of {m['cpu']}, kernel {m['kernel']}; "
            f"medians of {found['rounds']} rounds of {found['seconds']:g} s")


def text(found):
    out = [heading(found)]
    for title, rows in sections(found):
        if len(rows) < 2:
            continue
        out += ["", title + ":"]
        widths = [max(width(r[i]) for r in rows) for i in range(len(rows[0]))]
        for r in rows:
            cells = [c + " " * (w - width(c)) if i == 0 else " " * (w - width(c)) + c
                     for i, (c, w) in enumerate(zip(r, widths))]
            out.append("  " + "  ".join(cells).rstrip())
    for name, why in found["missing"].items():
        out.append(f"\n{name} was not measured: {why}")
    return "\n".join(out)


def markdown(found):
    out = [heading(found) + ".", "", "![goals](performance.svg)"]
    for title, rows in sections(found):
        if len(rows) < 2:
            continue
        out += ["", f"### {title}", ""]
        for n, r in enumerate(rows):
            out.append("| " + " | ".join(r) + " |")
            if n == 0:
                out.append("| --- |" + " ---: |" * (len(r) - 1))
    return "\n".join(out)


def into_doc(path, body):
    """Replaces what stands between the two marks."""
    with open(path, encoding="utf-8") as f:
        old = f.read()
    head, rest = old.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{head}{BEGIN}\n\n{body}\n\n{END}{tail}")
