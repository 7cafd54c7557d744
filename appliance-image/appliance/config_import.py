# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance config-import: this appliance becomes the one of which config-export has written the file. All of it is
checked before anything changes.
"""
import os
import tempfile

from . import Refused, apply, config_export, network, paths, settings, store, tools, users

# A LUN is half a kilobyte.
MAX_BYTES = 16 << 20


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--keep-network", action="store_true", help="leave this machine's network as it is")
    parser.add_argument("--force", action="store_true", help="also while initiators are attached")


def check(found):
    """What stands in the file, in the form in which it is put in place."""
    if not isinstance(found, dict) or found.get("kind") != config_export.KIND:
        raise Refused("this is not a file that config-export has written")
    if found.get("format") != config_export.FORMAT:
        raise Refused(f"the file has format {settings.quoted(found.get('format'))}, "
                      f"this appliance knows {config_export.FORMAT}")
    own, gateway = found.get("settings"), found.get("gateway")
    if not isinstance(own, dict) or not isinstance(gateway, dict) or not isinstance(gateway.get("objects"), list):
        raise Refused("the file is not complete")
    own = settings.table(settings.SYSTEM, ["hostname", "iqn_base"])(own, "settings")
    key = found.get("ssh_host_key", "")
    if not isinstance(key, str) or (key and not key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")):
        raise Refused("ssh_host_key: this is not a key of OpenSSH")
    store.check(gateway.get("format"), gateway["objects"])
    return own, gateway["format"], gateway["objects"], key, public_half(key) if key else ""


def public_half(key):
    """Also says whether ssh-keygen, and so the SSH server, can read the key at all."""
    with tempfile.TemporaryDirectory(dir=None if paths.ROOT else "/run") as folder:
        tools.write(f"{folder}/key", key, 0o600)
        try:
            return tools.run("ssh-keygen", "-y", "-P", "", "-f", f"{folder}/key")
        except Refused as why:
            raise Refused("ssh_host_key: ssh-keygen cannot read this key") from why


def with_secrets(objects):
    """A file without secrets takes those that this appliance has for the same accounts."""
    have = {o["key"]: o.get(store.SECRET) for o in store.load()[1]}
    missing = []
    for o in objects:
        if o["key"].startswith("account:") and store.SECRET not in o:
            if have.get(o["key"]):
                o[store.SECRET] = have[o["key"]]
            else:
                missing.append(o["key"].partition(":")[2])
    if missing:
        raise Refused(f"the file has no secrets, and this appliance has none for the accounts {', '.join(missing)}")
    return objects


def missing_disks(targets):
    """Backing stores that this machine does not have (yet): their LUNs wait for them."""
    return [f"LUN {lun['lun']} of {t['iqn']}: {lun['path']}" for t in targets for lun in t["luns"]
            if lun["path"] and not os.path.exists(paths.at(lun["path"]))]


def put_host_key(key, public):
    if not key or key == tools.read(users.HOST_KEY):
        return
    tools.write(users.HOST_KEY, key, 0o600)
    tools.write(users.HOST_KEY + ".pub", public)
    if os.path.exists(users.SSH_ON):
        tools.systemctl("restart", "ssh.service")


def run(args):
    try:
        found = settings.parse(settings.read(args.file, MAX_BYTES), MAX_BYTES)
    except OSError as e:
        raise Refused(f"{args.file} cannot be read: {e.strerror}") from e
    own, number, objects, key, public = check(found)
    objects = with_secrets(objects)
    targets = store.proven(number, objects)
    attached = sum(len(t["sessions"]) for t in tools.shown("target")["targets"])
    if attached and not args.force:
        raise Refused(f"{attached} session{'s are' if attached > 1 else ' is'} open, which may lose their LUNs: "
                      f"detach the initiators or give --force")
    now = settings.kept()
    if "password_hash" in now:
        own.setdefault("password_hash", now["password_hash"])
    if args.keep_network:
        own.pop("network", None)
        own.update({"network": now["network"]} if "network" in now else {})
    store.replace(number, objects)
    put_host_key(key, public)
    apply.apply_system(own, live=True, whole=True)
    for name in missing_disks(targets):
        print(f"not on this machine: {name}")
    have = {p["name"] for p in network.ports()} | {p["mac"] for p in network.ports()}
    for e in own.get("network", {}).get("interfaces", []):
        if "on" not in e and "bond" not in e and not set(settings.named(e)) & set("*?") and settings.named(e) not in have:
            print(f"not on this machine: the port {settings.named(e)}; its addresses have to be given to another one")
    try:
        apply.set_soft_roce(own.get("options", {}).get("soft_roce", False))
    except Refused as why:
        # Everything else is this machine's by now; a port can come later.
        print(f"no RDMA in software on one port at least: {why}")
    print("imported")
    return 0
