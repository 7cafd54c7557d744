# SPDX-License-Identifier: BSD-3-Clause
"""
The gateway's configuration as lichgate-mgmtd stores it (mgmt/store.c): objects in an SQLite database that the daemon keeps
locked while it runs.
"""
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time

from . import Refused, paths, tools

FOLDER = paths.at("/var/lib/lichgate")
DATABASE = os.path.join(FOLDER, "config.db")
# The daemon's formats that this program has seen.
FORMATS = (1, 2, 3)
SECRET = "secret"
TRIES = 50
START_SECS = 60
# The gateway is looked for all the time; this long without one means that it is not running.
ALONE_SECS = 10
# A refusal stays one, but for a moment it may be that of the configuration before.
REFUSED_SECS = 2
KINDS = ("target", "lun", "account", "portal", "system")
DAEMON = "lichgate-mgmtd.service"


def pieces():
    """Database and write-ahead log as bytes."""
    found = []
    for path in (DATABASE, DATABASE + "-wal"):
        try:
            with open(path, "rb") as f:
                found.append(f.read())
        except FileNotFoundError:
            found.append(b"")
        except OSError as e:
            raise Refused(f"{path} cannot be read: {e.strerror}") from e
    return found


def load():
    """(format, objects) now. Two readings that are the same are of one moment, whatever the daemon does meanwhile."""
    for _ in range(TRIES):
        found = pieces()
        if found == pieces():
            return from_pieces(*found)
        time.sleep(0.1)
    raise Refused("the configuration changes all the time")


def from_pieces(database, log):
    if not database and not log:
        return FORMATS[0], []
    with tempfile.TemporaryDirectory(dir=None if paths.ROOT else "/run") as folder:
        copy = os.path.join(folder, "config.db")
        for path, data in ((copy, database), (copy + "-wal", log)):
            with open(path, "wb", opener=private) as f:
                f.write(data)
        try:
            db = sqlite3.connect(copy)
            number = db.execute("PRAGMA user_version").fetchone()[0]
            objects = [json.loads(body) for (body,) in db.execute("SELECT body FROM object ORDER BY id")]
            db.close()
        except (sqlite3.Error, ValueError) as e:
            raise Refused(f"the configuration of the gateway cannot be read: {e}") from e
    return number, objects


def private(path, flags):
    return os.open(path, flags, 0o600)


def check(number, objects):
    """What a stranger's file must at least be; whether it makes sense is the daemon's to say, see proven()."""
    if number not in FORMATS:
        raise Refused(f"the gateway's configuration has format {number}, this appliance knows up to {FORMATS[-1]}")
    keys = set()
    for o in objects:
        if not isinstance(o, dict) or not isinstance(o.get("key"), str) or o["key"] in keys:
            raise Refused("the gateway's configuration has an object without a key of its own")
        if o["key"].partition(":")[0] not in KINDS:
            raise Refused(f"the gateway's configuration has an object of an unknown kind, {o['key'][:40]!r}")
        keys.add(o["key"])


def make(folder, number, objects):
    """A new database in a folder."""
    path = os.path.join(folder, "config.db")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE object(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
        CREATE TABLE version(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, what TEXT NOT NULL);
        CREATE TABLE undo(version INTEGER NOT NULL, key TEXT NOT NULL, body TEXT);
        CREATE INDEX undo_version ON undo(version);""")
    db.executemany("INSERT INTO object(key,body) VALUES(?,?)",
                   [(o["key"], json.dumps(o, separators=(",", ":"))) for o in objects])
    db.execute("INSERT INTO version(at,what) VALUES(?,?)", (int(time.time()), "configuration imported"))
    db.execute(f"PRAGMA user_version={int(number)}")
    db.commit()
    db.close()
    return path


def proven(number, objects):
    """A daemon of its own, without a gateway, must take the objects: it reads and shows them, or says why not."""
    if not shutil.which("lichgate-mgmtd"):
        raise Refused("lichgate-mgmtd is not installed")
    with tempfile.TemporaryDirectory(prefix="lichgate-proof-") as folder:
        make(folder, number, objects)
        env = {**os.environ, "LGT_RUN_DIR": folder, "LGT_STATE_DIR": folder, "TGT_IPC_SOCKET": folder + "/socket"}
        with open(folder + "/log", "w+", encoding="utf-8", errors="replace") as log:
            daemon = subprocess.Popen(["lichgate-mgmtd", "-f"], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                return answered(daemon, env, folder + "/log")
            finally:
                daemon.terminate()
                daemon.wait()


def answered(daemon, env, log):
    end = time.monotonic() + START_SECS
    while time.monotonic() < end:
        if daemon.poll() is not None:
            said = tools.read(log).strip().splitlines()
            raise Refused(f"the gateway's configuration is not taken: {said[-1] if said else 'no reason given'}")
        p = subprocess.run(["lgtadm", "--json", "-m", "target", "-o", "show"], env=env, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, check=False)
        if p.returncode == 0:
            return json.loads(p.stdout)["targets"]
        time.sleep(0.1)
    raise Refused("the gateway's configuration is not taken: lichgate-mgmtd does not answer")


def replace(number, objects):
    """
    The daemon goes on with other objects, and the gateway with it; should the daemon not come up with them, with those
    that it had.
    """
    tools.systemctl("stop", DAEMON)
    old = {path: data for path, data in zip((DATABASE, DATABASE + "-wal"), pieces())}
    try:
        put(number, objects)
        tools.systemctl("start", DAEMON)
        wait_for_daemon()
    except BaseException:
        tools.systemctl("stop", DAEMON)
        for path, data in old.items():
            own(tools.write, path, data) if data else tools.remove(path)
        tools.systemctl("start", DAEMON)
        raise


def put(number, objects):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(FOLDER), prefix=".lichgate-") as folder:
        with open(make(folder, number, objects), "rb") as f:
            data = f.read()
    # The log of the old database must not be replayed into the new one; it is in the database by then, or kept in old.
    tools.remove(DATABASE + "-wal")
    own(tools.write, DATABASE, data)


def own(write, path, data):
    """What the daemon must be able to write belongs to whom its folder belongs."""
    write(path, data, 0o600)
    st = os.stat(FOLDER)
    os.chown(path, st.st_uid, st.st_gid, follow_symlinks=False)


def wait_for_daemon():
    """Until it answers, and the gateway, if there is one, has taken the configuration."""
    start = time.monotonic()
    while True:
        since = time.monotonic() - start
        try:
            gateway = tools.shown("system")["system"]["gateway"]
        except Refused:
            if since > START_SECS:
                raise
        else:
            if gateway["configured"] or not gateway["connected"] and since > ALONE_SECS:
                return
            if gateway["connected"] and gateway["trouble"] and since > REFUSED_SECS:
                raise Refused(f"the gateway does not take the configuration: {gateway['trouble']}")
            if since > START_SECS:
                raise Refused("the gateway does not take the configuration")
        time.sleep(0.2)
