#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""config-export and config-import with the daemons themselves: one appliance becomes another one."""
import json
import os
import subprocess
import sys

from _root import TOP, command, everything, path, put
from _setup import calls, machine, program, settings

from lab import Lab, require_built, wait_for  # noqa: E402 (_root sets the path)
from tap import case, need, run  # noqa: E402

from appliance import store  # noqa: E402

SECRET = "known-to-the-two"
FILE = path("export.json")
# The first appliance's database stands where the command looks for it; so does the second one's.
STATE = path("var/lib/lichgate")


def use(lab):
    """This lab is the appliance that the command works on."""
    os.makedirs(os.path.dirname(STATE), exist_ok=True)
    if os.path.islink(STATE):
        os.unlink(STATE)
    os.symlink(lab.path("state"), STATE)
    os.environ.update({key: lab.env[key] for key in ("LGT_RUN_DIR", "TGT_IPC_SOCKET")})


# Stands in for systemd: the test itself looks after the daemons.
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>"$LICHGATE_ROOT/calls"
case $3 in *eth9*) echo "systemctl: a dependency failed" >&2; exit 1 ;; esac
case $2 in *mgmtd*) ;; *) exit 0 ;; esac
rm -f "$LICHGATE_ROOT/answer"
echo "$1" >"$LICHGATE_ROOT/request.new"
mv "$LICHGATE_ROOT/request.new" "$LICHGATE_ROOT/request"
while ! [ -e "$LICHGATE_ROOT/answer" ]; do sleep 0.02; done
"""


def imported(lab, *words):
    """config-import in a process of its own, its requests to systemd carried out here."""
    p = subprocess.Popen([sys.executable, "-Bm", "appliance", "config-import", FILE, *words], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, cwd=os.path.join(TOP, "appliance-image"))

    def look():
        if os.path.exists(path("request")):
            with open(path("request"), encoding="ascii") as f:
                asked = f.read().strip()
            os.unlink(path("request"))
            if asked == "start":
                lab.mgmtd.start()
            elif lab.mgmtd.alive():
                need(not lab.mgmtd.stop())
            put("answer", "")
        return p.poll() is not None
    wait_for(look, 60, "the import ends")
    out, err = p.communicate()
    return p.returncode, out, err


def shown(lab):
    return json.loads(lab.tadm("--json", "-m", "target", "-o", "show"))["targets"]


def identities(targets):
    return [(t["iqn"], t["in"], t["acl"], [(x["lun"], x["naa"], x["serial"], x["scsi_id"], x["path"]) for x in t["luns"]])
            for t in targets]


@case("an export has everything, while the daemon runs")
def _(first, _second):
    need(command("first-boot")[0] == 0)
    first.target(3)
    for lun in (1, 2):
        first.lun(3, lun, put_disk(lun))
    first.account("host", SECRET, 3)
    code, _, err = command("config-export", FILE)
    need(code == 0 and os.stat(FILE).st_mode & 0o777 == 0o600, err)
    with open(FILE, encoding="utf-8") as f:
        text = f.read()
    need(SECRET in text and "OPENSSH PRIVATE KEY" in text and settings()["iqn_base"] in text, text)
    first.expected = identities(shown(first)), settings()
    code, text, _ = command("config-export", "--no-secrets", "-")
    need(code == 0 and SECRET not in text and "PRIVATE KEY" not in text and "password" not in text, text)


def put_disk(number):
    name = path(f"disk{number}")
    with open(name, "wb") as f:
        f.truncate(16 << 20)
    return name


@case("a file that is not right changes nothing")
def _(first, _second):
    with open(FILE, encoding="utf-8") as f:
        good = f.read()
    calls()
    before = everything()

    def other(change):
        found = json.loads(good)
        change(found)
        return json.dumps(found)
    wrong = {
        "not JSON": good[:-9],
        "not ours": other(lambda f: f.update(kind="x")),
        "config-export": "{}",
        "format 9": other(lambda f: f.update(format=9)),
        "has format 7": other(lambda f: f["gateway"].update(format=7)),
        "settings.hostname": other(lambda f: f["settings"].update(hostname="-")),
        "typo": other(lambda f: f["settings"].update(typo=1)),
        "ssh_host_key": other(lambda f: f.update(ssh_host_key="-----BEGIN OPENSSH PRIVATE KEY-----\nbroken\n")),
        "without a key": other(lambda f: f["gateway"]["objects"].append({"key": "target:3"})),
        "unknown kind": other(lambda f: f["gateway"]["objects"].append({"key": "nonsense:1"})),
        "no secrets": other(lambda f: [(o.pop("secret"), o.update(key="account:new"))
                                       for o in f["gateway"]["objects"] if o["key"].startswith("account:")]),
    }
    try:
        for word, text in wrong.items():
            with open(FILE, "w", encoding="utf-8") as f:
                f.write(text)
            code, out, err = command("config-import", FILE)
            need(code == 1 and err.count("\n") == 1, f"{word}: {out}{err}")
            need(word in err or word in ("not JSON", "not ours"), f"{word}: {err}")
            need(SECRET not in out + err, "a secret is told")
    finally:
        with open(FILE, "w", encoding="utf-8") as f:
            f.write(good)
    after = everything()
    for found in (before, after):
        found.pop("/calls", None)
    need(after == before, "something has changed")


@case("another appliance becomes the first one: names, serial numbers, secrets")
def _(first, second):
    use(second)
    os.unlink(path("var/lib/appliance/settings.json"))
    put("etc/ssh/ssh_host_ed25519_key", "other\n")
    need(command("first-boot")[0] == 0 and settings() != first.expected[1])
    second.target(1, iqn="iqn.2026-11.org.example:goes")
    code, out, err = imported(second)
    need(code == 0, out + err)
    need(identities(shown(second)) == first.expected[0], identities(shown(second)))
    need(settings() == first.expected[1], settings())
    need(b"OPENSSH" in open(path("etc/ssh/ssh_host_ed25519_key"), "rb").read())
    need([o["secret"] for o in store.load()[1] if o["key"] == "account:host"] == [SECRET])
    second.tadm("-m", "target", "-o", "update", "-t", 3, "-n", "alias", "-v", "still takes changes")


@case("a port for RDMA in software that this machine lacks is said, and the rest is imported")
def _(_first, second):
    with open(FILE, encoding="utf-8") as f:
        found = json.load(f)
    found["settings"]["options"] = {"soft_roce": ["eth9"]}
    with open(FILE, "w", encoding="utf-8") as f:
        json.dump(found, f)
    code, out, err = imported(second)
    need(code == 0 and "RDMA" in out and out.endswith("imported\n"), f"{code} {out}{err}")


@case("a configuration that the gateway does not take is taken back")
def _(_first, second):
    with open(FILE, encoding="utf-8") as f:
        found = json.load(f)
    before = identities(shown(second))
    for o in found["gateway"]["objects"]:
        if o["key"].startswith("lun:"):
            o["naa"] = "not hex"
    with open(FILE, "w", encoding="utf-8") as f:
        json.dump(found, f)
    code, out, err = imported(second)
    need(code == 1 and "does not take" in err and identities(shown(second)) == before, f"{code} {out}{err}")


require_built()
machine()
os.unlink(path("bin/lgtadm"))
program("systemctl", SYSTEMCTL)
with Lab() as a, Lab() as b:
    os.environ["PATH"] = os.path.dirname(a.tadm_path) + ":" + os.environ["PATH"]
    use(a)
    code = run(a, b)
sys.exit(code)
