/* SPDX-License-Identifier: BSD-3-Clause */
/* The turn: wait, reap, hear, tick, kick, flush (core.h). */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "gateway/base/log.h"
#include "gateway/core/engine_priv.h"

/* How often a hook list is run through in one turn, if its hooks keep arming. */
#define HOOK_ROUNDS 4

_Thread_local struct gw_core *gw_core_current;

uint64_t
gw_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct gw_core *
gw_core_self(void)
{
	return gw_core_current;
}

static void
arm(struct gw_list *list, struct gw_hook *h)
{
	if (h->armed)
		return;
	h->armed = true;
	gw_list_add_tail(list, &h->node);
}

void
gw_at_kick(struct gw_core *core, struct gw_hook *h)
{
	arm(&core->kick, h);
}

void
gw_at_flush(struct gw_core *core, struct gw_hook *h)
{
	arm(&core->flush, h);
}

void
gw_hook_disarm(struct gw_hook *h)
{
	if (!h->armed)
		return;
	h->armed = false;
	gw_list_del(&h->node);
}

static void
run_hooks(struct gw_list *list, struct gw_watch *watch)
{
	struct gw_list round;
	struct gw_hook *h;
	uintptr_t fn;

	for (unsigned i = 0; i < HOOK_ROUNDS && !gw_list_empty(list); i++) {
		gw_list_init(&round);
		gw_list_splice_tail(&round, list);
		while ((h = gw_list_first(&round, struct gw_hook, node))) {
			gw_hook_disarm(h);
			fn = (uintptr_t)h->fn;
			h->fn(h);
			gw_watch_called(watch, fn);
		}
	}
}

/* True if the next turn has something to do already. */
static bool
left_over(const struct gw_core *core)
{
	return !gw_list_empty(&core->kick) || !gw_list_empty(&core->flush) || gw_engine_ended(core);
}

/* How long the loop may sleep from now on; the mailbox has been told if it is not 0. */
static uint64_t
sleep_ns(struct gw_core *core, uint64_t now)
{
	uint64_t next = gw_wheel_next(core->wheel);

	if (next <= now || left_over(core) || !gw_mailbox_sleep(core->mailbox))
		return 0;
	return next == GW_NEVER_DUE ? GW_NEVER_DUE : next - now;
}

static void
hear(struct gw_core *core, struct gw_watch *watch)
{
	struct gw_msg *msg, *next;
	uintptr_t fn;

	for (msg = gw_mailbox_take(core->mailbox); msg; msg = next) {
		next = msg->next;
		fn = (uintptr_t)msg->fn;
		gw_stat_add(core->stats->messages, 1);
		msg->fn(core, msg);
		gw_watch_called(watch, fn);
	}
}

static void
work(struct gw_core *core, struct gw_watch *watch)
{
	gw_watch_phase(watch, "reap");
	gw_engine_reap(core);
	gw_watch_phase(watch, "hear");
	hear(core, watch);
	gw_watch_phase(watch, "tick");
	gw_wheel_tick(core);
	gw_watch_phase(watch, "kick");
	run_hooks(&core->kick, watch);
	/* What the page cache holds is read while it is submitted: answered in this turn. */
	if (gw_engine_eager(core)) {
		gw_engine_wait(core, 0);
		gw_watch_phase(watch, "reap");
		gw_engine_reap(core);
	}
	gw_watch_phase(watch, "flush");
	run_hooks(&core->flush, watch);
	gw_engine_tell(core);
}

/* What tells a turn with work from one in which only a timer fired. */
static uint64_t
work_done(const struct gw_core *core)
{
	return gw_stat_get(core->stats->completions) + gw_stat_get(core->stats->messages);
}

/* Until the next turn; `now` is the end of the last one. */
static void
rest(struct gw_loop *loop, uint64_t now, bool worked)
{
	struct gw_core *core = &loop->core;
	uint64_t ns;

	if (worked && loop->spin.window_ns && !left_over(core) && gw_spin(loop, now)) {
		gw_engine_wait(core, 0);
		core->now = gw_clock_ns();
		return;
	}
	ns = sleep_ns(core, now);
	if (ns)
		gw_watch_sleep(&loop->watch);
	gw_engine_wait(core, ns);
	core->now = gw_clock_ns();
	if (ns && loop->spin.max_ns)
		gw_spin_slept(&loop->spin, core->now - now);
}

static void
run(struct gw_loop *loop)
{
	struct gw_watch *watch = &loop->watch;
	struct gw_core *core = &loop->core;
	uint64_t now = gw_clock_ns(), before = 0;

	while (!loop->stop) {
		rest(loop, now, work_done(core) != before);
		before = work_done(core);
		gw_watch_begin(watch, core->now);
		work(core, watch);
		now = gw_clock_ns();
		gw_watch_end(core, watch, now);
	}
	gw_watch_sleep(watch);
}

/* A core that cannot be pinned works all the same. */
static void
pin(struct gw_core *core)
{
	cpu_set_t set;
	char name[16];
	int rc;

	snprintf(name, sizeof(name), "core/%u", core->id);
	pthread_setname_np(pthread_self(), name);
	CPU_ZERO(&set);
	CPU_SET(core->cpu, &set);
	rc = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (rc != 0) {
		gw_warn("a core cannot be bound to its CPU core=%u cpu=%d error=%d", core->id,
			core->cpu, rc);
		core->cpu = -1;
	}
}

void *
gw_loop_main(void *arg)
{
	struct gw_loop *loop = arg;

	gw_core_current = &loop->core;
	pin(&loop->core);
	loop->core.now = gw_clock_ns();
	loop->start_error = gw_engine_start(&loop->core);
	if (loop->start_error < 0) {
		sem_post(&loop->ready);
		return NULL;
	}
	sem_post(&loop->ready);
	run(loop);
	gw_engine_stop(&loop->core);
	return NULL;
}
