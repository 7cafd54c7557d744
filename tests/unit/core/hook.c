/* SPDX-License-Identifier: BSD-3-Clause */
/* The phases of a turn: kick before flush, each hook once, more of them within a budget. */
#include <fcntl.h>
#include <unistd.h>

#include "gateway/core/engine.h"
#include "tests/unit/core/cores.h"

static char trace[64];
static sem_t done;
static struct gw_hook kick, flush, disarmed, last;

static void
note(char c)
{
	size_t n = strlen(trace);

	ck_assert_uint_lt(n + 1, sizeof(trace));
	trace[n] = c;
	trace[n + 1] = '\0';
}

static void
hear_kick(struct gw_hook *h)
{
	note('k');
}

static void
hear_flush(struct gw_hook *h)
{
	note('f');
}

static void
hear_disarmed(struct gw_hook *h)
{
	note('d');
}

static void
hear_last(struct gw_hook *h)
{
	note('.');
	sem_post(&done);
}

static void
begin(void)
{
	trace[0] = '\0';
	sem_init(&done, 0, 0);
	gw_hook_init(&kick, hear_kick);
	gw_hook_init(&flush, hear_flush);
	gw_hook_init(&disarmed, hear_disarmed);
	gw_hook_init(&last, hear_last);
	cores_start(1, 1, 4);
}

static void
arm_all(struct gw_core *core, void *arg)
{
	gw_at_flush(core, &flush);
	gw_at_flush(core, &flush);
	gw_at_flush(core, &disarmed);
	gw_at_flush(core, &last);
	gw_at_kick(core, &kick);
	gw_at_kick(core, &kick);
	gw_hook_disarm(&disarmed);
	gw_hook_disarm(&disarmed);
}

START_TEST(test_phases)
{
	begin();
	gw_run_sync(gw_core_at(0), arm_all, NULL);
	sem_wait_whole(&done);
	ck_assert_str_eq(trace, "kf.");
	gw_cores_fini();
}
END_TEST

/* A hook that arms itself runs on, in this turn and the next; others get their turn. */
static unsigned rounds;

static void
hear_again(struct gw_hook *h)
{
	note('k');
	if (++rounds < 10)
		gw_at_kick(gw_core_self(), h);
	else
		gw_at_flush(gw_core_self(), &last);
}

static void
arm_again(struct gw_core *core, void *arg)
{
	gw_at_kick(core, &kick);
	gw_at_flush(core, &flush);
}

START_TEST(test_budget)
{
	begin();
	rounds = 0;
	kick.fn = hear_again;
	gw_run_sync(gw_core_at(0), arm_again, NULL);
	sem_wait_whole(&done);
	ck_assert_uint_eq(rounds, 10);
	/* Some rounds in the first turn, but not all, before its flush. */
	ck_assert_str_eq(trace + 11, ".");
	ck_assert_ptr_nonnull(strchr(trace, 'f'));
	ck_assert_int_ge(strchr(trace, 'f') - trace, 2);
	ck_assert_int_lt(strchr(trace, 'f') - trace, 10);
	gw_cores_fini();
}
END_TEST

/* A read that was prepared in the kick phase and is in the page cache is done before the flush. */
static struct gw_op op;
static struct iovec iov;
static char byte;
static int file;

static void
read_done(struct gw_op *o, int res)
{
	note(res == 1 ? 'r' : '!');
}

static void
read_at_kick(struct gw_hook *h)
{
	note('k');
	op.done = read_done;
	iov = (struct iovec){&byte, 1};
	gw_readv(gw_core_self(), &op, file, &iov, 1, 0);
	gw_at_flush(gw_core_self(), &last);
}

START_TEST(test_cached_read_is_answered_in_its_turn)
{
	begin();
	file = open("/proc/self/exe", O_RDONLY);
	ck_assert_int_eq(pread(file, &byte, 1, 0), 1);
	memset(&op, 0, sizeof(op));
	kick.fn = read_at_kick;
	gw_run_sync(gw_core_at(0), arm_again, NULL);
	sem_wait_whole(&done);
	ck_assert_str_eq(trace, "krf.");
	close(file);
	gw_cores_fini();
}
END_TEST

CORES_SUITE("hook", test_phases, test_budget, test_cached_read_is_answered_in_its_turn)
