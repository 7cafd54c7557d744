# SPDX-License-Identifier: BSD-3-Clause
"""
A NoCloud seed (user-data, meta-data, network-config) as an appliance.json. The common part of what cloud-init understands
is read here: cloud-init itself starts four services at each boot, seconds of Python, for what is a file or two.
"""
import json
import os

from . import Refused, luns, paths, printable, settings, tools, users

# YAML takes its time.
MAX_BYTES = 256 << 10
MOST_VALUES = 50000
FILES = ("user-data", "meta-data", "network-config")
LABEL = "cidata"
MOUNT = paths.at("/run/lichgate-seed")
# What a disk had at the first boot, in the form of from_folder(): the disk is not asked again.
COPY = paths.at("/var/lib/appliance/seed.json")
# Of user-data; other keys are for other systems and are passed over.
KNOWN = ("hostname", "fqdn", "ssh_authorized_keys", "users", "password", "chpasswd", "ssh_pwauth", "ntp", "lichgate")


def plain(path, flags):
    """A CD may hold a link to a file of this machine, or a pipe that nobody writes to."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def from_folder(folder):
    """All files of a seed as one text (its hash is remembered), or None if there is no seed."""
    found = {}
    for name in FILES:
        try:
            with open(os.path.join(folder, name), "rb", opener=plain) as f:
                data = f.read(MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as e:
            raise Refused(f"the seed's {name} cannot be read: {e.strerror}") from e
        found[name] = data.decode("utf-8", "replace") if len(data) <= MAX_BYTES else None
    return json.dumps(found, sort_keys=True).encode() if "user-data" in found else None


def label(device):
    """Of an ISO 9660 or FAT file system, and its kind."""
    try:
        with open(device, "rb") as f:
            boot = f.read(512)
            f.seek(0x8000)
            volume = f.read(72)
    except OSError:
        return "", ""
    if volume[:6] == b"\x01CD001":
        return volume[40:72].decode("ascii", "replace").strip(" \0"), "iso9660"
    for at in (0x2b, 0x47):
        if boot[510:512] == b"\x55\xaa" and boot[at + 11:at + 14] == b"FAT":
            return boot[at:at + 11].decode("ascii", "replace").strip(" \0"), "vfat"
    return "", ""


def take_from_disk():
    """
    Copies the seed of a CD, or of a disk that is too small to be a data disk, with the label CIDATA. At the first boot
    only, when there are no LUNs: an initiator can write what it likes on its LUN, such a label, too.
    """
    if paths.ROOT:
        return
    tools.settle()
    for name in sorted(os.listdir(luns.sysfs("block"))):
        size = int(luns.attribute(name, "size") or 0) * 512
        if not os.path.exists(luns.sysfs("block", name, "device")) or not size:
            continue
        if not name.startswith("sr") and size >= luns.MIN_BYTES:
            continue
        said, kind = label(f"/dev/{name}")
        if said.lower() == LABEL:
            os.makedirs(MOUNT, exist_ok=True)
            tools.run("mount", "-t", kind, "-o", "ro,nosuid,nodev,noexec", f"/dev/{name}", MOUNT)
            try:
                found = from_folder(MOUNT)
            finally:
                tools.run("umount", MOUNT)
            if found:
                tools.write(COPY, found, 0o600)
                return


def copied():
    return tools.read(COPY).encode() or None


def load_yaml(text, name):
    # Loaded late: a boot without a seed does not wait for it.
    import yaml
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        bounded(node, name)
        words_as_keys(node)
        found = loader.construct_document(node) if node else None
        # Half a character, a number of thousands of digits or a date as a key: nothing that could be written.
        json.dumps(found, ensure_ascii=False, default=str).encode()
        return found
    except (yaml.YAMLError, RecursionError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Refused(f"{name} is not YAML{where}") from e
    except (ValueError, TypeError) as e:
        raise Refused(f"{name} has a key or a value that is no proper text, number or date") from e


def parts(node):
    """What a list has; of a mapping the keys and the values."""
    value = getattr(node, "value", None)
    return [part for it in value for part in (it if isinstance(it, tuple) else [it])] if isinstance(value, list) else []


def bounded(node, name):
    """References make a small file large. Each value is counted as often as it is used, before it is made."""
    left, todo = MOST_VALUES, [node]
    while todo:
        found = parts(todo.pop())
        left -= len(found)
        todo += found
        if left < 0:
            raise Refused(f"{name} has more than {MOST_VALUES} values")


def words_as_keys(node):
    """YAML takes the word "on" for true, also where it is a key: what a VLAN is on."""
    for part in parts(node):
        words_as_keys(part)
    for it in node.value if parts(node) else []:
        if isinstance(it, tuple) and it[0].tag == "tag:yaml.org,2002:bool":
            it[0].tag = "tag:yaml.org,2002:str"


def mapping(value, name):
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(f"{name} is not a mapping")
    return value


def sequence(value, name):
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(f"{name} is not a list")
    return value


def parse(data):
    """The appliance.json that a seed stands for."""
    files = json.loads(data)
    for name, text in files.items():
        if text is None:
            raise Refused(f"{name} is larger than {MAX_BYTES >> 10} KiB")
    text = files["user-data"]
    user = {}
    if text.strip():
        if not text.startswith("#cloud-config"):
            raise Refused('user-data does not begin with "#cloud-config": scripts are not run')
        user = mapping(load_yaml(text, "user-data"), "user-data")
    meta = mapping(load_yaml(files.get("meta-data", ""), "meta-data"), "meta-data")
    # JSON that a key of ours brings along wins over what is said in cloud-init's words.
    found = {**from_meta(meta), **from_user(user)}
    if "network-config" in files:
        net = mapping(load_yaml(files["network-config"], "network-config"), "network-config")
        net = mapping(net.get("network", net), "network-config")
        if net:
            found["network"] = from_network(net)
    found.update(mapping(user.get("lichgate"), "user-data: lichgate"))
    ignored = sorted(str(key) for key in user if key not in KNOWN)
    if ignored:
        print(printable(f"the seed: passed over in user-data: {', '.join(ignored)}"))
    return found


def from_meta(meta):
    found = {}
    name = meta.get("local-hostname") or meta.get("hostname")
    if name:
        found["hostname"] = name
    keys = meta.get("public-keys")
    if isinstance(keys, dict):
        keys = list(keys.values())
    if keys:
        found["ssh_keys"] = keys if isinstance(keys, list) else [keys]
    return found


def is_hash(secret, place):
    """Of what must be a hash. None: a locked account has no password, so there is nothing to take from it."""
    if not secret or str(secret).startswith(("!", "*")):
        return None
    return settings.password_hash(str(secret), place)


def passwords(user):
    """Hashes and plain passwords of user-data in the order of cloud-init; the last one counts."""
    found = [user.get("password")]
    for person in sequence(user.get("users"), "user-data: users"):
        # The appliance has one administrator: all of them are it.
        if isinstance(person, dict) and person.get("lock_passwd") is not True:
            found.append(person.get("plain_text_passwd"))
            found += [is_hash(person.get(key), f"user-data: users: {key}") for key in ("passwd", "hashed_passwd")]
    chpasswd = mapping(user.get("chpasswd"), "user-data: chpasswd")
    for person in sequence(chpasswd.get("users"), "user-data: chpasswd: users"):
        person = mapping(person, "user-data: chpasswd: users")
        secret, kind = person.get("password"), person.get("type", "hash")
        if kind not in ("hash", "text", "RANDOM"):
            raise Refused("user-data: chpasswd: users: type is none of hash, text, RANDOM")
        if kind != "RANDOM":
            found.append(secret if kind == "text" else is_hash(secret, "user-data: chpasswd: users: password"))
    listed = chpasswd.get("list")
    for line in listed.splitlines() if isinstance(listed, str) else sequence(listed, "user-data: chpasswd: list"):
        secret = str(line).partition(":")[2].strip()
        # Nobody would learn a password that was made here, and a locked account has none.
        found.append(None if secret in ("R", "RANDOM", "*", "!", "!*", "!!") else secret)
    return [str(secret) for secret in found if secret]


def from_user(user):
    found = {}
    if user.get("hostname") or user.get("fqdn"):
        found["hostname"] = user.get("hostname") or user["fqdn"]
    keys = list(sequence(user.get("ssh_authorized_keys"), "user-data: ssh_authorized_keys"))
    for person in sequence(user.get("users"), "user-data: users"):
        if isinstance(person, dict):
            keys += sequence(person.get("ssh_authorized_keys"), "user-data: users: ssh_authorized_keys")
    if keys:
        # A key may be anything here, also what no dictionary takes as a key.
        found["ssh_keys"] = list({json.dumps(key, default=str): key for key in keys}.values())
    for secret in passwords(user)[-1:]:
        found["password_hash"] = secret if settings.PASSWORD_HASH.fullmatch(secret) else users.hashed(secret)
    if isinstance(user.get("ssh_pwauth"), bool):
        found["options"] = {"ssh_password": user["ssh_pwauth"]}
    ntp = mapping(user.get("ntp"), "user-data: ntp")
    servers = sequence(ntp.get("servers"), "user-data: ntp: servers") + sequence(ntp.get("pools"), "user-data: ntp: pools")
    if servers:
        found["ntp"] = servers
    return found


def from_network(net):
    forms = {"1": version_1, "2": version_2}
    form = forms.get(str(net.get("version")))
    if not form:
        raise Refused("network-config: version is neither 1 nor 2")
    try:
        return form(net)
    except (TypeError, AttributeError, ValueError) as e:
        raise Refused("network-config: a list, a mapping or a text stands where something else belongs") from e


def name_servers(value):
    value = mapping(value, "network-config: nameservers")
    return list(value.get("addresses") or [])


def version_2(net):
    """Netplan's form: ethernets, bonds, vlans by name."""
    found, ids = [], {}
    for kind in ("ethernets", "bonds", "vlans"):
        for name, it in mapping(net.get(kind), f"network-config: {kind}").items():
            it = mapping(it, f"network-config: {name}")
            entry = {"name": str(name)}
            matched = mapping(it.get("match"), f"network-config: {name}.match")
            if kind == "ethernets" and matched.get("macaddress"):
                entry = {"mac": str(matched["macaddress"])}
            elif kind == "ethernets" and matched.get("name"):
                entry = {"name": str(matched["name"])}
            ids[name] = entry.get("mac") or entry["name"]
            entry["dhcp"] = bool(it.get("dhcp4") or it.get("dhcp6"))
            entry["addresses"] = [str(a) for a in it.get("addresses") or []]
            gates = [it[key] for key in ("gateway4", "gateway6") if it.get(key)]
            for route in it.get("routes") or []:
                if isinstance(route, dict) and str(route.get("to")) in ("default", "0.0.0.0/0", "::/0"):
                    gates.append(route.get("via"))
            add_rest(entry, gates, name_servers(it.get("nameservers")), it.get("mtu"))
            if kind == "bonds":
                how = mapping(it.get("parameters"), f"network-config: {name}.parameters")
                entry["bond"] = bond([ids.get(i, i) for i in it.get("interfaces") or []], how.get("mode"),
                                     how.get("transmit-hash-policy"))
            if kind == "vlans":
                entry["vlan"], entry["on"] = it.get("id"), ids.get(it.get("link"), it.get("link"))
            found.append(entry)
    return {"interfaces": without_members(found)}


def version_1(net):
    """A list of physical, bond, vlan and nameserver entries, each with subnets."""
    found, ids, dns = [], {}, []
    for it in net.get("config") or []:
        it = mapping(it, "network-config: config")
        kind, name = it.get("type"), str(it.get("name", ""))
        if kind == "nameserver":
            servers = it.get("address") or []
            dns += servers if isinstance(servers, list) else [servers]
            continue
        if kind not in ("physical", "bond", "vlan"):
            raise Refused(f"network-config: the type {settings.quoted(kind)} is not supported")
        entry = {"mac": str(it["mac_address"])} if kind == "physical" and it.get("mac_address") else {"name": name}
        ids[name] = entry.get("mac") or name
        entry["dhcp"], entry["addresses"] = False, []
        gates, own = [], []
        for subnet in it.get("subnets") or []:
            subnet = mapping(subnet, f"network-config: {name}")
            how = str(subnet.get("type", ""))
            if how.startswith(("dhcp", "ipv6_dhcp", "ipv6_slaac")):
                entry["dhcp"] = True
            elif how in ("static", "static6"):
                entry["addresses"].append(with_bits(str(subnet.get("address")), subnet.get("netmask")))
                gates += [subnet["gateway"]] if subnet.get("gateway") else []
                servers = subnet.get("dns_nameservers") or []
                own += servers if isinstance(servers, list) else servers.split()
            elif how != "manual":
                raise Refused(f"network-config: {name}: the subnet type {settings.quoted(how)} is not supported")
        add_rest(entry, gates, own, it.get("mtu"))
        if kind == "bond":
            how = mapping(it.get("params"), f"network-config: {name}.params")
            entry["bond"] = bond([ids.get(i, i) for i in it.get("bond_interfaces") or []],
                                 how.get("bond-mode") or how.get("mode"), how.get("bond-xmit_hash_policy"))
        if kind == "vlan":
            entry["vlan"], entry["on"] = it.get("vlan_id"), ids.get(it.get("vlan_link"), it.get("vlan_link"))
        found.append(entry)
    return {"interfaces": without_members(found), **({"dns": dns} if dns else {})}


def with_bits(address, mask):
    import ipaddress
    if "/" in address or not mask:
        return address
    try:
        return f"{address}/{ipaddress.ip_network('0.0.0.0/' + str(mask)).prefixlen}"
    except ValueError:
        return f"{address}/{mask}"


def add_rest(entry, gates, dns, mtu):
    for key, value in (("gateway", gates), ("dns", dns), ("mtu", mtu)):
        if value:
            entry[key] = value


def bond(members, mode, policy):
    modes = dict(enumerate(("balance-rr", "active-backup", "balance-xor", None, "802.3ad", "balance-tlb", "balance-alb")))
    modes.update({str(k): v for k, v in modes.items()})
    found = {"members": [str(m) for m in members], "mode": modes.get(mode, mode) or "active-backup"}
    return {**found, "hash": policy} if policy else found


def without_members(entries):
    """A bond's members have nothing of their own; in appliance.json they need no entry."""
    members = {m for e in entries for m in e.get("bond", {}).get("members", [])}
    # One without a name is refused later.
    return [e for e in entries if (e.get("name") or e.get("mac")) not in members]
