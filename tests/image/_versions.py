# SPDX-License-Identifier: BSD-3-Clause
"""Later versions of the image: its own files with another manifest, signed with the development key."""
import io
import json
import os
import tarfile
import tempfile

from _appliance import IMAGE_DIR, output, tool

KEY = os.environ.get("LGT_UPDATE_KEY", os.path.join(IMAGE_DIR, "cache/development.key"))
# The second serial port is the test's in every version.
SHELL = " systemd.debug_shell=ttyS1"


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
