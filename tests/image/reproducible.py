#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: serial timeout=7200
"""
Two builds from nothing but the tree, a key and the package archive have the same bytes, though nothing around them is alike.
Slow: two packages, two Debian roots.
"""
import os
import subprocess
import sys
import tempfile
import time

from _appliance import TOP, tool
from tap import case, need, run

# Of the second build: words that compilers, archivers and Python would obey.
OTHER = {"TZ": "Pacific/Kiritimati", "LANG": "tr_TR.UTF-8", "LC_ALL": "C", "LANGUAGE": "de", "USER": "nobody", "LOGNAME": "nobody",
         "PYTHONHASHSEED": "7", "PYTHONDONTWRITEBYTECODE": "", "ZSTD_CLEVEL": "1", "TAR_OPTIONS": "--mode=go-rwx"}


def tree(path):
    """This tree's files as they are now, in a repository of their own: the package is made of what git knows."""
    os.makedirs(path)
    files = tool("git", "-C", TOP, "ls-files", "-z")
    tool("tar", "-x", "-C", path, input=tool("tar", "-c", "-C", TOP, "--null", "-T", "-", input=files))
    tool("git", "-C", path, "init", "-q")
    tool("git", "-C", path, "add", "-A")
    return path


def sums(path, key, umask, **env):
    began = time.monotonic()
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME") or k.lower().endswith("_proxy")}
    p = subprocess.run(["make", "DEPS=0", f"UPDATE_KEY={key}", "image"], cwd=tree(path), env={**kept, **env}, umask=umask,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    need(p.returncode == 0, f"make image failed:\n{p.stdout[-3000:]}")
    print(f"built in {time.monotonic() - began:.0f} s", flush=True)
    with open(os.path.join(path, "build/image/SHA256SUMS"), encoding="ascii") as f:
        return f.read()


@case("two builds have the same bytes: elsewhere, later, with another umask, home, time zone and language")
def _():
    with tempfile.TemporaryDirectory(prefix="lgt-repro.", dir=os.environ.get("LGT_IMAGE_TMP", "/var/tmp")) as work:
        key, home = os.path.join(work, "key.pem"), os.path.join(work, "home")
        tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
        os.mkdir(home)
        first = sums(os.path.join(work, "one"), key, 0o022)
        second = sums(os.path.join(work, "deeper/down/two"), key, 0o077, HOME=home, **OTHER)
    need(first == second, f"the builds differ:\n{first}---\n{second}")


if __name__ == "__main__":
    sys.exit(run())
