/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmt/store.h"

static char dir[64];
static struct mgmt_err err;

static void
make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/lgt-store.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
wipe(void)
{
	static const char *const names[] = {"config.db", "config.db-wal", "config.db-shm",
					    "config.db-journal"};
	char path[128];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

/* One change of one account's secret: begun, then committed or not. */
static void
change(struct mgmt_store *s, struct mgmt_model *m, int n, bool commit)
{
	struct mgmt_change c;
	char secret[24];

	snprintf(secret, sizeof(secret), "secret%d", n);
	ck_assert_int_eq(mgmt_change_init(&c), 0);
	mgmt_change_set(&c, json_pack("{s:s,s:s}", "key", "account:a", "secret", secret));
	ck_assert_int_eq(mgmt_store_begin(s, &c, m, &err), 0);
	if (commit) {
		ck_assert_int_eq(mgmt_store_commit(s, &err), 0);
		ck_assert_int_eq(mgmt_model_commit(m, &c), 0);
	} else {
		mgmt_store_rollback(s);
	}
	mgmt_change_fini(&c);
}

START_TEST(only_commits_survive)
{
	struct mgmt_store *s;
	struct mgmt_model m;

	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	change(s, &m, 1, true);
	change(s, &m, 2, false);
	mgmt_model_fini(&m);
	mgmt_store_close(s);

	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	ck_assert_int_eq(mgmt_store_load(s, &m, &err), 0);
	ck_assert_str_eq(mgmt_str(mgmt_model_get(&m, "account:a"), "secret", ""), "secret1");
	mgmt_model_fini(&m);
	mgmt_store_close(s);
}
END_TEST

START_TEST(a_full_disk_does_not_keep_the_store_shut)
{
	struct mgmt_store *s;
	struct mgmt_model m;
	struct rlimit was, none;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	change(s, &m, 1, true);
	mgmt_model_fini(&m);
	mgmt_store_close(s);

	none = (struct rlimit){.rlim_cur = 0, .rlim_max = was.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	ck_assert_int_eq(mgmt_store_load(s, &m, &err), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	ck_assert_str_eq(mgmt_str(mgmt_model_get(&m, "account:a"), "secret", ""), "secret1");
	mgmt_model_fini(&m);
	mgmt_store_close(s);
}
END_TEST

START_TEST(the_last_versions_can_be_had_again)
{
	struct mgmt_store *s;
	struct mgmt_model m;
	json_t *list, *old;

	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	for (int n = 1; n <= 50; n++)
		change(s, &m, n, true);
	list = mgmt_store_versions(s, &err);
	ck_assert_uint_eq(json_array_size(list), MGMT_VERSIONS);
	ck_assert_int_eq(mgmt_int(json_array_get(list, 0), "version", 0), 50);
	json_decref(list);
	for (int n = 50 - MGMT_VERSIONS + 1; n <= 50; n++) {
		char want[24];

		snprintf(want, sizeof(want), "secret%d", n);
		old = mgmt_store_version(s, &m, n, &err);
		ck_assert_str_eq(mgmt_str(json_object_get(old, "account:a"), "secret", ""), want);
		json_decref(old);
	}
	ck_assert_ptr_null(mgmt_store_version(s, &m, 50 - MGMT_VERSIONS, &err));
	ck_assert_ptr_null(mgmt_store_version(s, &m, 51, &err));
	mgmt_model_fini(&m);
	mgmt_store_close(s);
}
END_TEST

START_TEST(a_second_daemon_is_refused)
{
	struct mgmt_store *s, *t;

	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_store_open(dir, &t, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "another process"));
	mgmt_store_close(s);
}
END_TEST

START_TEST(a_newer_store_is_refused)
{
	struct mgmt_store *s;
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/config.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "format 99"));
}
END_TEST

static int
format(void)
{
	char path[128];
	sqlite3_stmt *q;
	sqlite3 *db;
	int n;

	snprintf(path, sizeof(path), "%s/config.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

/* Takes the reference of the object. */
static void
object_change(json_t *obj, bool commit)
{
	struct mgmt_store *s;
	struct mgmt_change c;
	struct mgmt_model m;

	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	ck_assert_int_eq(mgmt_store_load(s, &m, &err), 0);
	ck_assert_int_eq(mgmt_change_init(&c), 0);
	mgmt_change_set(&c, obj);
	ck_assert_int_eq(mgmt_store_begin(s, &c, &m, &err), 0);
	if (commit)
		ck_assert_int_eq(mgmt_store_commit(s, &err), 0);
	mgmt_change_fini(&c);
	mgmt_model_fini(&m);
	mgmt_store_close(s); /* without a commit: as in a crash */
}

static void
portal_change(const char *key, const char *transport, bool commit)
{
	object_change(json_pack("{s:s,s:s*}", "key", key, "transport", transport), commit);
}

/* An earlier program goes on with a store as long as it can, and then is told that it cannot. */
START_TEST(the_format_rises_with_what_needs_it)
{
	struct mgmt_store *s;
	struct mgmt_model m;

	portal_change("portal:[::]:3260", NULL, true);
	ck_assert_int_eq(format(), 1);
	portal_change("portal:[::]:3260/iser", "iser", false);
	ck_assert_int_eq(format(), 1);
	portal_change("portal:[::]:3260/iser", "iser", true);
	ck_assert_int_eq(format(), 2);
	portal_change("portal:192.0.2.1:3260", NULL, true);
	ck_assert_int_eq(format(), 2);
	object_change(json_pack("{s:s,s:[]}", "key", "target:1", "maps"), true);
	ck_assert_int_eq(format(), 2);
	object_change(json_pack("{s:s,s:[{s:s}]}", "key", "target:1", "maps", "name", "iqn.x"),
		      true);
	ck_assert_int_eq(format(), 3);
	portal_change("portal:[::]:3260/iser", "iser", true);
	ck_assert_int_eq(format(), 3);

	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	ck_assert_int_eq(mgmt_store_load(s, &m, &err), 0);
	ck_assert_uint_eq(json_object_size(m.objects), 4);
	ck_assert_str_eq(mgmt_str(mgmt_model_get(&m, "portal:[::]:3260/iser"), "transport", ""),
			 "iser");
	mgmt_model_fini(&m);
	mgmt_store_close(s);
}
END_TEST

START_TEST(states_of_portal_groups_raise_the_format)
{
	object_change(json_pack("{s:s,s:[]}", "key", "target:1", "alua"), true);
	ck_assert_int_eq(format(), 1);
	object_change(json_pack("{s:s,s:[{s:i}]}", "key", "target:1", "alua", "tpgt", 2), true);
	ck_assert_int_eq(format(), 3);
}
END_TEST

START_TEST(what_cannot_be_opened_says_why)
{
	struct mgmt_store *s;
	char path[128];

	ck_assert_int_eq(mgmt_store_open("/dev/null/state", &s, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "/dev/null/state"));
	ck_assert_int_eq(mgmt_store_open("/dev/null", &s, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "/dev/null: "));
	snprintf(path, sizeof(path), "%s/config.db", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "config.db: it is not a file"));
	rmdir(path);
}
END_TEST

START_TEST(a_description_cut_in_a_character_is_listed)
{
	struct mgmt_change c;
	struct mgmt_store *s;
	struct mgmt_model m;
	const char *what;
	json_t *list;

	ck_assert_int_eq(mgmt_store_open(dir, &s, &err), 0);
	ck_assert_int_eq(mgmt_model_init(&m), 0);
	ck_assert_int_eq(mgmt_change_init(&c), 0);
	memset(c.what, 'x', 198);
	c.what[198] = '\xc3';
	mgmt_change_set(&c, json_pack("{s:s}", "key", "account:a"));
	ck_assert_int_eq(mgmt_store_begin(s, &c, &m, &err), 0);
	ck_assert_int_eq(mgmt_store_commit(s, &err), 0);
	list = mgmt_store_versions(s, &err);
	what = mgmt_str(json_array_get(list, 0), "what", "");
	ck_assert_uint_eq(strlen(what), 198);
	json_decref(list);
	mgmt_change_fini(&c);
	mgmt_model_fini(&m);
	mgmt_store_close(s);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mgmt/store");
	TCase *tc = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, make, wipe);
	tcase_add_test(tc, only_commits_survive);
	tcase_add_test(tc, a_full_disk_does_not_keep_the_store_shut);
	tcase_add_test(tc, the_last_versions_can_be_had_again);
	tcase_add_test(tc, a_second_daemon_is_refused);
	tcase_add_test(tc, a_newer_store_is_refused);
	tcase_add_test(tc, the_format_rises_with_what_needs_it);
	tcase_add_test(tc, states_of_portal_groups_raise_the_format);
	tcase_add_test(tc, what_cannot_be_opened_says_why);
	tcase_add_test(tc, a_description_cut_in_a_character_is_listed);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
