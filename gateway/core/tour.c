/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <semaphore.h>

#include "gateway/base/bug.h"
#include "gateway/core/core_priv.h"

static void
hear_visit(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_tour *t = gw_container(msg, struct gw_tour, msg);

	t->visit(on, t);
}

static void
hear_home(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_tour *t = gw_container(msg, struct gw_tour, msg);

	t->done(t);
}

void
gw_tour_start(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *),
	      void (*done)(struct gw_tour *))
{
	t->home = gw_core_self();
	t->at = 0;
	t->visit = visit;
	t->done = done;
	t->msg.fn = hear_visit;
	gw_send(gw_core_at(0), &t->msg);
}

void
gw_tour_next(struct gw_tour *t)
{
	struct gw_core *here = gw_core_at(t->at);

	BUG(gw_core_self() != here);
	if (++t->at < gw_ncores()) {
		gw_send(gw_core_at(t->at), &t->msg);
		return;
	}
	t->msg.fn = hear_home;
	gw_send(t->home ? t->home : here, &t->msg);
}

static void
sem_wait_whole(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		BUG(errno != EINTR);
}

static void
tour_came_home(struct gw_tour *t)
{
	sem_post(t->sleeper);
}

void
gw_tour_sync(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *))
{
	sem_t sem;

	BUG(gw_core_self() != NULL);
	sem_init(&sem, 0, 0);
	t->sleeper = &sem;
	gw_tour_start(t, visit, tour_came_home);
	sem_wait_whole(&sem);
	sem_destroy(&sem);
}

struct call {
	struct gw_msg msg;
	void (*fn)(struct gw_core *, void *);
	void *arg;
	sem_t sem;
};

static void
hear_call(struct gw_core *on, struct gw_msg *msg)
{
	struct call *c = gw_container(msg, struct call, msg);

	c->fn(on, c->arg);
	sem_post(&c->sem);
}

void
gw_run_sync(struct gw_core *on, void (*fn)(struct gw_core *, void *), void *arg)
{
	struct call c = {.msg.fn = hear_call, .fn = fn, .arg = arg};

	BUG(gw_core_self() != NULL);
	sem_init(&c.sem, 0, 0);
	gw_send(on, &c.msg);
	sem_wait_whole(&c.sem);
	sem_destroy(&c.sem);
}
