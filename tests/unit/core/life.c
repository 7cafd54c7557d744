/* SPDX-License-Identifier: BSD-3-Clause */
/* Cores come and go, without leaks and without a trace. */
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "gateway/core/engine.h"
#include "tests/unit/core/cores.h"

static unsigned
entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

START_TEST(test_again_and_again)
{
	unsigned fds;

	cores_start(2, 1, 4);
	gw_cores_fini();
	fds = entries("/proc/self/fd");
	for (unsigned i = 0; i < 10; i++) {
		cores_start(1 + i % 4, 1, 4);
		gw_cores_fini();
		ck_assert_uint_eq(gw_ncores(), 0);
	}
	ck_assert_uint_eq(entries("/proc/self/fd"), fds);
}
END_TEST

START_TEST(test_never_started)
{
	struct gw_core_conf conf = {.engine = cores_engine, .buf_bytes = 1, .chunks = 4};
	char err[256];

	ck_assert_int_eq(gw_cores_init(&conf, err, sizeof(err)), 0);
	ck_assert_uint_ge(gw_ncores(), 1);
	for (unsigned i = 0; i < gw_ncores(); i++) {
		struct gw_core *core = gw_core_at(i);

		ck_assert_uint_eq(core->id, i);
		ck_assert_ptr_nonnull(core->eng);
		ck_assert_ptr_nonnull(core->stats);
		for (unsigned k = 0; k < GW_SLOT_MAX; k++)
			ck_assert_ptr_null(core->slot[k]);
	}
	gw_cores_fini();
}
END_TEST

START_TEST(test_wrong_configurations)
{
	static const struct gw_core_conf bad[] = {
	    {.engine = "steam"},
	    {.cores = "no"},
	    {.chunks = 65537},
	    {.buf_bytes = UINT64_MAX / 2},
	};
	char err[256];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = '\0';
		ck_assert_int_lt(gw_cores_init(&bad[i], err, sizeof(err)), 0);
		ck_assert(err[0] != '\0');
		ck_assert_uint_eq(gw_ncores(), 0);
	}
}
END_TEST

struct look {
	char name[16];
	int cpus, cpu;
	struct gw_core *self;
};

static void
look_around(struct gw_core *core, void *arg)
{
	struct look *l = arg;
	cpu_set_t set;

	pthread_getname_np(pthread_self(), l->name, sizeof(l->name));
	pthread_getaffinity_np(pthread_self(), sizeof(set), &set);
	l->cpus = CPU_COUNT(&set);
	l->cpu = CPU_ISSET(core->cpu, &set) ? core->cpu : -1;
	l->self = gw_core_self();
}

START_TEST(test_name_and_pin)
{
	struct look l;

	cores_start(3, 1, 4);
	gw_run_sync(gw_core_at(2), look_around, &l);
	ck_assert_str_eq(l.name, "core/2");
	ck_assert_int_eq(l.cpus, 1);
	ck_assert_int_eq(l.cpu, gw_core_at(2)->cpu);
	ck_assert_ptr_eq(l.self, gw_core_at(2));
	ck_assert_ptr_null(gw_core_self());
	gw_cores_fini();
}
END_TEST

/* fini() comes while an operation waits for ever: it ends with the ring, without done(). */
static struct gw_op op;
static int pair[2];
static char byte;

static void
never(struct gw_op *o, int res)
{
	ck_abort_msg("done() after the end");
}

static void
receive(struct gw_core *core, void *arg)
{
	op.done = never;
	gw_recv(core, &op, pair[0], &byte, 1);
}

START_TEST(test_stop_with_something_in_flight)
{
	memset(&op, 0, sizeof(op));
	cores_start(1, 1, 4);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	gw_run_sync(gw_core_at(0), receive, NULL);
	gw_cores_fini();
	close(pair[0]);
	close(pair[1]);
}
END_TEST

CORES_SUITE("life", test_again_and_again, test_never_started, test_wrong_configurations,
	    test_name_and_pin, test_stop_with_something_in_flight)
