#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The layer rule: who may include whom, spelled from the root of the tree."""
import os
import re

import _lint

BASE = ["gateway/base"]
CORE = ["gateway/core"] + BASE
API = ["gateway/api"] + CORE
# A folder that is not named here may include nothing of the project: a new layer has to be entered.
MAY_INCLUDE = {
    "gateway/base": [],
    "gateway/core": BASE,
    "gateway/api": CORE,
    "gateway/scsi": API,
    "gateway/model": ["gateway/scsi"] + API,
    "gateway/control": API,
    "iscsi": API,
    "iser": ["iscsi"] + API,
    "backend": ["gateway/api/backend.h"] + CORE,
    "mgmt": BASE,
}
# The wiring knows everybody.
FREE = {"gateway/main.c"}
PRODUCT = ("gateway/", "iscsi/", "iser/", "backend/", "mgmt/")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def includes():
    for path in _lint.files(".c", ".h"):
        for n, line in enumerate(_lint.read(path).splitlines(), 1):
            m = INCLUDE.match(line)
            if m:
                yield path, n, m.group(1)


def is_open(folder, target):
    allowed = MAY_INCLUDE.get(folder, []) + [folder]
    return target in allowed or os.path.dirname(target) in allowed


layer, spelled, private = [], [], []
for path, n, target in includes():
    where = f"{path}:{n}: includes {target}"
    folder = os.path.dirname(path)
    product = path.startswith(PRODUCT)
    if not os.path.isfile(target):
        # Tests may have a header beside them.
        if product or not os.path.isfile(os.path.join(folder, target)):
            spelled.append(where + ", which is no path from the root")
        continue
    if target.endswith("_priv.h") and os.path.dirname(target) != folder:
        unit_of = folder.removeprefix("tests/unit/") if folder.startswith("tests/unit/") else None
        if not unit_of or not target.startswith((unit_of + "/", "gateway/" + unit_of + "/")):
            private.append(where + ", private to another folder")
    if product and path not in FREE and not is_open(folder, target):
        layer.append(where + ", which its layer may not")

_lint.rule("includes follow the layers", layer)
_lint.rule("includes are spelled from the root", spelled)
_lint.rule("private headers stay in their folder", private)
_lint.end()
