#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# runner: timeout=300
"""First boot, appliance.json, seeds, data disks and the network's files, on a directory that looks like an appliance."""
import json
import os
import sys

from _root import TOP, command, everything, get, path, put
from _setup import appliance_json, calls, exists, gateway, machine, settings

from tap import Skip, case, need, run  # noqa: E402 (_root sets the path)

from appliance import Refused, apply, luns, network, seed, users  # noqa: E402
from appliance import settings as form  # noqa: E402

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3n5N0m6sGn0wB7uYzUoMZK8b4lP3mYw0Zz7e1a2b3c admin@example"
HASH = "$6$saltsalt$" + "x" * 86
SECRET = "only-the-two-know"


def refused(config):
    try:
        form.check(form.parse(config if isinstance(config, bytes) else json.dumps(config).encode()))
    except Refused as why:
        return str(why)
    return ""


@case("the first boot makes names and a key, and the next one keeps them")
def _():
    code, out, err = command("first-boot")
    need(code == 0 and "lichgate-" in out, out + err)
    made = settings()
    need(get("etc/hostname").decode().strip() == made["hostname"], made)
    need(len(made["hostname"]) == len("lichgate-0123") and made["iqn_base"].startswith("iqn."), made)
    key = get("etc/ssh/ssh_host_ed25519_key")
    put("etc/ssh/ssh_host_ed25519_key", b"kept")
    need(command("first-boot")[0] == 0)
    need(settings() == made and get("etc/ssh/ssh_host_ed25519_key") == b"kept" and key)
    put("etc/ssh/ssh_host_ed25519_key", b"")
    need(command("first-boot")[0] == 0 and get("etc/ssh/ssh_host_ed25519_key") == key, "half a key stays")
    need(not exists("var/lib/appliance/ssh-enabled"), "SSH without a key or a password")
    need(not calls(), "a program was told something before the system has started")


@case("each wrong key or value is one sentence that names it, and changes nothing")
def _():
    port = {"name": "eth0"}
    need(not refused({"ntp": ["fe80::1%eth0", "192.0.2.1"], "network": {"interfaces": [], "dns": ["fe80::1%en-1.5"]}}))
    wrong = {
        "hostnam": ({"hostnam": "x"}, "hostnam"),
        "bad name": ({"hostname": "-x"}, "hostname"),
        "twice": (b'{"hostname": "a", "hostname": "b"}', "twice"),
        "no JSON": (b"{", "JSON"),
        "no object": ([], "object"),
        "deep": (b"[" * 100000, "JSON"),
        "no bits": ({"network": {"interfaces": [{**port, "addresses": ["192.0.2.5"]}]}}, "addresses[0]"),
        "gateway": ({"network": {"interfaces": [{**port, "addresses": ["192.0.2.5/24"], "gateway": "198.51.100.1"}]}},
                    "interfaces[0].gateway"),
        "mtu": ({"network": {"interfaces": [{**port, "mtu": 20}]}}, "interfaces[0].mtu"),
        "number": ({"network": {"interfaces": [{**port, "mtu": True}]}}, "interfaces[0].mtu"),
        "both": ({"network": {"interfaces": [{**port, "mac": "52:54:00:00:00:01"}]}}, "interfaces[0]"),
        "vlan": ({"network": {"interfaces": [{"name": "v", "vlan": 4095, "on": "eth0"}]}}, "vlan"),
        "vlan name": ({"network": {"interfaces": [{"name": "100", "vlan": 100, "on": "eth0"}]}}, "interfaces[0]"),
        "all": ({"network": {"interfaces": [{"name": "all"}]}}, "interfaces[0].name"),
        "same vlan": ({"network": {"interfaces": [{"name": "a", "vlan": 5, "on": "eth0"}, {"name": "b", "vlan": 5, "on": "eth0"}]}},
                      "interfaces[1]"),
        "gateway's port": ({"network": {"interfaces": [{**port, "addresses": ["fe80::2/64"], "gateway": "fe80::1%eth0"}]}},
                           "interfaces[0].gateway"),
        "vlan mtu": ({"network": {"interfaces": [{"name": "v", "vlan": 5, "on": "eth0", "mtu": 9000}]}}, "mtu"),
        "member": ({"network": {"interfaces": [port, {"name": "bond0", "bond": {"members": ["eth0"]}}]}}, "eth0"),
        "folder": ({"network": {"interfaces": [{"name": "../x", "dhcp": True}]}}, "name"),
        "key": ({"ssh_keys": ["ssh-ed25519 AAAA\nssh-rsa x"]}, "ssh_keys[0]"),
        "a key that was cut": ({"ssh_keys": [KEY[:60]]}, "ssh_keys[0]: "),
        "a key of another kind": ({"ssh_keys": [KEY.replace("ssh-ed25519", "ssh-rsa")]}, "ssh_keys[0]: "),
        "hash": ({"password_hash": SECRET}, "password_hash"),
        "chap": ({"targets": [{"chap": {"user": "u", "password": "short"}}]}, "targets[0].chap.password"),
        "chap text": ({"targets": [{"chap": f"host:{SECRET}"}]}, "targets[0].chap"),
        "chap key": ({"targets": [{"chap": {SECRET: "host"}}]}, "targets[0].chap"),
        "chap alone": ({"targets": {"chap": {"user": "u", "password": SECRET}}}, "targets"),
        "iqn": ({"targets": [{"name": "disk"}]}, "targets[0].name"),
        "disks": ({"targets": [{"data_disks": "some"}]}, "data_disks"),
        "same disk": ({"targets": [{"data_disks": ["B1", "B1"]}]}, "data_disks[1]"),
        "same chap": ({"targets": [{"chap": {"user": "u", "password": SECRET}, "mutual_chap": {"user": "u",
                       "password": SECRET}}]}, "targets[0]"),
        "portal": ({"portals": ["192.0.2.1:0"]}, "portals[0]"),
        "closed port": ({"portals": ["192.0.2.1:3261"]}, "portals[0]"),
        "scope": ({"ntp": ["fe80::1%eth0\nx"]}, "ntp[0]"),
        "dns": ({"network": {"interfaces": [], "dns": ["fe80::1%eth0\n[Match]"]}}, "network.dns[0]"),
        "bits": ({"network": {"interfaces": [{**port, "addresses": ["fe80::1%a\nb/64"]}]}}, "addresses[0]"),
        "no portal": ({"portals": []}, "portals"),
        "ntp": ({"ntp": ["a b"]}, "ntp[0]"),
        "half a character": (b'{"ssh_keys": ["ssh-ed25519 %s \\ud800"]}' % (b"A" * 48), "JSON"),
        "digits": ({"targets": [{"name": "iqn.２０２６-11.org.example:a"}]}, "targets[0].name"),
        "pattern": ({"targets": [{"initiators": ["iqn.2026-11.org.example/24"]}]}, "initiators[0]"),
        "initiator": ({"targets": [{"initiators": [5]}]}, "initiators[0]"),
        "option": ({"options": {"ssh": "yes"}}, "options.ssh"),
    }
    before = everything()
    for name, (config, word) in wrong.items():
        said = refused(config)
        need(word in said and "\n" not in said, f"{name}: {said!r}")
        need(SECRET not in said and "short" not in said, f"a secret is told: {said}")
        put("boot/appliance.json", config if isinstance(config, bytes) else json.dumps(config))
        code, out, err = command("apply")
        need(code == 1 and err.count("\n") == 1 and not calls(), f"{name}: {out}{err}")
        os.unlink(path("boot/appliance.json"))
    need(everything() == before, "something has changed")


@case("a stranger's words do not break the sentence, and half a character does not end the program")
def _():
    for word, text in (("\\ud800", r'{"\ud800\n": 1, "\ud800\n": 2}'), ("xxx...", '{"%s": 1, "%s": 1}' % (("x" * 9999,) * 2)),
                       ("\\x1b", json.dumps({"targets": [{"data_disks": ["/dev/\x1b[2J"]}]}))):
        put("boot/appliance.json", text)
        command("first-boot")
        code, out, _ = command("apply", "--boot")
        said = out.splitlines()[-1]
        need(code and word in said and said.isprintable() and len(said) < 1100, ascii(out))
        need(apply.problem().isprintable(), apply.problem())
    os.unlink(path("boot/appliance.json"))


@case("the example in the documentation is right")
def _():
    with open(os.path.join(TOP, "appliance-image/appliance/README.md"), encoding="utf-8") as f:
        example = f.read().partition("```json\n")[2].partition("```")[0]
    need(example and refused(example.encode()) == "", refused(example.encode()))


@case("appliance.json is applied once, in two halves, and again when it changes")
def _():
    appliance_json(hostname="san1", ssh_keys=[KEY], password_hash=HASH, ntp=["192.0.2.123"],
                   network={"interfaces": [{"name": "eth0", "addresses": ["192.0.2.5/24"], "gateway": "192.0.2.1"}]},
                   targets=[{"data_disks": "all", "chap": {"user": "host", "password": SECRET}}])
    code, out, _ = command("first-boot")
    need(code == 0 and not calls(), out)
    need(get("etc/hostname") == b"san1\n" and KEY.encode() in get("etc/ssh/authorized_keys"))
    need(get("etc/shadow").startswith(f"root:{HASH}:".encode()) and exists("var/lib/appliance/ssh-enabled"))
    need(b"NTP=192.0.2.123" in get("etc/systemd/timesyncd.conf.d/lichgate.conf"))
    code, out, err = command("apply", "--boot")
    made = calls()
    need(code == 0 and SECRET not in out + err, out + err)
    name = settings()["iqn_base"] + ":disks"
    need(made == [f"lgtadm -m target -o new -t 1 -T {name}",
                  f"lgtadm -m account -o new -u host -p {SECRET}",
                  "lgtadm -m account -o bind -t 1 -u host",
                  "lgtadm -m logicalunit -o new -t 1 -l 1 -b /dev/disk/by-id/virtio-N1",
                  "lgtadm -m logicalunit -o new -t 1 -l 2 -b /dev/disk/by-id/virtio-B1",
                  "lgtadm -m target -o bind -t 1 -I ALL"], made)
    put("etc/hostname", "by-hand\n")
    for words in (["first-boot"], ["apply", "--boot"]):
        need(command(*words)[0] == 0 and not calls(), words)
    need(SECRET.encode() not in get("var/lib/appliance/applied.json") + get("var/lib/appliance/settings.json"))
    appliance_json(hostname="san2")
    need(command("first-boot")[0] == 0 and get("etc/hostname") == b"san2\n")
    need(get("etc/shadow").startswith(f"root:{HASH}:".encode()), "what the file does not mention has gone")


@case("a refused file leaves what was, says so, and is tried again")
def _():
    appliance_json(hostname="san3", typo=1)
    code, out, _ = command("first-boot")
    need(code == apply.WRONG_FILE and "typo" in out and get("etc/hostname") == b"san2\n", out)
    need("typo" in apply.problem(), apply.problem())
    need(command("apply", "--boot")[0] == apply.WRONG_FILE and not calls())
    appliance_json(hostname="san3", targets=[{"data_disks": ["B1", "X9"]}])
    need(command("first-boot")[0] == 0)
    code, out, _ = command("apply", "--boot")
    need(code == 1 and "X9" in out and not calls(), "part of what cannot be done whole was done")
    appliance_json(hostname="san3", targets=[{"data_disks": ["B1"]}])
    put("refuse", "logicalunit")
    code, out, _ = command("apply", "--boot")
    need(code == 1 and "refused here" in out and calls(), out)
    put("refuse", "nothing-of-this")
    need(command("apply", "--boot")[0] == 0 and calls() and not apply.problem(), "not tried again")


@case("data disks are whole, not the system's, not removable, not in use, not tiny")
def _():
    found = {d["name"]: d for d in luns.disks()}
    need(sorted(found) == ["nvme0n1", "vdb"], sorted(found))
    need(found["vdb"]["serial"] == "B1" and found["vdb"]["path"] == "/dev/disk/by-id/virtio-B1", found)
    put("run/lichgate-system-disk", "vdb\n")
    need([d["name"] for d in luns.disks()] == ["nvme0n1"], "the system's disk")
    os.unlink(path("run/lichgate-system-disk"))
    put("proc/swaps", "Filename Type Size Used Priority\n/dev/vdb partition 1 0 -2\n")
    os.makedirs(path("sys/class/block"), exist_ok=True)
    os.symlink("../../devices/vdb", path("sys/class/block/vdb"))
    put("sys/devices/vdb/dev", "255:0\n")
    need([d["name"] for d in luns.disks()] == ["nvme0n1"], "swap")
    os.unlink(path("proc/swaps"))


@case("two disks with one identity do not become LUNs by themselves, and go by their places")
def _():
    for name, place in (("nvme0n1", "pci-1"), ("vdb", "pci-2")):
        put(f"sys/devices/{name}/wwid", "eui.1\n")
        os.makedirs(path("dev/disk/by-path"), exist_ok=True)
        os.symlink(f"../../{name}", path(f"dev/disk/by-path/{place}"))
    need([d["path"] for d in luns.disks()] == ["/dev/disk/by-path/pci-1", "/dev/disk/by-path/pci-2"], luns.disks())
    try:
        luns.apply(form.check({"targets": [{"name": "iqn.2026-11.org.example:a", "data_disks": "all"}]}), "")
        need(False, "not refused")
    except Refused as why:
        need("one identity" in str(why) and not calls(), why)
    put("sys/devices/vdb/wwid", "eui.2\n")
    need(luns.disks()[1]["path"] == "/dev/disk/by-id/virtio-B1")
    for name in ("nvme0n1", "vdb"):
        os.unlink(path(f"sys/devices/{name}/wwid"))


@case("targets that are there keep their LUNs, and a changed account closes them meanwhile")
def _():
    there = {"tid": 7, "iqn": "iqn.2026-11.org.example:a", "alias": "", "ready": True, "acl": ["192.0.2.9"],
             "acl_names": ["iqn.1994-05.com.example:*"], "in": ["host"], "out": None, "sessions": [],
             "luns": [{"lun": 1, "path": "/dev/disk/by-id/virtio-B1"}]}
    gateway(target={"targets": [there]}, account={"accounts": ["host"]})
    config = form.check({"targets": [{"name": there["iqn"], "data_disks": "all", "initiators": ["192.0.2.0/24"],
                                      "chap": {"user": "host", "password": SECRET}}]})
    luns.apply(config, "")
    need(calls() == ["lgtadm -m target -o update -t 7 -n state -v offline",
                     "lgtadm -m account -o delete -u host",
                     f"lgtadm -m account -o new -u host -p {SECRET}",
                     "lgtadm -m account -o bind -t 7 -u host",
                     "lgtadm -m target -o update -t 7 -n state -v ready",
                     "lgtadm -m logicalunit -o new -t 7 -l 2 -b /dev/disk/by-id/virtio-N1",
                     "lgtadm -m target -o unbind -t 7 -I 192.0.2.9",
                     "lgtadm -m target -o unbind -t 7 -Q iqn.1994-05.com.example:*",
                     "lgtadm -m target -o bind -t 7 -I 192.0.2.0/24"])
    # The power goes after the account's: it is the new one, without its target.
    put("refuse", "bind")
    try:
        luns.apply(config, "")
        need(False, "not refused")
    except Refused:
        need(len(calls()) == 4)
    put("refuse", "nothing-of-this")
    secret, luns.stored_secret = luns.stored_secret, lambda user: SECRET
    cut = {**there, "ready": False, "in": []}
    only = form.check({"targets": [{"name": there["iqn"], "chap": config["targets"][0]["chap"]}]})
    gateway(target={"targets": [cut]}, account={"accounts": []})
    luns.reopen()
    need(not calls(), "a target without its account is opened")
    gateway(target={"targets": [cut]}, account={"accounts": ["host"]})
    luns.reopen()
    need(calls() == ["lgtadm -m account -o bind -t 7 -u host", "lgtadm -m target -o update -t 7 -n state -v ready"])
    need(not exists("var/lib/appliance/renewal.json"))
    gateway(target={"targets": [there]}, account={"accounts": ["host"]})
    luns.apply(only, "")
    need(not calls(), "an account that has the password already is renewed")
    luns.stored_secret = secret
    other = form.check({"targets": [{"name": "iqn.2026-11.org.example:b", "data_disks": ["B1"]}]})
    try:
        luns.apply(other, "")
        need(False, "one disk became two LUNs")
    except Refused as why:
        need("already" in str(why) and not calls(), why)
    gateway()


@case("an admitted address stays admitted when the file is applied again")
def _():
    name = "iqn.2026-11.org.example:a"
    rules = ["192.0.2.9", "192.0.2.9/32", "2001:db8::1", "2001:db8::/32", "192.0.2.0/24"]
    config = form.check({"targets": [{"name": name, "initiators": rules}]})
    luns.apply(config, "")
    need(calls()[1:] == [f"lgtadm -m target -o bind -t 1 -I {r}" for r in [rules[0], *rules[2:]]])
    there = {"tid": 1, "iqn": name, "alias": "", "ready": True, "acl_names": [], "in": [], "out": None,
             "luns": [], "sessions": []}
    for first in rules[:2]:
        gateway(target={"targets": [{**there, "acl": [first, *rules[2:]]}]})
        luns.apply(config, "")
        need(not calls(), "a rule goes")
    gateway()


@case("portals that cannot be leave those that were; a new one comes before an old one goes")
def _():
    gateway(portal={"portals": [{"host": "192.0.2.7", "port": 3260, "tpgt": 1, "transport": "tcp"},
                                {"host": "192.0.2.8", "port": 3260, "tpgt": 1, "transport": "tcp"}]})
    wanted = form.check({"portals": ["192.0.2.9", {"address": "192.0.2.7", "group": 2}]})
    new9, new7 = ("lgtadm -m portal -o new -P portal=192.0.2.9:3260,transport=tcp,tpgt=1",
                  "lgtadm -m portal -o new -P portal=192.0.2.7:3260,transport=tcp,tpgt=")
    old = "lgtadm -m portal -o delete -P portal=192.0.2.%d:3260,transport=tcp"
    luns.apply(wanted, "")
    need(calls() == [old % 7, new7 + "2", new9, old % 8])
    put("refuse", new9.split()[-1])
    limit, luns.PORTAL_SECS = luns.PORTAL_SECS, -1
    try:
        luns.apply(wanted, "")
        need(False, "not refused")
    except Refused:
        need(calls() == [old % 7, new7 + "2", new9, old % 7, old % 9, new7 + "1"])
    luns.PORTAL_SECS = limit
    put("refuse", "nothing-of-this")


@case("a target comes when the portals are those of the file, and not at all if they cannot be")
def _():
    gateway(portal={"portals": [{"host": "::", "port": 3260, "tpgt": 1, "transport": "tcp"}]})
    wanted = form.check({"portals": ["192.0.2.5"], "targets": [{"name": "iqn.2026-11.org.example:p"}]})
    luns.apply(wanted, "")
    need([c.split()[2] for c in calls()] == ["portal", "portal", "target", "target"])
    put("refuse", "portal=192.0.2.5:3260,transport=tcp,tpgt=1")
    limit, luns.PORTAL_SECS = luns.PORTAL_SECS, -1
    try:
        luns.apply(wanted, "")
        need(False, "not refused")
    except Refused:
        need("target" not in " ".join(calls()))
    luns.PORTAL_SECS = limit
    put("refuse", "nothing-of-this")


@case("portals become those of the file, and the default one goes first")
def _():
    gateway(portal={"portals": [{"host": "::", "port": 3260, "tpgt": 1, "transport": "tcp"}]})
    luns.apply(form.check({"portals": ["192.0.2.5", {"address": "[2001:db8::5]:3261", "group": 2, "transport": "iser"}]}),
               "")
    need(calls() == ["lgtadm -m portal -o delete -P portal=[::]:3260,transport=tcp",
                     "lgtadm -m portal -o new -P portal=192.0.2.5:3260,transport=tcp,tpgt=1",
                     "lgtadm -m portal -o new -P portal=[2001:db8::5]:3261,transport=iser,tpgt=2"])
    gateway()


def rendered(*interfaces, **more):
    return network.rendered(form.check({"network": {"interfaces": list(interfaces), **more}})["network"])


@case("the network becomes systemd-networkd's files")
def _():
    files = rendered({"name": "bond0", "bond": {"members": ["52:54:00:00:00:01", "eth1"]}, "mtu": 9000},
                     {"name": "san", "vlan": 100, "on": "bond0", "addresses": ["192.0.2.5/24", "2001:db8::5/64"],
                      "gateway": ["192.0.2.1"], "dns": ["192.0.2.53"], "mtu": 9000},
                     {"name": "en*"}, {"name": "v2", "vlan": 7, "on": "eth9", "dhcp": False})
    text = "\n".join(files.values())
    for words in ("Name=bond0\nKind=bond\n", "Mode=802.3ad", "MACAddress=52:54:00:00:00:01\nType=ether\nKind=!*\n",
                  "Bond=bond0\n", "VLAN=san\n", "Name=san\nKind=vlan\n", "Id=100\n", "Address=2001:db8::5/64\n",
                  "Gateway=192.0.2.1\n", "DNS=192.0.2.53\n", "MTUBytes=9000\n", "ConfigureWithoutCarrier=yes\n", "Name=eth9\n", "VLAN=v2\n"):
        need(words in text, f"{words!r} is not in\n{text}")
    need("Name=en*" in files[max(files)], "a pattern must not win over a name")
    many = [{"name": f"v{i}", "vlan": i, "on": "eth0"} for i in range(1, 70)]
    files = rendered({"name": "e*", "dhcp": True, "mtu": 9000}, *many)
    need("Name=e*" in files[max(files)] and "Name=eth0\n" in files[min(files)], "a pattern among many names")
    need("VLAN=v69\n" in files[min(files)] and "DHCP=yes\n" in files[min(files)] and "9000" in files[min(files)],
         "a port with VLANs loses what the pattern says")


@case("a network that nobody confirms goes back, also after a power cut")
def _():
    os.unlink(path("boot/appliance.json"))
    before, calls_before = everything(), calls()
    new = form.check({"network": {"interfaces": [{"name": "v3", "vlan": 3, "on": "eth0"}]}})["network"]
    need(network.change(new, lambda: False) is False and everything_but_calls() == but_calls(before), calls_before)
    need(len([c for c in calls() if "networkd" in c]) == 2)

    def broken():
        raise KeyboardInterrupt
    try:
        network.change(new, broken)
    except KeyboardInterrupt:
        pass
    need(everything_but_calls() == but_calls(before), "an exception")
    # The power goes while somebody is asked.
    if os.fork() == 0:
        network.change(new, lambda: os._exit(0))
    os.wait()
    need(everything_but_calls() != but_calls(before))
    need(command("first-boot")[0] == 0 and everything_but_calls() == but_calls(before), "a power cut")
    need(network.change(new, lambda: users.change(options={"ssh": False}) or True) and settings()["network"] == new)
    need(settings()["options"] == {"ssh": False}, "what was set meanwhile is lost")
    users.change(options={})
    static = form.check({"network": {"interfaces": [{"mac": "52:54:00:00:00:02", "addresses": ["192.0.2.6/24"]}]}})["network"]
    calls()
    need(network.change(static, lambda: False) is False)
    need("ip address flush dev eth1 scope global" in calls(), "the address that was tried stays")
    need(network.change({"interfaces": []}, lambda: True) and "network" in settings())
    calls()


@case("soft RoCE goes from every interface that is not wanted any longer")
def _():
    for name in ("bond0", "eth0"):
        put(f"etc/systemd/system/multi-user.target.wants/lichgate-rxe@{name}.service", "")
    calls()
    apply.set_soft_roce(["eth0", "san-a"])
    need(calls() == ["systemctl disable --now lichgate-rxe@bond0.service", "systemctl enable --now lichgate-rxe@eth0.service",
                     r"systemctl enable --now lichgate-rxe@san\x2da.service"])
    kept = get("bin/systemctl")
    put("bin/systemctl", kept + b'case "$*" in *eth8*) exit 1 ;; esac\n')
    try:
        apply.set_soft_roce(["eth8", "eth9"])
        need(False, "not refused")
    except Refused:
        need("systemctl enable --now lichgate-rxe@eth9.service" in calls(), "the others have to do without")
    finally:
        put("bin/systemctl", kept)


def but_calls(found):
    return {name: digest for name, digest in found.items() if name != "/calls"}


def everything_but_calls():
    return but_calls(everything())


@case("SSH follows keys, password and option; the password is checked against its hash")
def _():
    users.change(ssh_keys=[], password_hash=None, options={})
    need(not exists("var/lib/appliance/ssh-enabled") and calls()[-1] == "systemctl stop ssh.service")
    users.change(password_hash=users.hashed("correct horse"))
    need(exists("var/lib/appliance/ssh-enabled") and calls() == ["systemctl reload-or-restart ssh.service"])
    need(users.is_password("correct horse") and not users.is_password("correct hors") and not users.is_password(""))
    users.change(options={"ssh": False})
    need(not exists("var/lib/appliance/ssh-enabled") and calls() == ["systemctl stop ssh.service"])
    users.change(options={"ssh_password": False})
    need(get("etc/ssh/sshd_config.d/10-keys-only.conf") and not exists("var/lib/appliance/ssh-enabled"))
    users.change(ssh_keys=[KEY])
    need(exists("var/lib/appliance/ssh-enabled"))
    users.change(options={}, ssh_keys=[])
    need(exists("var/lib/appliance/ssh-enabled") and not exists("etc/ssh/sshd_config.d/10-keys-only.conf"))
    # By passwd, in the shell, and passwd --lock.
    other = users.hashed("other horse")
    for field in (other, "!" + other):
        put("etc/shadow", f"root:{field}:19000:0:99999:7:::\n")
        users.change(ssh_keys=[KEY])
        users.change(ssh_keys=[], options={"ssh": True})
        need(get("etc/shadow").decode().startswith(f"root:{field}:"), "a later change has taken the password away")
        need(users.stored_hash() and not users.is_password("correct horse"), "the console is open")
        need(users.is_password("other horse") == (field == other) and exists("var/lib/appliance/ssh-enabled"))
    need(command("first-boot")[0] == 0 and users.stored_hash() == "!" + other)
    users.change(password_hash=None)
    need(not exists("var/lib/appliance/ssh-enabled") and users.stored_hash() is None)
    calls()


SEED_USER = """#cloud-config
hostname: from-seed
ssh_authorized_keys:
  - %s
chpasswd:
  users:
    - {name: root, password: %s, type: hash}
packages: [vim]
lichgate:
  targets:
    - {data_disks: all}
""" % (KEY, HASH)
SEED_NET_1 = """version: 1
config:
  - {type: physical, name: eth0, mac_address: "52:54:00:00:00:01"}
  - {type: physical, name: eth1, mac_address: "52:54:00:00:00:02"}
  - {type: bond, name: bond0, bond_interfaces: [eth0, eth1], params: {bond-mode: active-backup}}
  - type: vlan
    name: bond0.5
    vlan_link: bond0
    vlan_id: 5
    subnets: [{type: static, address: 192.0.2.5, netmask: 255.255.255.0, gateway: 192.0.2.1, dns_nameservers: [192.0.2.53]}]
"""
SEED_NET_2 = """network:
  version: 2
  ethernets:
    lan:
      match: {macaddress: "52:54:00:00:00:01"}
      addresses: [192.0.2.5/24]
      routes: [{to: default, via: 192.0.2.1}]
      nameservers: {addresses: [192.0.2.53]}
      mtu: 9000
  vlans:
    v5: {id: 5, link: lan, dhcp4: true}
"""


def have_yaml():
    try:
        import yaml  # noqa: F401
    except ImportError as e:
        raise Skip("python3-yaml is not installed") from e


def seeded(**files):
    return form.check(seed.parse(json.dumps({k.replace("_", "-"): v for k, v in files.items()}).encode()))


@case("a NoCloud seed says the same in cloud-init's words")
def _():
    have_yaml()
    found = seeded(user_data=SEED_USER, meta_data="instance-id: i-1\nlocal-hostname: other\n", network_config=SEED_NET_2)
    need(found["hostname"] == "from-seed" and found["ssh_keys"] == [KEY] and found["password_hash"] == HASH, found)
    need(found["targets"] == [{"data_disks": "all"}], found)
    lan, vlan = found["network"]["interfaces"]
    need(lan == {"mac": "52:54:00:00:00:01", "addresses": ["192.0.2.5/24"], "gateway": ["192.0.2.1"], "dhcp": False,
                 "dns": ["192.0.2.53"], "mtu": 9000}, lan)
    need(vlan == {"name": "v5", "vlan": 5, "on": "52:54:00:00:00:01", "dhcp": True, "addresses": []}, vlan)
    bond, vlan = seeded(user_data="", network_config=SEED_NET_1)["network"]["interfaces"]
    need(bond["bond"] == {"members": ["52:54:00:00:00:01", "52:54:00:00:00:02"], "mode": "active-backup"}, bond)
    need(vlan["addresses"] == ["192.0.2.5/24"] and vlan["on"] == "bond0" and vlan["vlan"] == 5, vlan)
    own = seeded(user_data="#cloud-config\nlichgate: {network: {interfaces: [{name: v, vlan: 5, on: eth0, dhcp: on}]}}\n")
    need(own["network"]["interfaces"] == [{"name": "v", "vlan": 5, "on": "eth0", "dhcp": True, "addresses": []}], own)
    plain = seeded(user_data="#cloud-config\npassword: correct horse\nssh_pwauth: no\n")
    need(plain["options"] == {"ssh_password": False}, plain)
    need(plain["password_hash"].startswith("$y$"), plain)
    for text in ("chpasswd:\n  list: |\n    root:RANDOM\n    root:R", "chpasswd: {list: ['root:!']}",
                 "users: [default, {name: a, passwd: '!%s'}, {name: b, hashed_passwd: '*'}]" % HASH,
                 "users: [{name: a, lock_passwd: true, plain_text_passwd: x}]", "chpasswd: {users: [{name: a, type: RANDOM}]}"):
        need("password_hash" not in seeded(user_data="#cloud-config\n" + text), text)
    for text in ("users: 5", "users: [{passwd: %s}]" % SECRET, "chpasswd: {users: [{password: %s}]}" % SECRET, "ntp: {servers: 5}",
                 "ssh_authorized_keys: {a: b}", "chpasswd: {list: 5}", "chpasswd: {users: [5]}", "password: 2026-99-99"):
        try:
            seeded(user_data="#cloud-config\n" + text)
            need(False, text)
        except Refused as why:
            need(SECRET not in str(why), why)
    for text in ("version: 1\nconfig: 5", "version: 2\nethernets: {a: {addresses: 5}}", "version: []",
                 "version: 2\nbonds: {a: {interfaces: [[]], parameters: {mode: []}}}"):
        try:
            seeded(user_data="", network_config=text)
            need(False, text)
        except Refused as why:
            need("network-config" in str(why), why)
    for text, word in (("#!/bin/sh\n", "scripts"), ("#cloud-config\na: [", "line"), ("#cloud-config\n- 1\n", "mapping"),
                       ("#cloud-config\nlichgate: {typo: 1}\n", "typo")):
        try:
            seeded(user_data=text)
            need(False, text)
        except Refused as why:
            need(word in str(why), f"{text!r}: {why}")


def seed_refused(text, place="user-data"):
    try:
        seeded(**{"user_data": "", place.replace("-", "_"): text})
    except Refused as why:
        return str(why)
    return ""


@case("a password ends where it ends, not at a NUL")
def _():
    have_yaml()
    said = seed_refused(r'#cloud-config' "\n" r'password: "\0%s"' % SECRET)
    need("NUL" in said and SECRET not in said, said)


@case("what YAML has and JSON has not is a sentence")
def _():
    have_yaml()
    for text, word in (("hostname: 2026-11-22", "host name"), ("lichgate: {2026-11-22: 1}", "proper"), ("hostname: !!set {a}", "host name"),
                       ("hostname: !!binary aGVsbG8=", "host name"), ("password: 0x" + "f" * 9999, "proper"),
                       (r'ssh_authorized_keys: ["%s \ud800"]' % KEY, "proper")):
        said = seed_refused("#cloud-config\n" + text)
        need(word in said, f"{text[:60]}: {said}")
    for text in ("version: 1\nconfig: [{type: physical}]", 'version: 2\nethernets: {"": {dhcp4: true}}'):
        need("interfaces[0].name" in seed_refused(text, "network-config"), text)
    need("mapping" in seed_refused('version: 2\nethernets: {"a\\nb": 5}', "network-config"))
    need(not seed_refused("#cloud-config\nusers: [{name: a, expiredate: 2032-09-01}]"))


@case("a small seed does not stand for a large one")
def _():
    have_yaml()
    ten = "a0: &a0 {x: y}\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8))
    merged = ten.replace("[", "{<<: [").replace("]", "]}")
    for text in (ten + "password: *a7", merged + "b: *a7", "users: &a [1, *a]"):
        need("more than" in seed_refused("#cloud-config\n" + text), text)


@case("a seed's file that is too large, a link or a pipe is not read")
def _():
    have_yaml()
    put("seed/user-data", "#cloud-config\nhostname: cut\n" + "#" * seed.MAX_BYTES)
    try:
        seed.parse(seed.from_folder(path("seed")))
        need(False, "the beginning was taken for the whole")
    except Refused as why:
        need("larger" in str(why), why)
    put("seed/user-data", "#cloud-config\n")
    os.symlink("/etc/hostname", path("seed/meta-data"))
    try:
        seed.from_folder(path("seed"))
        need(False, "a link was followed")
    except Refused as why:
        need("meta-data" in str(why), why)
    os.unlink(path("seed/meta-data"))
    os.mkfifo(path("seed/meta-data"))
    need(seed.from_folder(path("seed")))


@case("a seed in the boot partition is applied like appliance.json")
def _():
    have_yaml()
    put("boot/seed/user-data", SEED_USER)
    put("boot/seed/meta-data", "instance-id: i-1\n")
    code, out, _ = command("first-boot")
    need(code == 0 and get("etc/hostname") == b"from-seed\n" and "packages" in out, out)
    code, out, _ = command("apply", "--boot")
    need(code == 0 and any("virtio-N1" in c for c in calls()), out)


@case("an applied seed does not come back when a later appliance.json goes, and a disk's is kept no longer")
def _():
    have_yaml()

    def boot(name):
        need(command("first-boot")[0] == 0 and command("apply", "--boot")[0] == 0)
        need(get("etc/hostname").decode() == name + "\n", f"{name}: {get('etc/hostname')}")
    put("boot/seed/user-data", "#cloud-config\nhostname: folder\n")
    boot("folder")
    appliance_json(hostname="newer")
    boot("newer")
    os.unlink(path("boot/appliance.json"))
    boot("newer")
    os.unlink(path("boot/seed/user-data"))
    put("var/lib/appliance/seed.json", json.dumps({"user-data": "#cloud-config\nhostname: disk\n"}))
    boot("disk")
    need(not exists("var/lib/appliance/seed.json"), "the copy stays")
    calls()


@case("an export goes into the current folder, and what cannot be written is a sentence")
def _():
    os.chdir(path("run"))
    other = HASH.replace("salt", "tlas")
    put("etc/shadow", f"root:{other}:19000:0:99999:7:::\n")
    code, out, err = command("config-export", "export.json")
    need(code == 0 and json.loads(get("run/export.json"))["settings"]["password_hash"] == other, out + err)
    need("export.json" in out, "nobody was told where it is")
    for words in (("config-export", path("run/export.json/x")), ("config-export", path("run/stick/x")), ("config-import", path("run"))):
        code, out, err = command(*words)
        need(code == 1 and err.count("\n") == 1, out + err)
    need(not exists("run/stick"), "a folder was made")
    os.chdir("/")
    os.rename(path("etc/hosts"), path("hosts"))
    os.mkdir(path("etc/hosts"))
    code, out, err = command("first-boot")
    os.rmdir(path("etc/hosts"))
    need(code == 1 and "etc/hosts" in err and err.count("\n") == 1, out + err)


@case("thousands of LUNs are not too large to be imported, what has no end is")
def _():
    luns_of = [{"key": f"lun:1/{i}", "path": "x" * 500} for i in range(1, 4000)]
    put("run/export.json", json.dumps({"kind": "lichgate-configuration", "format": 1, "settings": settings(),
                                       "gateway": {"format": 1, "objects": [*luns_of, {"key": "other:1"}]}}))
    for words, word in ((("config-import", path("run/export.json")), "'other:1'"), (("config-import", "/dev/zero"), "larger"),
                        (("apply", "/dev/zero"), "larger")):
        code, out, err = command(*words)
        need(code == 1 and word in err and err.count("\n") == 1, out + err)


@case("a password that is locked is not exported as it was before")
def _():
    users.change(password_hash=HASH)
    put("etc/shadow", f"root:!{HASH}:19000:0:99999:7:::\n")
    code, out, err = command("config-export", "-")
    need(code == 0 and HASH not in out, out + err)
    put("etc/shadow", "root:*:19000:0:99999:7:::\n")
    users.change(password_hash=None)
    calls()


@case("an export replaces no device")
def _():
    os.symlink("/dev/null", path("run/null"))
    code, out, err = command("config-export", path("run/null"))
    need(code == 1 and "regular" in err and os.path.islink(path("run/null")), out + err)
    put("run/file", "")
    os.symlink("file", path("run/stdout"))
    code, out, err = command("config-export", path("run/stdout"))
    need(code == 1 and "regular" in err and os.path.islink(path("run/stdout")), out + err)


@case("the label of a seed is read from FAT and ISO 9660")
def _():
    fat = bytearray(65536)
    fat[510:512], fat[0x2b:0x2b + 11], fat[0x36:0x3e] = b"\x55\xaa", b"CIDATA     ", b"FAT16   "
    put("seed.img", bytes(fat))
    need(seed.label(path("seed.img")) == ("CIDATA", "vfat"), seed.label(path("seed.img")))
    iso = bytearray(65536)
    iso[0x8000:0x8006], iso[0x8028:0x8048] = b"\x01CD001", b"cidata".ljust(32)
    put("seed.img", bytes(iso))
    need(seed.label(path("seed.img")) == ("cidata", "iso9660"), seed.label(path("seed.img")))
    put("seed.img", b"")
    need(seed.label(path("seed.img")) == ("", ""))


machine()
sys.exit(run())
