# SPDX-License-Identifier: BSD-3-Clause
"""
Later versions of the image: its own files with another manifest, signed with the development key; and what an appliance
says of those that it holds.
"""
import io
import json
import os
import tarfile
import tempfile
import time

from _appliance import ARGUMENTS, BOOT_SECS, IMAGE_DIR, output, tool, wait_for

KEY = os.environ.get("LGT_UPDATE_KEY", os.path.join(IMAGE_DIR, "cache/development.key"))
if not os.path.exists(KEY):
    KEY = os.path.expanduser("~/.local/share/lichgate/development.key")
# The second serial port is the test's in every version.
SHELL = " " + ARGUMENTS
POLL_SECS = 5


def version_of(version, more, path):
    """Writes an update file: that version, with more words on the kernel's command line."""
    with tarfile.open(output("update")) as old, tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as new:
        said = json.load(old.extractfile("manifest.json"))
        said.update(version=version, cmdline=said["cmdline"] + more)
        text = json.dumps(said).encode()
        for name, data in (("manifest.json", text), ("manifest.sig", signature(text))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
        for name in said["files"]:
            new.addfile(old.getmember(name), old.extractfile(name))
    return path


def signature(data):
    """openssl signs Ed25519 from files only."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        return tool("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", KEY, "-in", f.name)


def status(box):
    return json.loads(box.sh("lichgate-appliance status --json", BOOT_SECS))


def until(box, secs, why, right):
    """The status that is right; asked for now and then, the machine is slow."""
    def asked():
        now = status(box)
        if right(now):
            return now
        time.sleep(POLL_SECS)
        return None
    return wait_for(asked, secs, why)
