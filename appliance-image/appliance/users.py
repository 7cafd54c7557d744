# SPDX-License-Identifier: BSD-3-Clause
"""
The administrator: root, whose password is also the console's. SSH is served once there is a key or a password, unless the
option "ssh" says no: its unit starts only if SSH_ON is there.
"""
import ctypes
import os
import tempfile
import time

from . import Refused, paths, settings, tools

SHADOW = paths.at("/etc/shadow")
KEYS = paths.at("/etc/ssh/authorized_keys")
HOST_KEY = paths.at("/etc/ssh/ssh_host_ed25519_key")
# Sorts before what else is said to the SSH server: it takes the first word.
KEYS_ONLY = paths.at("/etc/ssh/sshd_config.d/10-keys-only.conf")
SSH_ON = paths.at("/var/lib/appliance/ssh-enabled")
# In SHADOW, as long as nobody has set one.
NO_PASSWORD = ("", "*", "!", "!*")
DAY = 86400


def library():
    lib = ctypes.CDLL("libcrypt.so.1")
    lib.crypt.restype = lib.crypt_gensalt.restype = ctypes.c_char_p
    return lib


def hashed(password):
    if "\0" in password:
        # crypt() would take what comes before it, nothing perhaps.
        raise Refused("a password cannot have a NUL character")
    lib = library()
    found = lib.crypt(password.encode(), lib.crypt_gensalt(b"$y$", 0, None, 0))
    if not found or not found.startswith(b"$"):
        raise Refused("the password cannot be hashed")
    return found.decode()


def is_password(password):
    stored = stored_hash()
    found = library().crypt(password.encode(), stored.encode()) if stored else None
    # What crypt() says of a hash that it does not know, a locked one for example, begins with a star.
    return found is not None and not found.startswith(b"*") and found.decode() == stored


def stored_hash():
    """The administrator's, also a locked one, or None as long as there is none."""
    for line in tools.read(SHADOW).splitlines():
        fields = line.split(":")
        if fields[0] == "root" and len(fields) > 1 and fields[1] not in NO_PASSWORD:
            return fields[1]
    return None


def set_hash(value):
    """None: no password, and no login by one."""
    lines = tools.read(SHADOW).splitlines()
    for i, line in enumerate(lines):
        fields = line.split(":")
        if fields[0] == "root" and len(fields) > 2 and fields[1] != (value or "*"):
            lines[i] = ":".join(["root", value or "*", str(int(time.time()) // DAY), *fields[3:]])
    if not any(line.startswith("root:") for line in lines):
        raise Refused("/etc/shadow has no line for root")
    tools.write(SHADOW, "\n".join(lines) + "\n", 0o640 if not paths.ROOT else 0o600)
    if not paths.ROOT:
        os.chown(SHADOW, 0, os.stat("/etc/gshadow").st_gid)


def write(before, now):
    """
    Password, keys and whether SSH is served, from the settings; True if SSH's state may have changed. A password that
    `passwd` has set stays until the settings' changes.
    """
    changed = now.get("password_hash") != before.get("password_hash")
    if changed:
        set_hash(now.get("password_hash"))
    keys = now.get("ssh_keys", [])
    changed |= tools.write(KEYS, "".join(k + "\n" for k in keys), 0o600) if keys else tools.remove(KEYS)
    options = now.get("options", {})
    by_password = options.get("ssh_password", True)
    changed |= tools.remove(KEYS_ONLY) if by_password else tools.write(KEYS_ONLY, "PasswordAuthentication no\n")
    wanted = options.get("ssh", True) and bool(keys or by_password and stored_hash())
    changed |= tools.write(SSH_ON, "") if wanted else tools.remove(SSH_ON)
    return changed


def activate():
    """The unit looks for SSH_ON itself, and sessions that are open stay."""
    tools.systemctl("reload-or-restart" if os.path.exists(SSH_ON) else "stop", "ssh.service")


def change(**what):
    """Sets "password_hash", "ssh_keys" or "options" on a running appliance."""
    before = settings.kept()
    now = {**before, **what}
    changed = write(before, now)
    settings.keep(now)
    if changed:
        activate()


def host_key():
    """Made once. One kind, which every client has known for ten years: an RSA key would take slow machines seconds."""
    if tools.read(HOST_KEY):
        return
    with tempfile.TemporaryDirectory(dir=None if paths.ROOT else "/run") as folder:
        tools.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{folder}/key")
        # Whole or not at all, and the half that counts as the last: a power cut leaves nothing that is taken for a key.
        tools.write(HOST_KEY + ".pub", tools.read(f"{folder}/key.pub"))
        tools.write(HOST_KEY, tools.read(f"{folder}/key"), 0o600)
