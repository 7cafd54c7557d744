#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""support-bundle on a directory with secrets in every place: none of them is in the file that it writes."""
import gzip
import io
import json
import lzma
import os
import socket
import tarfile

import _root
from _root import ROOT, command, path, put, script
from tap import case, need, run
from appliance import Refused, support_bundle  # noqa: E402


def refused(func, *args):
    try:
        func(*args)
    except Refused as why:
        return str(why)
    raise AssertionError(f"{args} was not refused")


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "".join(f"b3BlbnNzaC1rZXktdjEAAAAA{n}Line{n}xyz\n" for n in range(4)) + \
    "-----END OPENSSH PRIVATE KEY-----\n"
HASH = "$y$j9T$abcdefgh12345678$ZyXwVuTsRqPoNmLkJiHgFeDcBa0987654321abcdefg"
OLD_HASH = "$6$saltsalt$0123456789abcdefghijABCDEFGHIJ./0123456789abcdefghijABCDEFGHIJ./0123456789abcd"
# The first ones are kept somewhere and told everywhere; the others are in texts alone, known by what is around them.
KNOWN = 13
PLANTED = {
    "a CHAP secret": "chap-Secret-1234", "a former CHAP secret": "old\"quoted\\Secret", "a discovery secret": "disc0very-pass",
    "appliance.json": "from-appliance-json", "a list in appliance.json": "listed-in-appliance-json", "user-data": "from-user-data",
    "a mistaken account": "u:not-an-object",
    "a list of user-data": "chpasswd-in-seed", "settings": "settings-password-7", "a password hash": HASH,
    "a former hash": OLD_HASH, "a line of an SSH key": "b3BlbnNzaC1rZXktdjEAAAAA2Line2xyz", "a user's key": "dXNlcnMgcHJpdmF0ZSBrZXkK",
    "typed at lgtadm": "typed-At-Prompt", "an option": "given-As-Option", "an assignment": "assigned=Value9", "JSON in a log": "logged-In-Json",
    "an unknown hash": "$6$otherhash$ABCDEFGHabcdefgh0123456789", "an unknown key": "c29tZWJvZHkgZWxzZSdzIGtleQ==",
}


def secretive():
    """An appliance that has secrets wherever one can be, and whose commands and logs all tell them."""
    _root.empty()
    p = PLANTED
    account = json.dumps({"key": "account:u", "name": "u", "secret": p["a CHAP secret"]})
    former = json.dumps({"key": "account:u", "name": "u", "secret": p["a former CHAP secret"]})
    put("/var/lib/lichgate/config.db", f"SQLite format 3\0\1\2{account}\3\4{former}\5")
    put("/var/lib/lichgate/config.db-wal", json.dumps({"name": "d", "secret": p["a discovery secret"]}))
    put("/boot/appliance.json", json.dumps({"hostname": "box", "targets": [{"chap": {"user": "u", "password": p["appliance.json"]}},
                                                                           {"chap": p["a mistaken account"]}],
                                            "passwords": {"root": [p["a list in appliance.json"]]}}))
    put("/boot/seed/user-data", f"#cloud-config\npassword: {p['user-data']}\nchpasswd:\n  list: |\n    root:{p['a list of user-data']}\n")
    put("/var/lib/appliance/settings.json", json.dumps({"hostname": "box", "password": p["settings"]}))
    put("/etc/shadow", f"root:{HASH}:19000:0:99999:7:::\ndaemon:*:1::::::\n")
    put("/etc/shadow-", f"root:{OLD_HASH}:19000:0:99999:7:::\n")
    put("/etc/ssh/ssh_host_ed25519_key", KEY)
    put("/root/.ssh/id_rsa", f"-----BEGIN RSA PRIVATE KEY-----\n{p['a user' + chr(39) + 's key']}\n-----END RSA PRIVATE KEY-----\n")
    put("/etc/lichgate/notes", " and ".join(list(p.values())[:KNOWN]))
    put("/etc/systemd/network/10-eth0.network", f"[Network]\nDHCP=yes\n# {p['a CHAP secret']}\n")
    put("/proc/cmdline", "console=ttyS0 lichgate.roothash=abcdef\n")
    tell = "\n".join([
        "kernel: a line that stays", *[f"sshd: {what}: {s}" for what, s in list(p.items())[:KNOWN]],
        f"sudo: root : COMMAND=/usr/sbin/lgtadm -m account -o new -u x -p {p['typed at lgtadm']}",
        f"sudo: COMMAND=lgtadm --user x --password {p['an option']} --op new", f"env: CHAP_PASSWORD={p['an assignment']}",
        json.dumps({"auth_secret": p["JSON in a log"]}), f"hash {p['an unknown hash']} end",
        f"-----BEGIN PRIVATE KEY-----\n{p['an unknown key']}\n-----END PRIVATE KEY-----", "kernel: the last line"])
    put("/say", tell)
    for name in ("journalctl", "dmesg", "lgtadm", "ip", "lichgate-appliance", "systemctl"):
        script(f"/bin/{name}", f'exec /bin/cat "{ROOT}/say"\n')
    script("/bin/nft", f'/bin/cat "{ROOT}/say"\n/bin/cat "{ROOT}/say" >&2\nexit 3\n')
    os.environ["PATH"] = path("bin")


def every_byte(data):
    """A bundle's bytes and those of all members, unpacked as far as they can be."""
    yield data
    if data.startswith(b"\xfd7zXZ"):
        yield from every_byte(lzma.decompress(data))
    elif data.startswith(b"\x1f\x8b"):
        yield from every_byte(gzip.decompress(data))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                yield member.name.encode()
                yield from every_byte(tar.extractfile(member).read())


def found_in(data):
    return [what for what, secret in PLANTED.items()
            if any(s.encode() in part for part in every_byte(data) for s in (secret, json.dumps(secret)[1:-1]))]


@case("the search finds what is planted, packed once and twice")
def _():
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as tar:
        member = tarfile.TarInfo("x.gz")
        packed = gzip.compress(PLANTED["appliance.json"].encode())
        member.size = len(packed)
        tar.addfile(member, io.BytesIO(packed))
    need(found_in(inner.getvalue()) == ["appliance.json"])


@case("support-bundle: no secret of those planted in every place is in it, and what is none stays")
def _():
    secretive()
    code, out, err = command("support-bundle")
    need(code == 0 and not err, err)
    file = out.strip()
    need(os.stat(file).st_mode & 0o777 == 0o600, "for its owner alone")
    with open(file, "rb") as f:
        data = f.read()
    need(not found_in(data), found_in(data))
    with tarfile.open(file) as tar:
        text = {m.name.partition("/")[2]: tar.extractfile(m).read().decode() for m in tar}
    need("a line that stays" in text["journal.txt"] and "the last line" in text["journal.txt"], text["journal.txt"])
    need("DHCP=yes" in text["files/etc/systemd/network/10-eth0.network"])
    need("roothash=abcdef" in text["files/proc/cmdline"], "a hash that is none of a password stays")
    need(json.loads(text["files/boot/appliance.json"])["hostname"] == "box")
    need("(exit 3)" in text["network/firewall.txt"] and "No such file" in text["version/kernel.txt"], "failures are told")
    need(not any(name.startswith(("files/etc/shadow", "files/etc/ssh", "files/boot/seed", "files/var/lib/lichgate")) for name in text))


@case("support-bundle: an appliance.json that is no JSON is left out; nothing is written where nothing can be")
def _():
    secretive()
    put("/boot/appliance.json", '{"password": "' + PLANTED["appliance.json"] + '", broken')
    out = path("out.tar.xz")
    need(command("support-bundle", "--output", out)[0] == 0)
    with tarfile.open(out) as tar:
        for m in tar:
            need(not m.name.endswith("/appliance.json") or b"left out" in tar.extractfile(m).read())
    code, _, err = command("support-bundle", "--output", path("none/x.tar.xz"))
    need(code == 1 and len(err.splitlines()) == 1 and not os.path.exists(path("none")), err)
    os.symlink(out, path("link"))
    os.mkfifo(path("fifo"))
    for name in ("link", "fifo"):
        before = os.lstat(path(name)).st_ino
        code, _, err = command("support-bundle", "--output", path(name))
        need(code == 1 and "no regular file" in err and os.lstat(path(name)).st_ino == before, err)


@case("support-bundle: if a secret slips through, nothing is written")
def _():
    secretive()
    keep, support_bundle.clean = support_bundle.clean, lambda text, known: text
    try:
        need("still in" in refused(support_bundle.make, path("slip.tar.xz")))
        need(not os.path.exists(path("slip.tar.xz")))
    finally:
        support_bundle.clean = keep


@case("support-bundle: a secret that is a word of its own, the machine's name among them, keeps nobody from having one")
def _():
    for word in ("lichgate", "configuration.json", "removed", "0000000", "storage-box"):
        secretive()
        put("/var/lib/lichgate/config.db-wal", json.dumps({"name": "d", "secret": word}))
        put("/say", f"it says {word} here\n")
        keep, socket.gethostname = socket.gethostname, lambda: "storage-box"
        try:
            code, out, err = command("support-bundle")
        finally:
            socket.gethostname = keep
        need(code == 0 and ("storage-box" in out) == (word != "storage-box"), (out, err))
        with tarfile.open(out.strip()) as tar:
            said = {m.name.partition("/")[2]: tar.extractfile(m).read() for m in tar}["journal.txt"]
        need(said == b"it says (removed) here\n", said)


@case("support-bundle: the last four are kept")
def _():
    secretive()
    for n in range(6):
        put(f"/var/lib/appliance/support/lichgate-support-box-{n}.tar.xz", "old")
        os.utime(path(f"/var/lib/appliance/support/lichgate-support-box-{n}.tar.xz"), (n, n))
    need(command("support-bundle")[0] == 0)
    names = sorted(os.listdir(path("var/lib/appliance/support")))
    need(len(names) == 4 and names[0].endswith("box-3.tar.xz"), names)



raise SystemExit(run())
