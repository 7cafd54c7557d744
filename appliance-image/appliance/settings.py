# SPDX-License-Identifier: BSD-3-Clause
"""
appliance.json: every key and value of it is checked here, before anybody changes anything; README.md describes the
format. What counts for this appliance is kept in the same format, without portals and targets, which lgtadm keeps.
"""
import base64
import ipaddress
import json
import re

from . import Refused, paths, printable, tools

KEPT = paths.at("/var/lib/appliance/settings.json")
MAX_BYTES = 1 << 20

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.I)
# Without the names that networkd does not take: it would pass over the whole interface.
PORT_NAME = re.compile(r"(?!([0-9]+|all|default)$)[A-Za-z0-9_.*?-]{1,15}")
LINK_NAME = re.compile(r"(?!(\.{1,2}|[0-9]+|all|default)$)[A-Za-z0-9_.-]{1,15}")
HOST_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
IP = re.compile(r"[0-9a-fA-F:.]+(%[A-Za-z0-9_.-]+)?")
WITH_BITS = re.compile(r"[0-9a-fA-F:.]+(/[0-9.]+)?")
IQN = re.compile(r"(iqn\.[0-9]{4}-[0-9]{2}\.|eui\.|naa\.)[A-Za-z0-9:.-]+")
SSH_KEY = re.compile(r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
                     r" [A-Za-z0-9+/]{40,}={0,2}( [^\r\n]*)?")
# With the name of the kind.
SSH_KEY_FIELDS = {"ssh-ed25519": 2, "ssh-rsa": 3, "ecdsa-sha2": 3, "sk-ssh-ed25519": 3, "sk-ecdsa-sha2": 4}
PASSWORD_HASH = re.compile(r"\$(y|gy|7|6|5|2[abxy])\$[./A-Za-z0-9$=,-]{20,}")
BOND_MODES = ("802.3ad", "active-backup", "balance-rr", "balance-xor", "balance-tlb", "balance-alb")
HASHES = ("layer2", "layer2+3", "layer3+4")


class Wrong(Refused):
    """A place in the file and what is wrong there."""

    def __init__(self, place, what):
        super().__init__(f"{place}: {what}" if place else what)
        self.what = printable(what)


def no_twice(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise Refused(f'the key "{key}" is there twice')
        found[key] = value
    return found


def read(path, most=MAX_BYTES):
    """The bytes of a file, one more than there may be at most: what is given as a file can have no end."""
    with open(path, "rb") as f:
        return f.read(most + 1)


def parse(data, most=MAX_BYTES):
    """The dictionary in the bytes of an appliance.json, not yet checked."""
    if len(data) > most:
        raise Refused(f"the file is larger than {most >> 20} MiB")
    try:
        found = json.loads(data.decode("utf-8-sig"), object_pairs_hook=no_twice)
        # Half a character, as "\ud800" is, could not be written anywhere.
        json.dumps(found, ensure_ascii=False).encode()
        return found
    except (ValueError, RecursionError) as e:
        raise Refused(f"this is not JSON: {e}") from e


# Values. Each takes a value and its place, and returns the value as it is kept. Secrets are never repeated.

def quoted(value):
    """An object or a list may hold a secret."""
    if isinstance(value, (dict, list)):
        return "this"
    # A seed can have dates, too.
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def string(value, place, pattern=None, what="a text", secret=False):
    if not isinstance(value, str) or not (pattern.fullmatch(value) if pattern else value):
        raise Wrong(place, f"this is not {what}" if secret else f"{quoted(value)} is not {what}")
    return value


def whole(value, place, low, high):
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Wrong(place, f"{quoted(value)} is not a number from {low} to {high}")
    return value


def yes_no(value, place):
    if not isinstance(value, bool):
        raise Wrong(place, f"{quoted(value)} is neither true nor false")
    return value


def list_of(check):
    def checked(value, place):
        if not isinstance(value, list):
            raise Wrong(place, f"{quoted(value)} is not a list")
        return [check(v, f"{place}[{i}]") for i, v in enumerate(value)]
    return checked


def one_of(*words):
    def checked(value, place):
        if not isinstance(value, str) or value not in words:
            raise Wrong(place, f"{quoted(value)} is none of {', '.join(words)}")
        return value
    return checked


def table(keys, needed=(), secret=False):
    """An object with these keys and no others."""
    def checked(value, place):
        if not isinstance(value, dict):
            raise Wrong(place, f"{'this' if secret else quoted(value)} is not an object")
        for key in value:
            if key not in keys:
                raise Wrong(place, f'there is no key {"of this name" if secret else quoted(key)}; known are {", ".join(keys)}')
        for key in needed:
            if key not in value:
                raise Wrong(place, f'the key "{key}" is missing')
        return {key: keys[key](v, f"{place}.{key}" if place else key) for key, v in value.items()}
    return checked


def hostname(value, place):
    if not isinstance(value, str) or len(value) > 64 or not all(map(HOST_LABEL.fullmatch, value.split("."))):
        raise Wrong(place, f"{quoted(value)} is not a host name")
    return value


def iqn(value, place):
    string(value, place, IQN, "an iSCSI name such as iqn.2026-11.com.example:disk")
    return string(value, place, re.compile(r".{1,223}"), "an iSCSI name of at most 223 characters").lower()


def mac(value, place):
    return string(value, place, MAC, "a MAC address such as 52:54:00:12:34:56").lower()


def port_or_mac(value, place):
    if isinstance(value, str) and MAC.fullmatch(value):
        return value.lower()
    return string(value, place, LINK_NAME, "the name or the MAC address of a port")


def address(value, place):
    try:
        return str(ipaddress.ip_address(string(value, place, IP, "an IP address")))
    except ValueError as e:
        raise Wrong(place, f"{quoted(value)} is not an IP address") from e


def with_bits(value, place):
    """An address of a host with the length of its network."""
    try:
        if "/" not in string(value, place, WITH_BITS, "an IP address with the length of its network"):
            raise Wrong(place, f"{quoted(value)} lacks the length of its network, such as /24")
        found = ipaddress.ip_interface(value)
    except ValueError as e:
        raise Wrong(place, f"{quoted(value)} is not an IP address with the length of its network") from e
    if found.ip.is_multicast or found.ip.is_unspecified or found.ip.is_loopback:
        raise Wrong(place, f"{quoted(value)} cannot be the address of a port")
    return str(found)


def time_server(value, place):
    return value if isinstance(value, str) and IP.fullmatch(value) and is_address(value) else hostname(value, place)


def is_address(value):
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def gateway(value, place):
    found = list_of(address)(value if isinstance(value, list) else [value], place)
    for g in found:
        if "%" in g:
            raise Wrong(place, f"{quoted(g)} is of this interface anyhow: leave out what follows the address")
    if len({":" in g for g in found}) < len(found):
        raise Wrong(place, "there are two gateways of one family")
    return found


def ssh_key(value, place):
    text = string(value.strip() if isinstance(value, str) else value, place, SSH_KEY, "a public SSH key")
    if not is_whole(*text.split()[:2]):
        raise Wrong(place, f"{quoted(text)} is a public SSH key that was cut or changed on its way")
    return text


def is_whole(kind, data):
    """A terminal wraps lines and cuts the longest; with what is left nobody would get in."""
    try:
        data = base64.b64decode(data, validate=True)
    except ValueError:
        return False
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        if len(data) < end:
            return False
        found.append(data[4:end])
        data = data[end:]
    return found[0] == kind.encode() and len(found) == SSH_KEY_FIELDS[kind.split("@")[0].split("-nistp")[0]]


def password_hash(value, place):
    return string(value, place, PASSWORD_HASH,
                  "the hash of a password as `mkpasswd` or `openssl passwd -6` prints it", secret=True)


def chap_name(value, place):
    return string(value, place, re.compile(r"[!-+.-~-]{1,255}"), "a CHAP user: 1 to 255 characters, no space, no comma")


def chap_secret(value, place):
    return string(value, place, re.compile(r"[!-+.-~-]{12,255}"),
                  "a CHAP password: at least 12 characters, no space, no comma", secret=True)


def initiator(value, place):
    """An admitted address or network, or the pattern of a name."""
    # Not every text: a number would be an address, too.
    string(value, place, re.compile(r"[A-Za-z0-9:._/*?-]{1,223}"), "an address, a network or an iSCSI name")
    try:
        return value if value == "ALL" else str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        pass
    if not value.startswith(("iqn.", "eui.", "naa.", "*")) or "/" in value:
        raise Wrong(place, f"{quoted(value)} is not an address, a network or an iSCSI name")
    return value


def portal_address(value, place):
    """ADDR, ADDR:PORT, [ADDR6] or [ADDR6]:PORT as one spelling."""
    what = f"{quoted(value)} is not an address with or without a port"
    if not isinstance(value, str):
        raise Wrong(place, what)
    m = re.fullmatch(r"\[(.*)\](?::(\d{1,5}))?|([^:]*)(?::(\d{1,5}))?", value)
    host, port = (m[1] or m[3], int(m[2] or m[4] or 3260)) if m else (value, 3260)
    if not host or not is_address(host) or not 1 <= port <= 65535 or "%" in host:
        raise Wrong(place, what)
    host = ipaddress.ip_address(host)
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


def portal(value, place):
    if not isinstance(value, dict):
        value = {"address": value}
    keys = {"address": portal_address, "group": lambda v, p: whole(v, p, 1, 65535), "transport": one_of("tcp", "iser")}
    found = {"group": 1, "transport": "tcp", **table(keys, ["address"])(value, place)}
    if found["transport"] == "tcp" and not found["address"].endswith(":3260"):
        raise Wrong(place, "the firewall lets in TCP on port 3260 alone")
    return found


def disk(value, place):
    what = "the serial number of a disk, or its path below /dev"
    if not isinstance(value, dict):
        value = {"disk": value}
    keys = {"disk": lambda v, p: string(v, p, re.compile(r"/dev/[^\0\s]+|[^/\0\n]{1,128}"), what),
            "lun": lambda v, p: whole(v, p, 1, 16383), "readonly": yes_no}
    return table(keys, ["disk"])(value, place)


def data_disks(value, place):
    if value == "all":
        return value
    if not isinstance(value, list):
        raise Wrong(place, f'{quoted(value)} is neither "all" nor a list of disks')
    found = list_of(disk)(value, place)
    for key in ("disk", "lun"):
        unique([(d[key], f"{place}[{i}].{key}") for i, d in enumerate(found) if key in d])
    return found


def unique(values):
    seen = set()
    for value, place in values:
        if value in seen:
            raise Wrong(place, f"{quoted(value)} is there twice")
        seen.add(value)


ACCOUNT = table({"user": chap_name, "password": chap_secret}, ["user", "password"], secret=True)


def target(value, place):
    keys = {"name": iqn, "alias": lambda v, p: string(v, p, re.compile(r"[ -~]{1,200}"), "a text of printable characters"),
            "data_disks": data_disks, "initiators": list_of(initiator), "chap": ACCOUNT, "mutual_chap": ACCOUNT}
    found = table(keys)(value, place)
    if "mutual_chap" in found and "chap" not in found:
        raise Wrong(place, '"mutual_chap" needs "chap"')
    if "chap" in found and found["chap"] == found.get("mutual_chap"):
        raise Wrong(place, '"chap" and "mutual_chap" are the same account')
    return found


def targets(value, place):
    found = list_of(target)(value, place)
    for i, t in enumerate(found):
        if "name" not in t and len(found) > 1:
            raise Wrong(f"{place}[{i}]", 'with more than one target each needs its "name"')
    unique([(t["name"], f"{place}[{i}].name") for i, t in enumerate(found) if "name" in t])
    unique([("all", f"{place}[{i}].data_disks") for i, t in enumerate(found) if t.get("data_disks") == "all"])
    unique([(d["disk"], f"{place}[{i}].data_disks[{j}]") for i, t in enumerate(found)
            for j, d in enumerate(t["data_disks"] if isinstance(t.get("data_disks"), list) else [])])
    secrets = {}
    for i, t in enumerate(found):
        for key in ("chap", "mutual_chap"):
            if key in t and secrets.setdefault(t[key]["user"], t[key]["password"]) != t[key]["password"]:
                raise Wrong(f"{place}[{i}].{key}", f"the user {quoted(t[key]['user'])} has another password elsewhere")
    return found


def bond_of(value, place):
    found = table({"members": list_of(port_or_mac), "mode": one_of(*BOND_MODES), "hash": one_of(*HASHES)},
                  ["members"])(value, place)
    if not found["members"]:
        raise Wrong(f"{place}.members", "a bond needs a port")
    return {"mode": "802.3ad" if len(found["members"]) > 1 else "active-backup", **found}


def interface(value, place):
    keys = {"name": lambda v, p: string(v, p, PORT_NAME, "the name of a port, of which * and ? may stand for a part"),
            "mac": mac, "dhcp": yes_no, "addresses": list_of(with_bits), "gateway": gateway, "dns": list_of(address),
            "mtu": lambda v, p: whole(v, p, 1280, 65520), "vlan": lambda v, p: whole(v, p, 1, 4094), "on": port_or_mac,
            "bond": bond_of}
    found = table(keys)(value, place)
    made = "vlan" in found or "bond" in found
    if made and ("name" not in found or "mac" in found or not LINK_NAME.fullmatch(found["name"])):
        raise Wrong(place, 'a VLAN or a bond needs a "name" of its own, and no "mac"')
    if not made and ("name" in found) == ("mac" in found):
        raise Wrong(place, 'a port is named by "name" or by "mac", one of them')
    if "vlan" in found and "bond" in found:
        raise Wrong(place, 'a VLAN on a bond is an entry of its own, with "on"')
    if ("vlan" in found) != ("on" in found):
        raise Wrong(place, '"vlan" and "on", the port below it, belong together')
    found.setdefault("addresses", [])
    found.setdefault("dhcp", not found["addresses"])
    for gate in found.get("gateway", []):
        if not any(ipaddress.ip_address(gate) in ipaddress.ip_interface(a).network for a in found["addresses"]):
            raise Wrong(f"{place}.gateway", f"{quoted(gate)} is in no network of this interface's addresses")
    return found


def named(entry):
    return entry.get("name") or entry["mac"]


def interfaces(value, place):
    found = list_of(interface)(value, place)
    unique([(named(e), f"{place}[{i}]") for i, e in enumerate(found)])
    unique([(a.partition("/")[0], f"{place}[{i}].addresses") for i, e in enumerate(found) for a in e["addresses"]])
    unique([(m, f"{place}[{i}].bond.members") for i, e in enumerate(found) if "bond" in e for m in e["bond"]["members"]])
    unique([(f"VLAN {e['vlan']} on {e['on']}", f"{place}[{i}]") for i, e in enumerate(found) if "on" in e])
    entries = {named(e): e for e in found}
    members = {m: named(e) for e in found if "bond" in e for m in e["bond"]["members"]}
    for i, e in enumerate(found):
        here = f"{place}[{i}]"
        if named(e) in members:
            raise Wrong(here, f"{named(e)} is a member of {members[named(e)]} and cannot be set up by itself")
        if "on" in e:
            below = entries.get(e["on"], {})
            if e["on"] in members or "vlan" in below:
                raise Wrong(f"{here}.on", f"{quoted(e['on'])} is {'a VLAN' if 'vlan' in below else 'a member of a bond'}")
            if e.get("mtu", 1280) > below.get("mtu", 1500):
                raise Wrong(f"{here}.mtu", f"{e['mtu']} is more than the port below it has")
        for m in e.get("bond", {}).get("members", []):
            if {"vlan", "bond"} & set(entries.get(m, {})):
                raise Wrong(f"{here}.bond.members", f"{quoted(m)} is not a port")
    return found


def soft_roce(value, place):
    if isinstance(value, bool):
        return value
    return list_of(lambda v, p: string(v, p, LINK_NAME, "the name of a port"))(value, place)


NETWORK = table({"interfaces": interfaces, "dns": list_of(address)}, ["interfaces"])
OPTIONS = table({"ssh": yes_no, "ssh_password": yes_no, "soft_roce": soft_roce})
SYSTEM = {"hostname": hostname, "iqn_base": iqn, "network": NETWORK, "ssh_keys": list_of(ssh_key),
          "password_hash": password_hash, "ntp": list_of(time_server), "options": OPTIONS}
GATEWAY = {"portals": list_of(portal), "targets": targets}


def check(value):
    """The whole of an appliance.json in the form in which it is applied; Refused names what is wrong."""
    if not isinstance(value, dict):
        raise Refused("the file is not an object")
    found = table({**SYSTEM, **GATEWAY})(value, "")
    unique([((p["address"], p["transport"]), f"portals[{i}]") for i, p in enumerate(found.get("portals", []))])
    if "portals" in found and not found["portals"]:
        raise Wrong("portals", "without a portal nobody reaches the targets")
    return found


def kept():
    """The appliance's settings now."""
    return tools.load(KEPT)


def keep(now):
    tools.store(KEPT, {key: now[key] for key in SYSTEM if key in now})
