#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Form: licence lines, layout, roadmaps, corpora, and nothing in the tree that belongs to one machine."""
import os
import re

import _lint

SOURCE = (".c", ".h", ".py", ".sh", ".mk")
COLUMNS = 100
# A comment beside code may stand out a little further.
COLUMNS_COMMENT = 120
# Long on purpose: tables and links. Recorded output and corpora are as they came.
RAW = ("tests/fuzz/corpus/", "tests/conform/expected")
OPEN_END = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
# Registries' and mirrors' hosts, and paths of somebody's machine.
LOCAL = re.compile(r"(deb\.deb" + r"ian\.org|archive\.ubu" + r"ntu|pypi\.o" + r"rg|registry\.npm|proxy\.gol" +
                   r"ang|crates\.i" + r"o\b|(?<![\w.])/wo" + r"rk/|/home/\w+/|/tmp/b" + r"-)")


def is_text(path):
    with open(path, "rb") as f:
        return b"\0" not in f.read(8000)


def lines(paths):
    for p in paths:
        for n, line in enumerate(_lint.read(p).splitlines(), 1):
            yield p, n, line


def is_script(path):
    with open(path, "rb") as f:
        return f.read(2) == b"#!"


def width(line):
    return len(line.expandtabs(8))


def code_widths(paths):
    """Without comments; literals keep their length, and a long one may not be split."""
    for p in paths:
        kept = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", "", m.group(0)), _lint.read(p), flags=re.S)
        for n, line in enumerate(kept.splitlines(), 1):
            yield p, n, width(re.sub(r"\s*//.*", "", line).rstrip())


every = [p for p in _lint.files() if not p.startswith(RAW) and is_text(p)]
source = [p for p in every if p.endswith(SOURCE) or os.path.basename(p) == "Makefile" or is_script(p)]
c_files = [p for p in source if p.endswith((".c", ".h"))]

_lint.rule("each source file names its licence",
           [f"{p}: no SPDX-License-Identifier: BSD-3-Clause" for p in source
            if "SPDX-License-Identifier: BSD-3-Clause" not in "\n".join(_lint.read(p).splitlines()[:4])])
_lint.rule("nothing is left open",
           [f"{p}:{n}: {line.strip()}" for p, n, line in lines(source) if OPEN_END.search(line)])
_lint.rule("no space at the end of a line",
           [f"{p}:{n}" for p, n, line in lines(every) if line != line.rstrip()])
_lint.rule(f"C lines have at most {COLUMNS} columns",
           [f"{p}:{n}: {width(line)}" for p, n, line in lines(c_files) if width(line) > COLUMNS_COMMENT] +
           [f"{p}:{n}: {len_}" for p, n, len_ in code_widths(c_files) if len_ > COLUMNS])
_lint.rule("C is indented by tabs",
           [f"{p}:{n}" for p, n, line in lines(c_files) if re.match(r"\t* {8}", line)])
_lint.rule("files end in a newline",
           [p for p in every if _lint.read(p) and not _lint.read(p).endswith("\n")])
_lint.rule("nothing names a package registry's host or somebody's machine",
           [f"{p}:{n}: {line.strip()}" for p, n, line in lines(every) if LOCAL.search(line)])

roadmap = []
for folder in sorted({os.path.dirname(p) for p in c_files if not p.startswith("tests/unit/")}):
    readme = os.path.join(folder, "README.md")
    if not os.path.isfile(readme):
        roadmap.append(f"{folder}: no README.md")
        continue
    said = _lint.read(readme)
    roadmap += [f"{readme}: does not name {os.path.basename(p)}" for p in c_files
                if os.path.dirname(p) == folder and p.endswith(".c")
                and not re.search(r"\b" + re.escape(os.path.basename(p)[:-2]) + r"\b", said)]
_lint.rule("each folder's README.md names its files", roadmap)

harnesses = [re.sub(r".*/fuzz_(.*)\.c$", r"\1", p) for p in c_files if p.startswith("tests/fuzz/fuzz_")]
_lint.rule("each fuzz harness has a corpus",
           [f"tests/fuzz/corpus/{h}: missing or empty" for h in harnesses
            if not os.path.isdir(f"tests/fuzz/corpus/{h}") or not os.listdir(f"tests/fuzz/corpus/{h}")])
_lint.end()
