/* SPDX-License-Identifier: BSD-3-Clause */
/* Registrations in files: what comes back, what is refused, and what a failing disk does. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "gateway/scsi/pr_store.h"

/* System calls that fail when asked to: the n-th from now on, 0: none. */

static struct {
	int write_at, fsync_at, rename_at, error;
	unsigned fsyncs;
} fault;

static bool
fails(int *at)
{
	if (*at == 0 || --*at > 0)
		return false;
	errno = fault.error;
	return true;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	if (fd > STDERR_FILENO && fails(&fault.write_at))
		return -1;
	return syscall(SYS_write, fd, p, fd > STDERR_FILENO && n > 100 ? 100 : n);
}

int
fsync(int fd)
{
	fault.fsyncs++;
	return fails(&fault.fsync_at) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return fails(&fault.rename_at) ? -1
				       : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

/* The home core: it hears of one save after the other. */

static struct gw_core home;
static sem_t heard;
static struct gw_msg *last;

void
gw_send(struct gw_core *to, struct gw_msg *msg)
{
	BUG(to != &home);
	last = msg;
	sem_post(&heard);
}

static unsigned ndone;

static void
done(struct pr_save *s)
{
	ndone++;
}

static char top[64], state[128];

static int
save(const struct scsi_pr_saved *what)
{
	struct pr_save s = {.core = &home, .what = what, .error = 1, .done = done};
	unsigned was = ndone;

	pr_store_save(&s);
	while (sem_wait(&heard) != 0)
		BUG(errno != EINTR);
	ck_assert_ptr_eq(last, &s.msg);
	last->fn(&home, last);
	ck_assert_uint_eq(ndone, was + 1);
	return s.error;
}

static struct scsi_pr_saved *
state_new(uint8_t id, uint8_t type, uint32_t nreg)
{
	struct scsi_pr_saved *s = calloc(1, sizeof(*s) + nreg * sizeof(s->reg[0]));

	memset(s->naa, id, sizeof(s->naa));
	s->naa[0] = 0x60;
	s->type = type;
	s->aptpl = true;
	s->nreg = nreg;
	for (uint32_t i = 0; i < nreg; i++) {
		struct scsi_pr_reg *r = &s->reg[i];

		snprintf(r->initiator, sizeof(r->initiator), "iqn.2026-01.example:host%u", i);
		memset(r->isid, (int)i, sizeof(r->isid));
		r->tpgt = (uint16_t)(i % 3 + 1);
		r->key = 0x123456789abcdef0u + i;
		r->holder = type && (type >= 7 || i == nreg / 2);
		r->all_tg_pt = i % 2;
	}
	return s;
}

static void
same(const struct scsi_pr_saved *a, const struct scsi_pr_saved *b)
{
	ck_assert_mem_eq(a->naa, b->naa, sizeof(a->naa));
	ck_assert_uint_eq(a->type, b->type);
	ck_assert_uint_eq(a->aptpl, b->aptpl);
	ck_assert_uint_eq(a->nreg, b->nreg);
	for (uint32_t i = 0; i < a->nreg; i++) {
		ck_assert_str_eq(a->reg[i].initiator, b->reg[i].initiator);
		ck_assert_mem_eq(a->reg[i].isid, b->reg[i].isid, 6);
		ck_assert_uint_eq(a->reg[i].tpgt, b->reg[i].tpgt);
		ck_assert_uint_eq(a->reg[i].key, b->reg[i].key);
		ck_assert_uint_eq(a->reg[i].holder, b->reg[i].holder);
		ck_assert_uint_eq(a->reg[i].all_tg_pt, b->reg[i].all_tg_pt);
	}
}

/* What is stored for that LU is `want`; NULL: nothing. */
static void
stored(const uint8_t *naa, const struct scsi_pr_saved *want)
{
	struct scsi_pr_saved *got;
	char err[300];

	ck_assert_int_eq(pr_store_load(naa, &got, err, sizeof(err)), 0);
	ck_assert_int_eq(!got, !want);
	if (want)
		same(got, want);
	free(got);
}

static int
refused(const uint8_t *naa)
{
	struct scsi_pr_saved *got;
	char err[300] = "";
	int rc = pr_store_load(naa, &got, err, sizeof(err));

	ck_assert_ptr_null(got);
	ck_assert(rc == 0 || strstr(err, "reservations"));
	return rc;
}

static void
path_of(char path[256], const uint8_t *naa, const char *suffix)
{
	char hex[33];

	gw_str_hex(hex, naa, 16);
	snprintf(path, 256, "%s/reservations/%s%s", state, hex, suffix);
}

static void
setup(void)
{
	memset(&fault, 0, sizeof(fault));
	fault.error = EIO;
	snprintf(top, sizeof(top), "%s/pr_store.XXXXXX", P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(state, sizeof(state), "%s/state", top);
	sem_init(&heard, 0, 0);
	ck_assert_int_eq(pr_store_init(state), 0);
}

static void
teardown(void)
{
	char cmd[100];

	pr_store_fini();
	sem_destroy(&heard);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(comes_back)
{
	static const uint8_t types[] = {0, 1, 3, 5, 6, 7, 8};

	for (unsigned i = 0; i < sizeof(types); i++) {
		struct scsi_pr_saved *s = state_new((uint8_t)i, types[i], 1 + i * 7);

		stored(s->naa, NULL);
		ck_assert_int_eq(save(s), 0);
		stored(s->naa, s);
		free(s);
	}
}
END_TEST

START_TEST(the_longest_and_the_most)
{
	struct scsi_pr_saved *s = state_new(1, 7, PR_STORE_REGS_MAX);

	for (uint32_t i = 0; i < s->nreg; i++) {
		memset(s->reg[i].initiator, 'x', GW_NAME_MAX);
		s->reg[i].key = UINT64_MAX;
		s->reg[i].tpgt = UINT16_MAX;
	}
	ck_assert_int_eq(save(s), 0);
	stored(s->naa, s);
	free(s);
}
END_TEST

START_TEST(an_empty_one_has_no_file)
{
	struct scsi_pr_saved *s = state_new(1, 5, 3), *none = state_new(1, 0, 0);
	char path[256];

	path_of(path, s->naa, "");
	ck_assert_int_eq(save(none), 0);
	ck_assert_int_ne(access(state, F_OK), 0);
	ck_assert_int_eq(save(s), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(save(none), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	stored(s->naa, NULL);
	ck_assert_int_eq(save(s), 0);
	s->aptpl = false;
	ck_assert_int_eq(save(s), 0);
	stored(s->naa, NULL);
	free(s);
	free(none);
}
END_TEST

START_TEST(durable_before_the_answer)
{
	struct scsi_pr_saved *s = state_new(1, 5, 3), *none = state_new(1, 0, 0);
	struct stat st;
	char path[256];

	/* The two directories, the file, its name. */
	ck_assert_int_eq(save(s), 0);
	ck_assert_uint_eq(fault.fsyncs, 4);
	ck_assert_int_eq(save(s), 0);
	ck_assert_uint_eq(fault.fsyncs, 6);
	ck_assert_int_eq(save(none), 0);
	ck_assert_uint_eq(fault.fsyncs, 7);
	ck_assert_int_eq(save(s), 0);
	path_of(path, s->naa, "");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(state, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	free(s);
	free(none);
}
END_TEST

/* The old state stays whole; only the last step leaves the new one. */
START_TEST(a_failing_disk)
{
	struct scsi_pr_saved *s = state_new(1, 5, 9), *t = state_new(1, 7, 12);
	char new[256];

	path_of(new, s->naa, ".new");
	ck_assert_int_eq(save(s), 0);
	for (unsigned i = 0; i < 3; i++) {
		fault.error = i ? ENOSPC : EIO;
		fault.write_at = i == 0 ? 1 : i == 1 ? 3 : 0;
		fault.fsync_at = i == 2;
		ck_assert_int_eq(save(t), -fault.error);
		stored(s->naa, s);
		ck_assert_int_ne(access(new, F_OK), 0);
	}
	fault.rename_at = 1;
	ck_assert_int_eq(save(t), -ENOSPC);
	stored(s->naa, s);
	fault.fsync_at = 2;
	ck_assert_int_eq(save(t), -ENOSPC);
	stored(s->naa, t);
	ck_assert_int_eq(save(s), 0);
	stored(s->naa, s);
	free(s);
	free(t);
}
END_TEST

START_TEST(what_a_crash_left)
{
	struct scsi_pr_saved *s = state_new(1, 5, 2);
	char new[256];
	int fd;

	ck_assert_int_eq(save(s), 0);
	path_of(new, s->naa, ".new");
	fd = open(new, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, "half of a", 9), 9);
	close(fd);
	stored(s->naa, s);
	s->reg[0].key++;
	ck_assert_int_eq(save(s), 0);
	stored(s->naa, s);
	free(s);
}
END_TEST

/* Every byte changed, every length cut, one byte more. */
START_TEST(damage_is_refused)
{
	struct scsi_pr_saved *s = state_new(1, 5, 3);
	size_t n = 0, max = pr_text_max(3);
	char *text = malloc(max + 1), path[256];
	int fd;

	ck_assert_int_eq(save(s), 0);
	path_of(path, s->naa, "");
	fd = open(path, O_RDWR);
	n = (size_t)pread(fd, text, max, 0);
	for (size_t i = 0; i < n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			char was = text[i], bad = (char)(was ^ 1 << bit);

			ck_assert_int_eq(pwrite(fd, &bad, 1, (off_t)i), 1);
			ck_assert_int_eq(refused(s->naa), -EBADMSG);
			ck_assert_int_eq(pwrite(fd, &was, 1, (off_t)i), 1);
		}
	}
	stored(s->naa, s);
	ck_assert_int_eq(pwrite(fd, "\n", 1, (off_t)n), 1);
	ck_assert_int_eq(refused(s->naa), -EBADMSG);
	for (size_t i = n; i-- > 0;) {
		ck_assert_int_eq(ftruncate(fd, (off_t)i), 0);
		ck_assert_int_eq(refused(s->naa), -EBADMSG);
	}
	ck_assert_int_eq(ftruncate(fd, 1ll << 30), 0);
	ck_assert_int_eq(refused(s->naa), -EFBIG);
	close(fd);
	free(text);
	free(s);
}
END_TEST

START_TEST(of_another_lu)
{
	struct scsi_pr_saved *s = state_new(1, 5, 3), *t = state_new(2, 5, 3);
	char from[256], to[256];

	ck_assert_int_eq(save(s), 0);
	path_of(from, s->naa, "");
	path_of(to, t->naa, "");
	ck_assert_int_eq(rename(from, to), 0);
	stored(s->naa, NULL);
	ck_assert_int_eq(refused(t->naa), -EBADMSG);
	free(s);
	free(t);
}
END_TEST

/* The rules of the text hold for those who write it, too. */
START_TEST(what_no_file_says)
{
	struct scsi_pr_saved *s = state_new(1, 5, 3), *got;
	char *text = malloc(pr_text_max(3) + 100);

	for (unsigned i = 0; i < 8; i++) {
		struct scsi_pr_saved *t = state_new(1, 5, 3);

		t->type = i == 0 ? 2 : i == 1 ? 9 : i == 2 ? 0 : 5;
		t->reg[1].holder = i != 3;
		t->reg[2].holder = i == 4;
		if (i == 5)
			t->reg[0].key = 0;
		if (i == 6)
			t->reg[0].initiator[0] = '\0';
		if (i == 7)
			t->reg[0].initiator[3] = '\n';
		ck_assert(!pr_text_ok(t));
		ck_assert_int_eq(pr_text_read(text, pr_text_write(t, text), &got), -EBADMSG);
		free(t);
	}
	ck_assert(pr_text_ok(s));
	ck_assert_int_eq(pr_text_read(text, pr_text_write(s, text), &got), 0);
	free(got);
	free(s);
	free(text);
}
END_TEST

START_TEST(no_directory)
{
	struct scsi_pr_saved *s = state_new(1, 5, 3);
	char path[256];
	int fd;

	/* A file in its place. */
	fd = open(state, O_WRONLY | O_CREAT, 0600);
	close(fd);
	ck_assert_int_eq(save(s), -ENOTDIR);
	ck_assert_int_eq(refused(s->naa), -ENOTDIR);
	ck_assert_int_eq(unlink(state), 0);
	/* None, and not even the one above. */
	ck_assert_int_eq(rmdir(top), 0);
	stored(s->naa, NULL);
	ck_assert_int_eq(save(s), -ENOENT);
	pr_store_forget(s->naa);
	/* Once it is mended all goes well without a restart. */
	ck_assert_int_eq(mkdir(top, 0700), 0);
	ck_assert_int_eq(save(s), 0);
	stored(s->naa, s);
	/* What is no file is not read. */
	path_of(path, s->naa, "");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(refused(s->naa), -EINVAL);
	free(s);
}
END_TEST

START_TEST(forget)
{
	struct scsi_pr_saved *s = state_new(1, 5, 3), *t = state_new(2, 7, 4);

	ck_assert_int_eq(save(s), 0);
	ck_assert_int_eq(save(t), 0);
	pr_store_forget(s->naa);
	stored(s->naa, NULL);
	stored(t->naa, t);
	pr_store_forget(s->naa);
	free(s);
	free(t);
}
END_TEST

/* Many at once from one core: each is answered. */
START_TEST(many)
{
	enum {
		N = 100
	};
	struct scsi_pr_saved *s[N];
	struct pr_save *p = calloc(N, sizeof(*p));

	for (unsigned i = 0; i < N; i++) {
		s[i] = state_new((uint8_t)i, 5, 1 + i % 5);
		p[i] = (struct pr_save){.core = &home, .what = s[i], .error = 1, .done = done};
		pr_store_save(&p[i]);
	}
	for (unsigned i = 0; i < N; i++)
		while (sem_wait(&heard) != 0)
			BUG(errno != EINTR);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_int_eq(p[i].error, 0);
		stored(s[i]->naa, s[i]);
		free(s[i]);
	}
	free(p);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pr_store");
	TCase *cases = tcase_create("pr_store");
	SRunner *runner;
	int failed;

	gw_log_init("pr_store");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, comes_back);
	tcase_add_test(cases, the_longest_and_the_most);
	tcase_add_test(cases, an_empty_one_has_no_file);
	tcase_add_test(cases, durable_before_the_answer);
	tcase_add_test(cases, a_failing_disk);
	tcase_add_test(cases, what_a_crash_left);
	tcase_add_test(cases, damage_is_refused);
	tcase_add_test(cases, of_another_lu);
	tcase_add_test(cases, what_no_file_says);
	tcase_add_test(cases, no_directory);
	tcase_add_test(cases, forget);
	tcase_add_test(cases, many);
	tcase_set_timeout(cases, 0);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
