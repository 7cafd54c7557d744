#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where the target's time goes under one load: perf record, folded stacks, a flame graph as SVG.

    flame.py --load r32 --contender "lichgate null"

writes OUT/flame-LOAD-CONTENDER.svg and .folded (one stack a line, frames joined by ';', and its samples). Stacks are as
deep as frame pointers lead: `make flame` builds with them.
"""
import argparse
import collections
import os
import subprocess
import sys
from xml.sax.saxutils import escape

import _contender
import _machine
import _plan

WIDTH, ROW, SIDE, TOP = 1000, 15, 10, 40
LEAST = 0.004  # narrower frames are left out: the figure stays small
STYLE = """
text { font: 10px monospace; fill: #10181f } .h { font: 13px sans-serif } rect { stroke: #fff; stroke-width: 0.4 }
"""


def event():
    """The best clock that this machine has."""
    p = subprocess.run(["perf", "stat", "-x", ",", "-e", "cycles", "true"], capture_output=True, text=True, check=False)
    return "cpu-clock" if p.returncode or "not supported" in p.stderr else "cycles"


def record(pid, secs, data):
    return subprocess.Popen(["perf", "record", "-q", "-F", "997", "-e", event(), "--call-graph", "fp", "-p", str(pid),
                             "-o", data, "--", "sleep", str(secs)], stderr=subprocess.PIPE, text=True)


def fold(data):
    """{(frame, …) from the outside in: samples}; kernel frames end in _[k]."""
    out = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"], capture_output=True, text=True,
                         errors="replace", check=True).stdout
    stacks = collections.Counter()
    for block in out.split("\n\n"):
        lines = block.strip("\n").splitlines()
        if len(lines) < 2:
            continue
        # Libraries without frame pointers leave holes; what called them is known all the same.
        frames = [f for f in map(frame, lines[1:]) if f != "[unknown]"]
        if frames:
            stacks[(lines[0].strip(), *reversed(frames))] += 1
    return stacks


def frame(line):
    _, _, rest = line.strip().partition(" ")
    name, _, dso = rest.rpartition(" (")
    kernel = dso.startswith("[kernel") or dso.startswith("[unknown])") and name.startswith("0xffff")
    return name.partition("+0x")[0] + ("_[k]" if kernel else "")


def tree(stacks):
    root = {"n": 0, "kids": {}}
    for stack, n in stacks.items():
        node = root
        node["n"] += n
        for name in stack:
            node = node["kids"].setdefault(name, {"n": 0, "kids": {}})
            node["n"] += n
    return root


def depth(node, least):
    return 1 + max([depth(k, least) for k in node["kids"].values() if k["n"] >= least] or [0])


def colour(name):
    """One colour for one function: kernel blue, our own warm."""
    h = sum(ord(c) * (i + 7) for i, c in enumerate(name))
    if name.endswith("_[k]"):
        return f"rgb({120 + h % 40},{170 + h % 50},{215 + h % 35})"
    return f"rgb({225 + h % 30},{130 + h % 90},{70 + h % 40})"


def draw(node, x, level, scale, bottom, least, total):
    out = []
    for name, kid in sorted(node["kids"].items()):
        if kid["n"] < least:
            continue
        w, y = kid["n"] * scale, bottom - (level + 1) * ROW
        share = 100 * kid["n"] / total
        text = escape(name.removesuffix("_[k]")[:int(w / 6.1)]) if w > 20 else ""
        out.append(f'<g><title>{escape(name)}: {share:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{w:.1f}" '
                   f'height="{ROW - 1}" fill="{colour(name)}"/>'
                   + (f'<text x="{x + 2:.1f}" y="{y + 11}">{text}</text>' if text else "") + "</g>")
        out += draw(kid, x, level + 1, scale, bottom, least, total)
        x += w
    return out


def svg(stacks, title):
    root = tree(stacks)
    least = max(1, LEAST * root["n"])
    height = TOP + depth(root, least) * ROW
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * SIDE}" height="{height}" '
            f'viewBox="0 0 {WIDTH + 2 * SIDE} {height}">', f"<style>{STYLE}</style>",
            f'<rect width="100%" height="100%" fill="#fff"/><text class="h" x="{SIDE}" y="20">{escape(title)}</text>']
    body = draw(root, SIDE, 0, WIDTH / root["n"], height - 8, least, root["n"])
    return "\n".join(head + body + ["</svg>"]) + "\n"


def shares(stacks, n=12):
    """Functions by their own time, most first."""
    own = collections.Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
    total = sum(own.values())
    return [(name, 100 * count / total) for name, count in own.most_common(n)]


def options():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--load", default="r32", choices=_plan.LOADS)
    ap.add_argument("--contender", default=_plan.NULL)
    ap.add_argument("--seconds", type=float, default=5)
    ap.add_argument("--size", type=int, default=256, help="MiB of the files (256)")
    ap.add_argument("--out", default=os.path.join(_contender.L.BUILD, "bench"))
    return ap.parse_args()


def profile(c, load, o, base):
    argv = [_contender.LEAN, "--url", c.url, "--seconds", str(o.seconds + 1), "--warmup", "0.3", *load.args]
    argv += ["--cpu", str(c.client)] if c.client is not None else []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as client:
        perf = record(c.pid, o.seconds, base + ".data")
        said = perf.communicate()[1]
        figures = client.communicate()[0].splitlines()
    if perf.returncode or client.returncode:
        raise RuntimeError(f"perf record or the load failed: {said.strip()}")
    stacks = fold(base + ".data")
    os.unlink(base + ".data")
    return stacks, figures[0]


def main():
    o = options()
    load = _plan.LOADS[o.load]
    os.makedirs(o.out, exist_ok=True)
    base = os.path.join(o.out, f"flame-{o.load}-{o.contender.replace(' ', '-')}")
    cpus = _machine.cpus()
    if not cpus:
        print("flame: two CPUs are needed.", file=sys.stderr)
        return 2
    try:
        with _contender.Field(cpus, o.size << 20) as field:
            if o.contender not in field.all:
                raise RuntimeError(f"{o.contender} is none of: {', '.join(field.all)}")
            stacks, figures = profile(field.all[o.contender], load, o, base)
    except (RuntimeError, OSError, subprocess.SubprocessError, _contender.L.Refused, AssertionError) as e:
        print(f"flame: {e}", file=sys.stderr)
        return 1
    if not stacks:
        print("flame: perf took no sample.", file=sys.stderr)
        return 1
    with open(base + ".folded", "w", encoding="utf-8") as f:
        f.writelines(f"{';'.join(s)} {n}\n" for s, n in sorted(stacks.items()))
    with open(base + ".svg", "w", encoding="utf-8") as f:
        f.write(svg(stacks, f"{o.contender}, {load.title}: {figures}"))
    for name, share in shares(stacks):
        print(f"{share:5.1f} %  {name}")
    print(f"{base}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
