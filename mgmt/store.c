/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/store.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/num.h"
#include "mgmt/names.h"
#include "mgmt/tgt_wire.h"

/*
 * A store has the oldest format that can hold what is in it, so that an earlier program can go on
 * with it as long as possible, and refuses with a sentence when it cannot. 2: portals over iSER.
 * 3: LUN maps, without which initiators would see what is hidden from them, and states of portal
 * groups.
 */
#define FORMAT_FIRST 1
#define FORMAT_ISER  2
#define FORMAT_MAPS  3
#define FORMAT_LAST  3

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS object(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
    " body TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS version(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at INTEGER NOT NULL, what TEXT NOT NULL);"
    /* An object as it was before its version; body NULL: there was none. */
    "CREATE TABLE IF NOT EXISTS undo(version INTEGER NOT NULL, key TEXT NOT NULL, body TEXT);"
    "CREATE INDEX IF NOT EXISTS undo_version ON undo(version);"
    "PRAGMA user_version=1;"
    "COMMIT;";

enum stmt {
	PUT,
	DEL,
	VERSION,
	UNDO,
	PRUNE_UNDO,
	PRUNE_VERSION,
	STMT_MAX
};

static const char *const stmt_sql[STMT_MAX] = {
    /* An update keeps the row number: objects are loaded in the order of their creation. */
    [PUT] = ("INSERT INTO object(key,body) VALUES(?1,?2)"
	     " ON CONFLICT(key) DO UPDATE SET body=excluded.body"),
    [DEL] = "DELETE FROM object WHERE key=?1",
    [VERSION] = "INSERT INTO version(at,what) VALUES(?1,?2)",
    [UNDO] = "INSERT INTO undo(version,key,body) VALUES(?1,?2,?3)",
    [PRUNE_UNDO] = "DELETE FROM undo WHERE version<=?1",
    [PRUNE_VERSION] = "DELETE FROM version WHERE id<=?1",
};

struct mgmt_store {
	sqlite3 *db;
	sqlite3_stmt *stmt[STMT_MAX];
	bool open; /* a transaction */
};

static int
store_fail(struct mgmt_store *s, struct mgmt_err *err, const char *doing)
{
	int rc = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;

	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		return mgmt_fail(err, TGT_E_UNKNOWN,
				 "cannot %s the configuration store: another process has it open",
				 doing);
	return mgmt_fail(err, TGT_E_UNKNOWN, "cannot %s the configuration store: %s", doing,
			 s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

static int
open_fail(struct mgmt_store *s, const char *path, struct mgmt_err *err)
{
	int rc = s->db ? sqlite3_errcode(s->db) : SQLITE_NOMEM;
	const char *why = s->db ? sqlite3_errmsg(s->db) : "out of memory";
	struct stat st;

	if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
		why = "another process has it open";
	else if (!stat(path, &st) && !S_ISREG(st.st_mode))
		why = "it is not a file";
	else if (!stat(path, &st) && access(path, R_OK | W_OK))
		why = strerror(errno);
	return mgmt_fail(err, TGT_E_UNKNOWN, "cannot open the configuration store %s: %s", path,
			 why);
}

static int
make_dir(const char *dir, struct mgmt_err *err)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return mgmt_fail(err, TGT_E_UNKNOWN, "the path of the state directory is too long");
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
	if (mkdir(path, 0700) && errno != EEXIST)
		return mgmt_fail(err, TGT_E_UNKNOWN, "cannot create the state directory %s: %s",
				 path, strerror(errno));
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return mgmt_fail(err, TGT_E_UNKNOWN,
				 "cannot use the state directory %s: it is not a directory", path);
	if (access(path, R_OK | W_OK | X_OK))
		return mgmt_fail(err, TGT_E_UNKNOWN, "cannot use the state directory %s: %s", path,
				 strerror(errno));
	return 0;
}

/* The format of the store, 0 for a new one; -1 if it cannot be read. */
static int
get_format(struct mgmt_store *s)
{
	sqlite3_stmt *q = NULL;
	int have = -1;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		have = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return have;
}

/* As get_format(), or -1 with err. */
static int
read_version(struct mgmt_store *s, const char *path, struct mgmt_err *err)
{
	int have = get_format(s);

	if (have < 0)
		return open_fail(s, path, err);
	if (have > FORMAT_LAST)
		return mgmt_fail(err, TGT_E_UNKNOWN,
				 "the configuration store %s has format %d, this program knows %d",
				 path, have, FORMAT_LAST);
	return have;
}

int
mgmt_store_open(const char *dir, struct mgmt_store **out, struct mgmt_err *err)
{
	/* FULL: a commit has been fsynced. EXCLUSIVE: two daemons on one store would lose changes.
	 */
	static const char pragmas[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
				      "PRAGMA synchronous=FULL;";
	struct mgmt_store *s;
	char path[PATH_MAX + 32];
	mode_t old;
	int rc, version = 0;

	if (make_dir(dir, err))
		return -1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	snprintf(path, sizeof(path), "%s/config.db", dir);
	old = umask(077);
	rc = sqlite3_open(path, &s->db);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(s->db, 1000);
		rc = sqlite3_exec(s->db, pragmas, NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK && (version = read_version(s, path, err)) < 0) {
		umask(old);
		mgmt_store_close(s);
		return -1;
	}
	/* A store that is there is not written: on a full disk the daemon must start all the same.
	 */
	if (rc == SQLITE_OK && version < FORMAT_FIRST)
		rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);
	umask(old);
	if (rc == SQLITE_OK && sqlite3_db_readonly(s->db, "main")) {
		mgmt_store_close(s);
		return mgmt_fail(err, TGT_E_UNKNOWN,
				 "cannot open the configuration store %s: it cannot be written",
				 path);
	}
	for (int i = 0; rc == SQLITE_OK && i < STMT_MAX; i++)
		rc = sqlite3_prepare_v2(s->db, stmt_sql[i], -1, &s->stmt[i], NULL);
	if (rc != SQLITE_OK) {
		open_fail(s, path, err);
		mgmt_store_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void
mgmt_store_close(struct mgmt_store *s)
{
	if (!s)
		return;
	for (int i = 0; i < STMT_MAX; i++)
		sqlite3_finalize(s->stmt[i]);
	sqlite3_close(s->db);
	free(s);
}

int
mgmt_store_load(struct mgmt_store *s, struct mgmt_model *m, struct mgmt_err *err)
{
	sqlite3_stmt *q = NULL;
	struct mgmt_change all;
	int rc;

	if (mgmt_change_init(&all))
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	rc = sqlite3_prepare_v2(s->db, "SELECT key,body FROM object ORDER BY id", -1, &q, NULL);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		const char *body;
		json_t *obj;

		rc = sqlite3_step(q);
		if (rc != SQLITE_ROW)
			break;
		body = (const char *)sqlite3_column_text(q, 1);
		obj = body ? json_loads(body, 0, NULL) : NULL;
		if (!obj || mgmt_change_set(&all, obj)) {
			mgmt_fail(err, TGT_E_UNKNOWN, "the stored object %s cannot be read",
				  (const char *)sqlite3_column_text(q, 0));
			goto out;
		}
	}
	if (rc != SQLITE_DONE)
		store_fail(s, err, "read");
	else if (mgmt_model_commit(m, &all))
		rc = mgmt_fail(err, TGT_E_NOMEM, "out of memory");
out:
	sqlite3_finalize(q);
	mgmt_change_fini(&all);
	return rc == SQLITE_DONE ? 0 : -1;
}

/* Runs a prepared statement whose values are bound; true if it went through. */
static bool
run(sqlite3_stmt *q)
{
	int rc = sqlite3_step(q);

	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return rc == SQLITE_DONE;
}

static bool
write_undo(struct mgmt_store *s, int64_t version, const char *key, const struct mgmt_model *m)
{
	sqlite3_stmt *q = s->stmt[UNDO];
	json_t *was = mgmt_model_get(m, key);

	sqlite3_bind_int64(q, 1, version);
	sqlite3_bind_text(q, 2, key, -1, SQLITE_TRANSIENT);
	/* An object that was never stored (a default portal) counts as absent. */
	if (was && !mgmt_bool(json_object_get(was, "mgmt"), "volatile", false))
		sqlite3_bind_text(q, 3, json_dumps(was, JSON_COMPACT), -1, free);
	return run(q);
}

/* The oldest format that can hold the object. */
static int
format_of(const json_t *obj)
{
	if (json_array_size(json_object_get(obj, "maps")) ||
	    json_array_size(json_object_get(obj, "alua")))
		return FORMAT_MAPS;
	return mgmt_portal_iser(obj) ? FORMAT_ISER : FORMAT_FIRST;
}

/* Part of the transaction, like all else that a change writes. */
static bool
raise_format(struct mgmt_store *s, const struct mgmt_change *c)
{
	int have = get_format(s), want = FORMAT_FIRST;
	char sql[40];
	const char *key;
	json_t *obj;

	json_object_foreach (c->set, key, obj)
		want = GW_MAX(want, format_of(obj));
	if (have < 0 || have >= want)
		return have >= 0;
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", want);
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool
write_change(struct mgmt_store *s, const struct mgmt_change *c, const struct mgmt_model *m)
{
	const char *key;
	json_t *obj;
	int64_t version;

	sqlite3_bind_int64(s->stmt[VERSION], 1, (int64_t)time(NULL));
	sqlite3_bind_text(s->stmt[VERSION], 2, c->what, -1, SQLITE_TRANSIENT);
	if (!raise_format(s, c) || !run(s->stmt[VERSION]))
		return false;
	version = sqlite3_last_insert_rowid(s->db);

	json_object_foreach (c->del, key, obj) {
		if (!write_undo(s, version, key, m))
			return false;
		sqlite3_bind_text(s->stmt[DEL], 1, key, -1, SQLITE_TRANSIENT);
		if (!run(s->stmt[DEL]))
			return false;
	}
	json_object_foreach (c->set, key, obj) {
		if (!write_undo(s, version, key, m))
			return false;
		sqlite3_bind_text(s->stmt[PUT], 1, key, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(s->stmt[PUT], 2, json_dumps(obj, JSON_COMPACT), -1, free);
		if (!run(s->stmt[PUT]))
			return false;
	}
	sqlite3_bind_int64(s->stmt[PRUNE_UNDO], 1, version - MGMT_VERSIONS);
	sqlite3_bind_int64(s->stmt[PRUNE_VERSION], 1, version - MGMT_VERSIONS);
	return run(s->stmt[PRUNE_UNDO]) && run(s->stmt[PRUNE_VERSION]);
}

int
mgmt_store_begin(struct mgmt_store *s, const struct mgmt_change *c, const struct mgmt_model *m,
		 struct mgmt_err *err)
{
	if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return store_fail(s, err, "write");
	s->open = true;
	if (write_change(s, c, m))
		return 0;
	store_fail(s, err, "write");
	mgmt_store_rollback(s);
	return -1;
}

int
mgmt_store_commit(struct mgmt_store *s, struct mgmt_err *err)
{
	if (sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
		s->open = false;
		return 0;
	}
	store_fail(s, err, "write");
	mgmt_store_rollback(s);
	return -1;
}

void
mgmt_store_rollback(struct mgmt_store *s)
{
	/* SQLite may have rolled back by itself (a full disk): then this says so and harms nothing.
	 */
	if (s->open)
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->open = false;
}

/* What a change was may have been cut anywhere: a character of which bytes are missing goes. */
static json_t *
what_json(const char *what)
{
	json_t *v = NULL;

	for (size_t n = what ? strlen(what) : 0, cut = 0; !v && cut < 4 && cut <= n; cut++)
		v = json_stringn(what ? what : "", n - cut);
	return v ? v : json_string("?");
}

json_t *
mgmt_store_versions(struct mgmt_store *s, struct mgmt_err *err)
{
	json_t *list = json_array();
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT id,at,what FROM version ORDER BY id DESC", -1,
				    &q, NULL);

	while (rc == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		json_array_append_new(
		    list,
		    json_pack("{s:I,s:I,s:o}", "version", (json_int_t)sqlite3_column_int64(q, 0),
			      "at", (json_int_t)sqlite3_column_int64(q, 1), "what",
			      what_json((const char *)sqlite3_column_text(q, 2))));
	if (rc != SQLITE_OK) {
		store_fail(s, err, "read");
		json_decref(list);
		list = NULL;
	}
	sqlite3_finalize(q);
	return list;
}

static bool
version_kept(struct mgmt_store *s, int64_t version)
{
	sqlite3_stmt *q = NULL;
	bool kept = false;

	if (sqlite3_prepare_v2(s->db, "SELECT 1 FROM version WHERE id=?1", -1, &q, NULL) ==
	    SQLITE_OK) {
		sqlite3_bind_int64(q, 1, version);
		kept = sqlite3_step(q) == SQLITE_ROW;
	}
	sqlite3_finalize(q);
	return kept;
}

json_t *
mgmt_store_version(struct mgmt_store *s, const struct mgmt_model *now, int64_t version,
		   struct mgmt_err *err)
{
	static const char sql[] =
	    "SELECT key,body FROM undo WHERE version>?1 ORDER BY version DESC";
	json_t *objects;
	sqlite3_stmt *q = NULL;

	if (!version_kept(s, version)) {
		mgmt_fail(err, TGT_E_INVALID, "version %" PRId64 " is not kept", version);
		return NULL;
	}
	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK) {
		store_fail(s, err, "read");
		return NULL;
	}
	objects = json_copy(now->objects);
	sqlite3_bind_int64(q, 1, version);
	while (sqlite3_step(q) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(q, 0);
		const char *body = (const char *)sqlite3_column_text(q, 1);

		if (body)
			json_object_set_new(objects, key, json_loads(body, 0, NULL));
		else
			json_object_del(objects, key);
	}
	sqlite3_finalize(q);
	return objects;
}
