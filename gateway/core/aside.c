/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread beside each core for calls that may block and that no engine knows. It is started with
 * the first of them, because most cores never have any. The core hands operations over on a
 * lock-free stack, as mailboxes do, and gets them back by its own mailbox.
 */
#include <errno.h>
#include <stdio.h>

#include "gateway/base/bug.h"
#include "gateway/core/engine_priv.h"

#define STACK_SIZE (256u << 10)

/* --- on the thread --- */

/* All that were handed over, oldest first; linked by msg.next. */
static struct gw_msg *
take_all(struct gw_aside *a)
{
	struct gw_msg *msg = atomic_exchange_explicit(&a->head, NULL, memory_order_acquire);
	struct gw_msg *first = NULL, *next;

	for (; msg; msg = next) {
		next = msg->next;
		msg->next = first;
		first = msg;
	}
	return first;
}

static void *
aside_main(void *arg)
{
	struct gw_aside *a = arg;
	struct gw_msg *msg, *next;

	for (;;) {
		while (sem_wait(&a->tokens) < 0)
			BUG(errno != EINTR);
		for (msg = take_all(a); msg; msg = next) {
			struct gw_op *op = gw_container(msg, struct gw_op, msg);

			next = msg->next;
			op->res = op->at.fn(op);
			gw_send(a->core, &op->msg);
		}
		if (atomic_load_explicit(&a->stop, memory_order_acquire))
			return NULL;
	}
}

/* --- on the core --- */

static void
carried_out(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_op *op = gw_container(msg, struct gw_op, msg);

	gw_engine_finish(on->eng, op, op->res);
}

static int
start(struct gw_aside *a, struct gw_core *core)
{
	pthread_attr_t attr;
	char name[16];
	int rc;

	a->core = core;
	sem_init(&a->tokens, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(&a->thread, &attr, aside_main, a);
	pthread_attr_destroy(&attr);
	if (rc) {
		sem_destroy(&a->tokens);
		return -rc;
	}
	snprintf(name, sizeof(name), "aside/%u", core->id);
	pthread_setname_np(a->thread, name);
	a->runs = true;
	return 0;
}

void
gw_aside_add(struct gw_core *core, struct gw_op *op)
{
	struct gw_aside *a = &core->eng->aside;
	int rc = a->runs ? 0 : start(a, core);
	struct gw_msg *head;

	op->ending = true; /* it goes its way to the end */
	if (rc) {
		op->res = rc;
		gw_list_add_tail(&core->eng->ended, &op->node);
		return;
	}
	op->msg.fn = carried_out;
	head = atomic_load_explicit(&a->head, memory_order_relaxed);
	do
		op->msg.next = head;
	while (!atomic_compare_exchange_weak_explicit(
	    &a->head, &head, &op->msg, memory_order_release, memory_order_relaxed));
	sem_post(&a->tokens);
}

void
gw_aside_stop(struct gw_aside *a)
{
	if (!a->runs)
		return;
	atomic_store_explicit(&a->stop, true, memory_order_release);
	sem_post(&a->tokens);
	pthread_join(a->thread, NULL);
	sem_destroy(&a->tokens);
	a->runs = false;
}
