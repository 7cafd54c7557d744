#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Other people's checkers: shellcheck over the shell scripts, mandoc over the man pages."""
import shutil
import subprocess

import _lint


def first_line(path):
    with open(path, "rb") as f:
        return f.readline(200)


def checked(name, tool, args, paths):
    if not shutil.which(tool):
        _lint.skip(name, f"{tool} is not installed")
    elif paths:
        out = subprocess.run([tool] + args + paths, capture_output=True, text=True, check=False)
        _lint.rule(name, (out.stdout + out.stderr).splitlines() if out.returncode else [])


shell = [p for p in _lint.files() if first_line(p).startswith((b"#!/bin/sh", b"#!/bin/bash"))]
pages = [p for p in _lint.files() if p.endswith((".1", ".5", ".7", ".8")) and "/man/" in p]
checked("shellcheck", "shellcheck", ["--format=gcc"], shell)
# Style hints about dates and conventions differ between mandoc versions; warnings do not.
checked("mandoc", "mandoc", ["-T", "lint", "-W", "warning"], pages)
_lint.end()
