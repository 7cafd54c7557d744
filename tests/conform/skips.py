# SPDX-License-Identifier: BSD-3-Clause
"""Which tests of the suite need not run on which kinds of LUN: the table `skips`.

A line is `KINDS: TESTS  reason`; both are patterns as in a shell, several of them with commas.
"""
import fnmatch
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))


class Line:
    def __init__(self, text):
        m = re.fullmatch(r"(\S+): (\S+)  (\S.*)", text)
        if not m:
            raise ValueError(f"tests/conform/skips: {text}")
        self.text = text
        self.kinds, self.tests = m[1].split(","), m[2].split(",")
        self.why = m[3]
        self.used = False

    def about(self, name):
        return any(fnmatch.fnmatchcase(name, t) for t in self.tests)

    def allows(self, kind, name):
        return self.about(name) and any(fnmatch.fnmatchcase(kind, k) for k in self.kinds)


class Skips:
    def __init__(self):
        with open(os.path.join(HERE, "skips"), encoding="utf-8") as f:
            self.lines = [Line(t.rstrip("\n")) for t in f if t.strip() and not t.startswith("#")]

    def allows(self, kind, name):
        hits = [line for line in self.lines if line.allows(kind, name)]
        for line in hits:
            line.used = True
        return bool(hits)

    def never(self, name):
        """Why no kind of LUN can have it; empty if some must."""
        return next((line.why for line in self.lines if line.kinds == ["*"] and line.about(name)), "")

    def unused(self):
        return [line.text for line in self.lines if not line.used]
