# SPDX-License-Identifier: BSD-3-Clause
"""
lichgate-appliance console: the menu on the screen and the serial line. Lines of text of 80 columns and nothing else, so that
it works on whatever is at the other end. Whoever sits there is the administrator until there is a password; then it is asked.
"""
import fnmatch
import os
import select
import signal
import subprocess
import sys
import termios
import time

from . import Refused, apply, install, luns, network, settings, slots, status, tools, users

PAGE = 20
CONFIRM_SECS = 60
IDLE_SECS = 900
BANNER_SECS = 15
LOCK_SECS = 2
# What systemd is told not to start again: there is no line behind this device.
NO_LINE = 75


class Back(Exception):
    """The question was left, by ^C, ^D or an empty answer."""


class Gone(Exception):
    """The line hung up."""


class Idle(Exception):
    """Nobody has answered for long."""


def add_arguments(parser):
    parser.set_defaults()


class Terminal:
    """Lines in, lines out. The terminal edits the line; what is not text is dropped."""

    def __init__(self):
        self.fd = sys.stdin.fileno()
        self.rest = b""
        self.ends = 0

    def say(self, text=""):
        """Names come from disks and initiators: none may drive the terminal."""
        text = "".join(c if c == "\n" or " " <= c <= "~" else "?" for c in str(text))
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except OSError as e:
            raise Gone from e

    def page(self, text):
        lines = str(text).rstrip().splitlines()
        for start in range(0, len(lines), PAGE):
            if start and self.ask("-- Enter for more, q to stop: ") == "q":
                return
            self.say("\n".join(lines[start:start + PAGE]))

    def line(self, secs):
        """The next line, or None when the time is up."""
        end = time.monotonic() + secs
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return None
            try:
                data = os.read(self.fd, 4096)
            except OSError as e:
                raise Gone from e
            if not data:
                self.ends += 1
                self.rest = b""
                if self.ends > 3:
                    raise Gone
                raise Back
            self.ends = 0
            # Without a newline for ever: not somebody who types.
            self.rest = (self.rest + data.replace(b"\r", b"\n"))[-8192:]
        text, _, self.rest = self.rest.partition(b"\n")
        return "".join(c for c in text.decode("utf-8", "replace") if c.isprintable())

    def ask(self, prompt, secs=IDLE_SECS, needed=False, exact=False):
        try:
            sys.stdout.write(prompt)
            sys.stdout.flush()
        except OSError as e:
            raise Gone from e
        answer = self.line(secs)
        if answer is None:
            raise Idle
        answer = answer if exact else answer.strip()
        if needed and not answer:
            raise Back
        return answer

    def secret(self, prompt):
        """As it was typed: a blank at its end is one to SSH, too."""
        try:
            old = termios.tcgetattr(self.fd)
        except termios.error:
            return self.ask(prompt, exact=True)
        new = list(old)
        new[3] &= ~termios.ECHO
        termios.tcsetattr(self.fd, termios.TCSADRAIN, new)
        try:
            return self.ask(prompt, exact=True)
        finally:
            termios.tcsetattr(self.fd, termios.TCSADRAIN, old)
            self.say()

    def sure(self, question):
        return self.ask(f"{question} Type yes to go on: ") == "yes"

    def choose(self, title, choices, leave="back"):
        """The number of the choice, from 1; Back for 0 or nothing."""
        self.say(f"\n{title}")
        for i, choice in enumerate(choices, 1):
            self.say(f"{i:3}  {choice}")
        self.say(f"  0  {leave}")
        while True:
            answer = self.ask("Choice: ")
            if answer in ("0", "q", ""):
                raise Back
            if answer.isascii() and answer.isdigit() and 1 <= int(answer[:4]) <= len(choices):
                return int(answer[:4])
            self.say(f"Type a number from 0 to {len(choices)}.")


def attempted(func, otherwise):
    try:
        return func()
    except (Refused, OSError, ValueError, KeyError):
        return otherwise


def size(number):
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            return f"{number:.0f} {unit}" if number == int(number) else f"{number:.1f} {unit}"
        number /= 1024


def version():
    return attempted(lambda: status.state()["version"], None) or "?"


def banner():
    """Nothing that cannot be read keeps anybody out."""
    found = [f"Lichgate {version()}  {attempted(settings.kept, {}).get('hostname', '')}"]
    found += [f"  {name}: {address}" for name, address in attempted(network.addresses, [])] or ["  no address yet"]
    problem = attempted(apply.problem, "what was applied cannot be read")
    if problem:
        found.append(f"  {problem}")
    if attempted(install.on_a_stick, False):
        found.append("  This system runs from a stick; the menu installs it on a disk.")
    return "\n" + "\n".join(found) + "\n\nPress Enter for the menu"


def command(term, *args):
    """A command of ours that speaks for itself. ^C is for it."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # The unit's errors go to the journal; these are for whoever sits here.
        code = subprocess.run(["lichgate-appliance", *args], check=False, stderr=subprocess.STDOUT,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)).returncode
    except OSError as e:
        raise Refused(f"lichgate-appliance: {e.strerror}") from e
    finally:
        signal.signal(signal.SIGINT, old)
    if code:
        term.say(f"It ended with {code}.")


# Status

def show_status(term):
    lines = [f"Name:      {settings.kept().get('hostname', '?')}   Version: {version()}"]
    lines += [f"Address:   {name} {address}" for name, address in network.addresses()] or ["Address:   none"]
    lines += [f"Attention: {apply.problem()}"] if apply.problem() else []
    lines += attempted(portal_lines, ["Portals:   the gateway does not answer"])
    lines += attempted(target_lines, [])
    lines.append("SSH:       " + ("served" if os.path.exists(users.SSH_ON) else "off"))
    term.page("\n".join(lines))


def portal_lines():
    return [f"Portal:    {luns.spelling(p)} {p['transport']}" + (f"  ({p['trouble']})" if p["trouble"] else "")
            for p in tools.shown("portal")["portals"]]


def target_lines():
    found = []
    for t in tools.shown("target")["targets"]:
        found.append(f"Target {t['tid']}:  {t['iqn']}  {len(t['luns'])} LUNs, {len(t['sessions'])} sessions")
        found += [f"  session: {s['initiator']}  {s.get('addr') or ''}" for s in t["sessions"]]
        found += [f"  LUN {lun['lun']}: {lun['trouble']}" for lun in t["luns"] if lun["trouble"]]
    return found or ["Targets:   none"]


# Network

def entry_line(e):
    how = ["DHCP"] if e["dhcp"] else []
    how += e["addresses"] + [f"gateway {g}" for g in e.get("gateway", [])]
    how += [f"VLAN {e['vlan']} on {e['on']}"] if "vlan" in e else []
    how += [f"bond of {', '.join(e['bond']['members'])}, {e['bond']['mode']}"] if "bond" in e else []
    how += [f"MTU {e['mtu']}"] if "mtu" in e else []
    return f"{settings.named(e)}: {', '.join(how) or 'no address'}"


def menu_network(term):
    while True:
        now = settings.kept().get("network", {"interfaces": []})
        term.say("\nPorts (those without an entry have DHCP):")
        for p in network.ports():
            term.say(f"  {p['name']}  {p['mac']}  {'link' if p['up'] else 'no link'}")
        for e in now["interfaces"]:
            term.say(f"  entry {entry_line(e)}")
        for name, address in network.addresses():
            term.say(f"  address {name} {address}")
        choice = term.choose("Network", ["DHCP on a port", "static address", "VLAN", "bond", "MTU", "DNS servers",
                                         "remove an entry", "host name"])
        if choice == 8:
            name = settings.hostname(term.ask("New host name: ", needed=True), "host name")
            apply.apply_system({"hostname": name}, live=True)
            continue
        new = (ask_dhcp, ask_static, ask_vlan, ask_bond, ask_mtu, ask_dns, ask_removal)[choice - 1](term, now)
        try_network(term, settings.NETWORK(new, "network"))


def try_network(term, new):
    for e in new["interfaces"]:
        term.say(f"  {entry_line(e)}")
    if not term.sure("Try these settings?"):
        return

    def confirmed():
        term.say(f"They are active. Without an answer within {CONFIRM_SECS} seconds the old ones come back.")
        try:
            return term.ask("Keep them? Type yes: ", secs=CONFIRM_SECS) == "yes"
        except Idle:
            term.say()
            return False
    term.say("kept" if network.change(new, confirmed) else "The old settings are back.")


def with_entry(now, entry):
    """The network with this entry in the place of the one of that name."""
    name = settings.named(entry)
    members = entry.get("bond", {}).get("members", [])
    rest = [e for e in now["interfaces"] if settings.named(e) != name and settings.named(e) not in members]
    return {**now, "interfaces": rest + [entry]}


def known(port, now):
    """A name or a MAC address that the machine has, or an entry; a file may name what comes later, who sits here does not."""
    have = {settings.named(e) for e in now["interfaces"]}.union(*((p["name"], p["mac"]) for p in network.ports()))
    port = port.lower() if settings.MAC.fullmatch(port) else port
    if not any(fnmatch.fnmatchcase(name, port) for name in have):
        raise Refused(f"there is no port {port}")
    return port


def ask_port(term, now):
    answer = known(term.ask("Port (name or MAC address): ", needed=True), now)
    return {"mac": answer} if settings.MAC.fullmatch(answer) else {"name": answer}


def old_mtu(now, entry):
    found = [e["mtu"] for e in now["interfaces"] if settings.named(e) == settings.named(entry) and "mtu" in e]
    return {"mtu": found[0]} if found else {}


def old_kind(now, entry):
    """What makes a VLAN or a bond one, when it gets other addresses."""
    found = [e for e in now["interfaces"] if settings.named(e) == settings.named(entry)]
    return {key: found[0][key] for key in ("vlan", "on", "bond") if found and key in found[0]}


def ask_dhcp(term, now):
    entry = ask_port(term, now)
    return with_entry(now, {**entry, **old_kind(now, entry), **old_mtu(now, entry), "dhcp": True})


def ask_addresses(term):
    found = {"addresses": [term.ask("Address with the length of its network (192.0.2.5/24): ", needed=True)]}
    gate = term.ask("Gateway (empty: none): ")
    return {**found, "gateway": [gate]} if gate else found


def ask_static(term, now):
    entry = ask_port(term, now)
    return with_entry(now, {**entry, **old_kind(now, entry), **old_mtu(now, entry), **ask_addresses(term)})


def number(text):
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else text


def ask_how(term):
    return {"dhcp": True} if term.ask("DHCP on it? (y/n): ").lower().startswith("y") else ask_addresses(term)


def ask_vlan(term, now):
    below = known(term.ask("On which port or bond: ", needed=True), now)
    tag = number(term.ask("VLAN number (1 to 4094): ", needed=True))
    name = term.ask(f"Name (empty: vlan{tag}): ") or f"vlan{tag}"
    return with_entry(now, {"name": name, "vlan": tag, "on": below, **ask_how(term)})


def ask_bond(term, now):
    members = [known(port, now) for port in term.ask("Ports, with spaces between them: ", needed=True).split()]
    mode = settings.BOND_MODES[term.choose("Mode", settings.BOND_MODES) - 1]
    name = term.ask("Name (empty: bond0): ") or "bond0"
    return with_entry(now, {"name": name, "bond": {"members": members, "mode": mode}, **ask_how(term)})


def ask_mtu(term, now):
    entry = ask_port(term, now)
    mtu = number(term.ask("MTU (1280 to 65520; 1500 is usual, 9000 for jumbo frames): ", needed=True))
    have = [e for e in now["interfaces"] if settings.named(e) == settings.named(entry)]
    return with_entry(now, {**(have[0] if have else entry), "mtu": mtu})


def ask_dns(term, now):
    return {**now, "dns": term.ask("DNS servers, with spaces between them (empty: those of DHCP): ").split()}


def ask_removal(term, now):
    entries = now["interfaces"]
    if not entries:
        raise Refused("there is no entry")
    gone = entries[term.choose("Remove", [entry_line(e) for e in entries]) - 1]
    return {**now, "interfaces": [e for e in entries if e is not gone]}


# Administrator

def new_password(term):
    first = term.secret("New password (at least 8 characters): ")
    if not first:
        raise Back
    if len(first) < 8:
        raise Refused("the password is too short")
    if term.secret("Again: ") != first:
        raise Refused("these were two different passwords")
    return first


def menu_access(term):
    while True:
        now = settings.kept()
        keys = now.get("ssh_keys", [])
        term.say(f"\nPassword: {'set' if users.stored_hash() else 'none, the console is open'}.  SSH keys: {len(keys)}.  "
                 f"SSH: {'served' if os.path.exists(users.SSH_ON) else 'off'}.")
        choice = term.choose("Password and SSH keys", ["set the password", "add an SSH key", "remove an SSH key",
                                                       "SSH on or off"])
        if choice == 1:
            users.change(password_hash=users.hashed(new_password(term)))
            term.say("set")
        elif choice == 2:
            key = settings.ssh_key(term.ask("Public key, one line: ", needed=True), "key")
            users.change(ssh_keys=keys + [key] if key not in keys else keys)
            term.say("added")
        elif choice == 3:
            if not keys:
                raise Refused("there is no key")
            gone = term.choose("Remove", [f"{k.split()[0]} ...{k.split()[1][-12:]} {' '.join(k.split()[2:])}" for k in keys])
            users.change(ssh_keys=[k for i, k in enumerate(keys, 1) if i != gone])
        else:
            on = now.get("options", {}).get("ssh", True)
            users.change(options={**now.get("options", {}), "ssh": not on})
            term.say(f"SSH is {'off' if on else 'on, once there is a key or a password'}.")


# Time

def menu_time(term):
    while True:
        now = settings.kept()
        known = os.path.exists("/run/systemd/timesync/synchronized")
        term.say(f"\n{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC, {'synchronized' if known else 'not synchronized'}"
                 f"\nTime servers: {' '.join(now.get('ntp', [])) or 'those of DHCP, else the default ones'}")
        if term.choose("Time", ["time servers", "set the clock"]) == 1:
            servers = term.ask("Time servers, with spaces between them (empty: none of your own): ").split()
            apply.apply_system({"ntp": settings.list_of(settings.time_server)(servers, "time servers")}, live=True)
        else:
            said = term.ask("Date and time in UTC (2026-11-22 12:00:00): ", needed=True)
            try:
                time.strptime(said, "%Y-%m-%d %H:%M:%S")
            except ValueError as e:
                raise Refused("this is not a date and time of that form") from e
            tools.run("date", "-u", "-s", said)


# Disks, LUNs, targets

def targets():
    return tools.shown("target")["targets"]


def disk_line(d):
    is_lun = f"LUN {d['lun'][1]} of {d['lun'][0]}" if d["lun"] else "free"
    return "  ".join(filter(None, (d["name"], size(d["size"]), d["model"], d["serial"], is_lun)))


def choose_target(term, also=()):
    found = targets()
    names = [t["iqn"] for t in found] + list(also)
    if not names:
        raise Refused("there is no target")
    picked = term.choose("Target", names) - 1
    return found[picked] if picked < len(found) else None


def wanted_target(term, wanted):
    """Through the same check and the same plan as appliance.json."""
    config = settings.check({"targets": [wanted]})
    luns.apply(config, settings.kept().get("iqn_base", ""))
    term.say("done")


def menu_disks(term):
    while True:
        have = luns.disks(targets())
        term.say("\nData disks:" if have else "\nThere is no data disk.")
        for d in have:
            term.say(f"  {disk_line(d)}")
        choice = term.choose("Data disks and LUNs", ["make a disk a LUN", "make all free disks LUNs", "remove a LUN"])
        if choice == 3:
            remove_lun(term)
            continue
        free = [d for d in have if not d["lun"]]
        if not free:
            raise Refused("no data disk is free")
        if choice == 1:
            free = [free[term.choose("Disk", [disk_line(d) for d in free]) - 1]]
        t = choose_target(term, ["a new one"])
        name = t["iqn"] if t else ask_name(term)
        term.say("What is on the disk stays there, and initiators can read and overwrite it.")
        if term.sure(f"{len(free)} LUN{'s' if len(free) > 1 else ''} in {name}."):
            wanted_target(term, {"name": name, "data_disks": [d["path"] for d in free]})


def remove_lun(term):
    t = choose_target(term)
    if not t["luns"]:
        raise Refused("it has no LUN")
    lun = t["luns"][term.choose("LUN", [f"LUN {x['lun']}  {x['path']}" for x in t["luns"]]) - 1]
    if term.sure(f"LUN {lun['lun']} of {t['iqn']} is removed from all initiators; the data stays on the disk."):
        tools.lgtadm("logicalunit", "delete", "-t", t["tid"], "-l", lun["lun"])
        term.say("removed")


def ask_name(term):
    base = settings.kept().get("iqn_base", "")
    said = term.ask("Name, for example disks, or a whole iSCSI name: ", needed=True)
    return said if settings.IQN.fullmatch(said) else f"{base}:{said}"


def menu_targets(term):
    while True:
        for line in attempted(target_lines, ["the gateway does not answer"]):
            term.say(line)
        choice = term.choose("Targets and CHAP", ["new target", "CHAP of a target", "CHAP off", "initiators of a target",
                                                  "delete a target"])
        if choice == 1:
            wanted_target(term, {"name": ask_name(term)})
            continue
        t = choose_target(term)
        if choice == 2:
            user = term.ask("User: ", needed=True)
            account = {"user": user, "password": term.secret("Password (at least 12 characters): ")}
            wanted_target(term, {"name": t["iqn"], "chap": account})
        elif choice == 3 and term.sure("Everybody who is admitted can then attach without a password."):
            if t["out"]:
                tools.lgtadm("account", "unbind", "-t", t["tid"], "-u", t["out"], "--outgoing")
            for user in t["in"]:
                tools.lgtadm("account", "unbind", "-t", t["tid"], "-u", user)
        elif choice == 4:
            term.say("Now: " + (" ".join(t["acl"] + t["acl_names"]) or "nobody"))
            rules = term.ask("Addresses, networks or names, with spaces between them; ALL for everybody: ", needed=True)
            wanted_target(term, {"name": t["iqn"], "initiators": rules.split()})
        elif choice == 5:
            if t["sessions"]:
                raise Refused(f"{len(t['sessions'])} initiators are attached: detach them first")
            if term.sure(f"{t['iqn']} and its LUNs are deleted; the data stays on the disks."):
                tools.lgtadm("target", "delete", "-t", t["tid"])


# The rest

def menu_update(term):
    choice = term.choose("Update", ["install an update", "go back to the other version", "what is in the two slots"])
    if choice == 1:
        command(term, "update", "--", term.ask("Path of the update file: ", needed=True))
    elif choice == 2:
        if term.sure(f"From {slots.running()} to the other slot."):
            command(term, "rollback")
    else:
        command(term, "status")


def menu_files(term):
    choice = term.choose("Support and configuration", ["support bundle", "write the configuration to a file",
                                                       "read the configuration from a file"])
    if choice == 1:
        term.say("This may take a minute.")
        command(term, "support-bundle")
    elif choice == 2:
        command(term, "config-export", "--", term.ask("File: ", needed=True))
    elif term.sure("The configuration of this appliance is replaced."):
        command(term, "config-import", "--", term.ask("File: ", needed=True))


def menu_install(term):
    every = list(install.found())
    fit = [d for d in every if d["erasable"] or not d["why"]]
    term.say()
    for d in every:
        if d not in fit:
            term.say(f"  {install.described(d)}")
    if not fit:
        raise Refused("there is no disk to install on")
    d = fit[term.choose("Install on", [install.described(d) for d in fit]) - 1]
    if term.sure(f"This system is put on {d['name']}" + (", and all that is on it is lost." if d["erasable"] else ".")):
        command(term, "install", *(["--erase"] if d["erasable"] else []), d["path"])


def menu_power(term):
    choice = term.choose("Power", ["restart", "power off"])
    attached = attempted(lambda: sum(len(t["sessions"]) for t in targets()), 0)
    if term.sure(f"{attached} initiators are attached."):
        tools.systemctl("reboot" if choice == 1 else "poweroff")
        term.say("It begins now.")


def shell(term):
    term.say("'exit' leads back to the menu.")
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(["/bin/sh", "-i"], check=False, env={**os.environ, "HOME": "/root", "TERM": "vt100"},
                       stderr=subprocess.STDOUT, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    finally:
        signal.signal(signal.SIGINT, old)


MENU = (("status", show_status), ("network", menu_network), ("password and SSH keys", menu_access), ("time", menu_time),
        ("data disks and LUNs", menu_disks), ("targets and CHAP", menu_targets),
        ("update and rollback", menu_update), ("health of the disks", lambda term: command(term, "health")),
        ("support bundle, configuration file", menu_files), ("shell", shell), ("restart, power off", menu_power))
# Of a system that runs from a stick.
MENU_INSTALL = ("install on a disk", menu_install)


def log_in(term):
    """The password, if there is one and SSH has not asked for it."""
    if not users.stored_hash() or os.environ.get("SSH_CONNECTION"):
        return True
    try:
        said = term.secret("Password: ")
    except Idle:
        return False
    # ^C does not shorten it: whoever guesses would not have to wait.
    with tools.undisturbed():
        if users.is_password(said):
            return True
        time.sleep(LOCK_SECS)
    term.say("This is not the password.")
    return False


def session(term):
    """The main menu until somebody leaves it."""
    menu = MENU + ((MENU_INSTALL,) if attempted(install.on_a_stick, False) else ())
    while True:
        try:
            picked = term.choose("Lichgate", [name for name, _ in menu], leave="leave")
        except (Back, KeyboardInterrupt):
            return
        try:
            menu[picked - 1][1](term)
        except Back:
            pass
        except KeyboardInterrupt:
            term.say()
        except settings.Wrong as why:
            # The place in a file means nothing to whoever has just typed it.
            term.say(f"Not done: {why.what}")
        except Refused as why:
            term.say(f"Not done: {why}")
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as why:
            # Whatever it is, the console stays.
            term.say(f"Not done: {type(why).__name__}: {why}")


def wait_for_somebody(term):
    said = None
    while True:
        try:
            now = banner()
            if now != said:
                term.say(now)
                said = now
            if term.line(BANNER_SECS) is not None:
                return
        except (Back, KeyboardInterrupt):
            said = None


def hang_up(_number, _frame):
    # The line says so once more when its last end closes: that may come while Python is on its way out.
    for number_ in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number_, signal.SIG_IGN)
    raise Gone


def run(_args):
    term = Terminal()
    for number_ in (signal.SIGTSTP, signal.SIGQUIT):
        signal.signal(number_, signal.SIG_IGN)
    for number_ in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number_, hang_up)
    # Whoever started this may have ignored it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.isatty(term.fd):
        try:
            termios.tcgetattr(term.fd)
        except termios.error:
            return NO_LINE
    try:
        while True:
            wait_for_somebody(term)
            try:
                if log_in(term):
                    session(term)
            except (Back, Idle, KeyboardInterrupt):
                pass
    except Gone:
        return 0
