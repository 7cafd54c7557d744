#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A gateway that only keeps the configuration it is told: for tests of the management side.

usage: _mgmt_stub.py RUN_DIR

Listens on RUN_DIR/gateway.sock (docs/control-protocol.md). Each call is a line in RUN_DIR/stub.log;
after each apply the whole configuration is in RUN_DIR/stub.state (replaced by rename). A file
RUN_DIR/stub.sessions, if there is one, holds the answer to `sessions`. It opens backing stores only so
far as to refuse a path that is not there, and a portal on port 1 is in use; a full apply takes both as
degraded. With a file RUN_DIR/stub.no_rdma it has no RDMA device. A file RUN_DIR/stub.refuse holds how many objects a full apply must not have to be taken.
"""
import json
import os
import socket
import sys
import time

RUN = sys.argv[1]
OBJECTS = {}
GENERATION = 0
DEGRADED = []


class Refused(Exception):
    def __init__(self, key, tgt_err, text):
        super().__init__(text)
        self.data = {"key": key, "tgt_err": tgt_err}


def lun_path(obj):
    for kv in obj.get("kv", []):
        if kv.startswith("path="):
            return kv[5:]
    return None


def sessions(tid=None):
    try:
        with open(RUN + "/stub.sessions") as f:
            every = json.load(f)
    except FileNotFoundError:
        every = []
    return [s for s in every if tid is None or s["tid"] == tid]


def trouble(params, degraded, key, reason):
    if not params["full"] and key in [o["key"] for o in params["set"]]:
        raise Refused(key, 17, key + ": " + reason)
    degraded.append({"key": key, "reason": reason})


def check(params, new):
    degraded = []
    if params["full"] and os.path.exists(RUN + "/stub.refuse"):
        with open(RUN + "/stub.refuse") as f:
            if len(new) == int(f.read()):
                raise Refused("", 1, "this many objects are not wanted")
    for key, obj in new.items():
        if "mgmt" in obj:
            raise Refused(key, 17, "unknown member mgmt")
        kind = key.split(":")[0]
        if kind == "lun" and "target:%d" % obj["tid"] not in new:
            raise Refused(key, 4, "no target for " + key)
        if kind == "portal" and obj["port"] == 1:
            trouble(params, degraded, key, "cannot listen on " + key[7:] + ": address already in use")
        if kind == "portal" and key.endswith("/iser") != (obj.get("transport") == "iser"):
            raise Refused(key, 17, key + ": its key is not that of its transport")
        if key.endswith("/iser") and os.path.exists(RUN + "/stub.no_rdma"):
            trouble(params, degraded, key, "this host has no RDMA device")
        path = lun_path(obj) if kind == "lun" else None
        if path and not os.path.exists(path):
            trouble(params, degraded, key, "cannot open " + path + ": No such file or directory")
        if not isinstance(obj.get("ready", True), bool):
            raise Refused(key, 17, key + ": ready is not a boolean")
    for key in params["del"]:
        if key not in OBJECTS:
            raise Refused(key, 17, "no object " + key)
    for key in set(OBJECTS) - set(new):
        if key.startswith("target:") and sessions(int(key[7:])) and not params["force"]:
            raise Refused(key, 19, "target has sessions")
    return degraded


def apply(params):
    global OBJECTS, GENERATION, DEGRADED
    new = {} if params["full"] else dict(OBJECTS)
    for key in params["del"]:
        new.pop(key, None)
    for obj in params["set"]:
        new[obj["key"]] = obj
    DEGRADED = check(params, new)
    OBJECTS = new
    GENERATION += 1
    with open(RUN + "/stub.state.new", "w") as f:
        json.dump(OBJECTS, f, sort_keys=True)
    os.rename(RUN + "/stub.state.new", RUN + "/stub.state")
    return {"generation": GENERATION, "degraded": DEGRADED}


def luns(tid=None):
    found = []
    for obj in OBJECTS.values():
        if not obj["key"].startswith("lun:") or (tid is not None and obj["tid"] != tid):
            continue
        size = 0
        for kv in obj["kv"]:
            if kv.startswith("size="):
                size = int(kv[5:])
        path = lun_path(obj)
        if path and not size:
            size = os.path.getsize(path)
        found.append({"tid": obj["tid"], "lun": obj["lun"], "size": size,
                      "online": obj["online"], "trouble": None, "prevented": False,
                      "stats": {"rd_cmds": 3, "rd_bytes": 1536, "wr_cmds": 2, "wr_bytes": 1024,
                                "errors": 1}})
    return found


def call(method, params):
    if method == "hello":
        return {"version": 1, "program": "stub", "pid": os.getpid(), "cores": 1,
                "engine": "none", "generation": GENERATION, "bstypes": [], "chap": [5, 6, 7, 8]}
    if method == "apply":
        return apply(params)
    if method == "sessions":
        return {"sessions": sessions(params.get("tid"))}
    if method == "degraded":
        return {"degraded": DEGRADED}
    if method == "luns":
        return {"luns": luns(params.get("tid"))}
    if method == "close":
        for s in sessions(params["tid"]):
            if s["sid"] == params["sid"]:
                if s["cid"] != params["cid"]:
                    raise Refused("", 7, "no such connection")
                return {}
        raise Refused("", 6, "no such session")
    if method in ("log", "shutdown"):
        return {}
    raise Refused("", 1, "unknown method " + method)


def serve(conn):
    log = open(RUN + "/stub.log", "a", buffering=1)
    for line in conn.makefile("rb"):
        req = json.loads(line)
        method, params = req["method"], req["params"]
        log.write("%s full=%s set=%d del=%d bytes=%d\n" % (
            method, params.get("full"), len(params.get("set", [])), len(params.get("del", [])),
            len(line)))
        answer = {"jsonrpc": "2.0", "id": req["id"]}
        try:
            answer["result"] = call(method, params)
        except Refused as e:
            answer["error"] = {"code": -32000, "message": str(e), "data": e.data}
        conn.sendall(json.dumps(answer).encode() + b"\n")
        if method == "shutdown":
            conn.shutdown(socket.SHUT_RDWR)
            time.sleep(1)  # sessions end
            sys.exit(0)


def main():
    path = RUN + "/gateway.sock"
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(8)
    while True:
        conn, _ = listener.accept()
        try:
            serve(conn)
        except (ConnectionError, BrokenPipeError):
            pass


main()
