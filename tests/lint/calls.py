#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the product must not call, and where it must not allocate."""
import os
import re

import _lint

PRODUCT = ("gateway/", "iscsi/", "iser/", "backend/", "mgmt/")
DATA_PATH = ("gateway/core/", "gateway/scsi/", "gateway/model/", "iscsi/", "iser/", "backend/")
MAY_EXIT = {"gateway/main.c", "gateway/base/bug.c", "mgmt/mgmtd.c", "mgmt/lgtadm.c", "mgmt/lgt_admin.c"}
FORBIDDEN = ("strcpy strcat sprintf vsprintf gets rand srand random alloca atoi atol atoll strtok tmpnam "
             "mktemp tempnam system popen usleep gethostbyname inet_ntoa inet_addr readdir_r asctime ctime "
             "localtime gmtime bcopy bzero").split()
BLOCKING = "sleep nanosleep poll select getaddrinfo pthread_mutex_lock pthread_cond_wait sem_wait".split()
ALLOC = "malloc calloc realloc reallocarray strdup strndup asprintf vasprintf aligned_alloc posix_memalign".split()
ALLOWED = os.path.join(os.path.dirname(__file__), "data-path.allow")


def calls(path, names):
    """(line, function that contains it, called name)"""
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
    inside = "?"
    for n, line in enumerate(_lint.code(path).splitlines(), 1):
        m = re.match(r"(\w+)\(", line)
        if m:
            inside = m.group(1)
            continue
        for m in pattern.finditer(line):
            yield n, inside, m.group(1)


def allowed():
    """path:function or path:* → reason"""
    rows = {}
    for line in _lint.read(ALLOWED).splitlines():
        if line and not line.startswith("#"):
            key, _, reason = line.partition(" ")
            rows[key] = reason.strip()
    return rows


sources = [p for p in _lint.files(".c", ".h") if p.startswith(PRODUCT)]
data_path = [p for p in sources if p.startswith(DATA_PATH)]
rows = allowed()
used = set()


def not_allowed(path, n, inside, name):
    for key in (f"{path}:{inside}", f"{path}:*"):
        if key in rows:
            used.add(key)
            return []
    return [f"{path}:{n}: {inside}() calls {name}()"]


_lint.rule("no forbidden function is called",
           [f"{p}:{n}: {name}()" for p in sources for n, _, name in calls(p, FORBIDDEN)])
_lint.rule("only main files end the process",
           [f"{p}:{n}: {name}()" for p in sources if p not in MAY_EXIT
            for n, _, name in calls(p, ["exit", "_exit", "_Exit", "quick_exit", "abort"])])
_lint.rule("the data path does not allocate",
           [w for p in data_path for n, f, name in calls(p, ALLOC) for w in not_allowed(p, n, f, name)])
_lint.rule("the data path does not block",
           [w for p in data_path for n, f, name in calls(p, BLOCKING) for w in not_allowed(p, n, f, name)])
_lint.rule("each allowance has a reason and is needed",
           [f"tests/lint/data-path.allow: {key} gives no reason" for key, why in rows.items() if not why] +
           [f"tests/lint/data-path.allow: {key} is not needed" for key in rows if key not in used])
_lint.end()
