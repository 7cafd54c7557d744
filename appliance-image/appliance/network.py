# SPDX-License-Identifier: BSD-3-Clause
"""The network: files of systemd-networkd from the settings. Every Ethernet port that no entry names has DHCP."""
import fnmatch
import json
import os

from . import Refused, paths, settings, tools

FOLDER = paths.at("/etc/systemd/network")
RESOLVED = paths.at("/etc/systemd/resolved.conf.d/lichgate.conf")
PREFIX = "10-lichgate-"
# The settings before a change that nobody has confirmed yet: first-boot goes back to them after a power cut.
TRIAL = paths.at("/var/lib/appliance/network-trial.json")
# Held by whoever tries other settings.
LOCK = paths.at("/run/lichgate-network.lock")
NET = paths.at("/sys/class/net")


def section(name, *lines):
    return f"[{name}]\n" + "".join(line + "\n" for line in lines if line) + "\n"


def match(entry_or_port):
    """A port by name or MAC address. What lies upon a port has its MAC address, too, but is of a kind."""
    name = entry_or_port if isinstance(entry_or_port, str) else settings.named(entry_or_port)
    if settings.MAC.fullmatch(name):
        return section("Match", f"MACAddress={name}", "Type=ether", "Kind=!*")
    return section("Match", f"Name={name}")


def link_file(entry, vlans):
    """The .network file of an entry; vlans are the names of those on it."""
    dhcp = entry["dhcp"]
    link = [f"MTUBytes={entry['mtu']}"] if "mtu" in entry else []
    # An interface that has nothing of its own but carries others must still be up.
    lines = ["DHCP=yes" if dhcp else "DHCP=no", "" if dhcp else "IPv6AcceptRA=no", "LinkLocalAddressing=ipv6"]
    # A portal can listen on its address before the cable is in, and goes on when it is out for a moment.
    lines += ["ConfigureWithoutCarrier=yes"] if entry["addresses"] else []
    lines += [f"Address={a}" for a in entry["addresses"]]
    lines += [f"Gateway={g}" for g in entry.get("gateway", [])]
    lines += [f"DNS={d}" for d in entry.get("dns", [])]
    lines += [f"VLAN={v}" for v in vlans]
    text = match(entry) + (section("Link", *link) if link else "") + section("Network", *lines)
    return text + (section("DHCPv4", "UseHostname=no", "ClientIdentifier=mac") if dhcp else "")


def member_file(port, bond, mtu):
    return (match(port) + (section("Link", f"MTUBytes={mtu}") if mtu else "") +
            section("Network", f"Bond={bond}", "LinkLocalAddressing=no"))


def device_file(entry):
    """The .netdev file of a VLAN or a bond."""
    if "vlan" in entry:
        return section("NetDev", f"Name={entry['name']}", "Kind=vlan") + section("VLAN", f"Id={entry['vlan']}")
    bond = entry["bond"]
    return section("NetDev", f"Name={entry['name']}", "Kind=bond") + section(
        "Bond", f"Mode={bond['mode']}", "MIIMonitorSec=100ms",
        f"TransmitHashPolicy={bond.get('hash', 'layer3+4')}" if bond["mode"] in ("802.3ad", "balance-xor") else "",
        "LACPTransmitRate=fast" if bond["mode"] == "802.3ad" else "")


def rendered(network):
    """File name: text."""
    entries = {settings.named(e): e for e in network.get("interfaces", [])}
    vlans = {}
    for e in entries.values():
        if "on" in e:
            vlans.setdefault(e["on"], []).append(e["name"])
    files = {}

    def add(kind, text):
        files[f"{PREFIX}{len(files):05}.{kind}"] = text

    # A name before a pattern: networkd takes the first file that matches.
    for name, e in sorted(entries.items(), key=lambda item: any(c in item[0] for c in "*?")):
        if "vlan" in e or "bond" in e:
            add("netdev", device_file(e))
        for port in e.get("bond", {}).get("members", []):
            add("network", member_file(port, e["name"], e.get("mtu")))
        add("network", link_file(e, vlans.get(name, [])))
    # A port that only carries VLANs needs no entry. One that a pattern is about must not lose what the pattern says.
    members = {m for e in entries.values() for m in e.get("bond", {}).get("members", [])}
    for port in sorted(set(vlans) - set(entries) - members):
        like = next((e for name, e in entries.items() if fnmatch.fnmatchcase(port, name)), {"dhcp": False, "addresses": []})
        own = {**like, "name": port}
        files = {f"{PREFIX}00000-port-{len(files):05}.network": link_file(own, vlans[port]), **files}
    return files


def devices(network):
    """VLANs and bonds, which networkd makes but never takes away."""
    return {e["name"] for e in network.get("interfaces", []) if "vlan" in e or "bond" in e}


def write(network):
    """Puts the files there and takes old ones away; True if anything changed."""
    files = rendered(network)
    changed = False
    for name in os.listdir(FOLDER) if os.path.isdir(FOLDER) else []:
        if name.startswith(PREFIX) and name not in files:
            changed |= tools.remove(os.path.join(FOLDER, name))
    for name, text in files.items():
        changed |= tools.write(os.path.join(FOLDER, name), text)
    dns = network.get("dns", [])
    changed |= (tools.write(RESOLVED, section("Resolve", "DNS=" + " ".join(dns))) if dns else tools.remove(RESOLVED))
    return changed


def activate(before, now):
    """Has networkd take the files: what was made for the settings before and is wanted no longer goes."""
    for name in devices(before) - devices(now):
        if os.path.exists(os.path.join(NET, name)):
            tools.run("ip", "link", "delete", name)
    # A device of another kind under the old name is made anew.
    old = {e["name"]: device_file(e) for e in before.get("interfaces", []) if e.get("name") in devices(before)}
    for e in now.get("interfaces", []):
        name = e.get("name")
        if name in old and name in devices(now) and old[name] != device_file(e) and \
                os.path.exists(os.path.join(NET, name)):
            tools.run("ip", "link", "delete", name)
    # Addresses that networkd finds at its start may be somebody else's: it leaves them.
    for e in before.get("interfaces", []):
        if e not in now.get("interfaces", []):
            for name in standing_for(e):
                tools.run("ip", "address", "flush", "dev", name, "scope", "global")
                tools.run("ip", "route", "flush", "dev", name, "proto", "static")
    tools.systemctl("restart", "systemd-networkd.service", "systemd-resolved.service")


def standing_for(entry):
    """The links that an entry is about: by name or pattern, or by MAC address among the ports."""
    if "mac" in entry:
        return [p["name"] for p in ports() if p["mac"] == entry["mac"]]
    return [name for name in sorted(os.listdir(NET)) if fnmatch.fnmatchcase(name, entry["name"])]


def change(network, confirmed):
    """
    Tries other settings and keeps them if confirmed() says so; else, also when it ends in an exception or in a power
    cut, those before come back.
    """
    # Of two trials at once, on the screen and on the serial line, each would go back to what the other has changed.
    with tools.locked(LOCK, "somebody else is trying other network settings just now"):
        return tried(network, confirmed)


def tried(network, confirmed):
    before = settings.kept().get("network", {"interfaces": []})
    tools.store(TRIAL, before)
    keep = False
    try:
        write(network)
        activate(before, network)
        keep = confirmed()
        if keep:
            # Read now: somebody else may have set a password meanwhile.
            settings.keep({**settings.kept(), "network": network})
    finally:
        # A second ^C, or the line that hangs up after the first, must not leave half of it.
        with tools.undisturbed():
            if not keep:
                write(before)
                activate(network, before)
            tools.remove(TRIAL)
    return keep


def recover():
    """After a power cut in the middle of change()."""
    if os.path.exists(TRIAL):
        write(tools.load(TRIAL))
        tools.remove(TRIAL)


def ports():
    """The machine's Ethernet ports: name, mac, up, speed."""
    found = []
    for name in sorted(os.listdir(NET) if os.path.isdir(NET) else []):
        folder = os.path.join(NET, name)
        if tools.read(os.path.join(folder, "type")).strip() != "1" or not os.path.exists(os.path.join(folder, "device")):
            continue
        found.append({"name": name, "mac": tools.read(os.path.join(folder, "address")).strip(),
                      "up": tools.read(os.path.join(folder, "carrier")).strip() == "1"})
    return found


def addresses():
    """(interface, address with bits) of everything but the loopback and link-local addresses."""
    try:
        links = json.loads(tools.run("ip", "-j", "address", "show"))
    except (Refused, ValueError):
        return []
    return [(link["ifname"], f"{a['local']}/{a['prefixlen']}") for link in links
            for a in link.get("addr_info", []) if a.get("scope") == "global"]
