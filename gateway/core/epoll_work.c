/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads of one core for system calls that may block: the page cache's misses and writes,
 * fallocate(2), and what kernel AIO refuses. The core hands operations out through a ring and gets
 * them back by its mailbox; neither side ever waits for the other with a lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gateway/base/bug.h"
#include "gateway/core/epoll_priv.h"

#define STACK_SIZE (256u << 10)

void
epoll_work_init(struct epoll_work *w, struct gw_core *core)
{
	w->core = core;
	gw_list_init(&w->waiting);
	sem_init(&w->tokens, 0, 0);
}

void
epoll_work_fini(struct epoll_work *w)
{
	sem_destroy(&w->tokens);
}

/* --- on the threads --- */

static int
carry_out(const struct gw_op *op)
{
	ssize_t n = -1;

	switch ((enum epoll_tag)op->tag) {
	case EPOLL_READV:
		n = preadv(op->fd, op->at.iov, (int)op->len, (off_t)op->off);
		break;
	case EPOLL_WRITEV:
		n = pwritev2(op->fd, op->at.iov, (int)op->len, (off_t)op->off, op->flags);
		break;
	case EPOLL_FDATASYNC:
		n = fdatasync(op->fd);
		break;
	case EPOLL_FALLOCATE:
		n = fallocate(op->fd, op->flags, (off_t)op->off, (off_t)op->at.range);
		break;
	default:
		BUG(true);
	}
	return n < 0 ? -errno : (int)n;
}

/* There is one: a token was had for it. */
static struct gw_op *
take(struct epoll_work *w)
{
	unsigned head = atomic_load_explicit(&w->head, memory_order_acquire);
	struct gw_op *op;

	do
		op = atomic_load_explicit(&w->slot[head % EPOLL_QUEUE], memory_order_acquire);
	while (!atomic_compare_exchange_weak_explicit(&w->head, &head, head + 1,
						      memory_order_acq_rel, memory_order_acquire));
	return op;
}

static void *
work_main(void *arg)
{
	struct epoll_work *w = arg;

	for (;;) {
		struct gw_op *op;

		while (sem_wait(&w->tokens) < 0)
			BUG(errno != EINTR);
		if (atomic_load_explicit(&w->stop, memory_order_acquire))
			return NULL;
		op = take(w);
		op->res = carry_out(op);
		gw_send(w->core, &op->msg);
	}
}

/* --- on the core --- */

static bool
push(struct epoll_work *w, struct gw_op *op)
{
	unsigned tail = atomic_load_explicit(&w->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&w->head, memory_order_acquire) == EPOLL_QUEUE)
		return false;
	atomic_store_explicit(&w->slot[tail % EPOLL_QUEUE], op, memory_order_release);
	atomic_store_explicit(&w->tail, tail + 1, memory_order_relaxed);
	sem_post(&w->tokens);
	return true;
}

static void
carried_out(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_op *op = gw_container(msg, struct gw_op, msg), *next;
	struct epoll_work *w = &epoll_of(on)->work;

	next = gw_list_first(&w->waiting, struct gw_op, node);
	if (next) {
		epoll_unlist(next);
		epoll_work_add(w, next);
	}
	gw_engine_finish(on->eng, op, op->res);
}

void
epoll_work_add(struct epoll_work *w, struct gw_op *op)
{
	op->ending = true;
	op->msg.fn = carried_out;
	if (push(w, op))
		return;
	op->ending = false;
	gw_list_add_tail(&w->waiting, &op->node);
}

int
epoll_work_start(struct epoll_work *w)
{
	pthread_attr_t attr;
	char name[16];
	int rc = 0;

	snprintf(name, sizeof(name), "disk/%u", w->core->id);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	while (w->nthreads < EPOLL_WORKERS && rc == 0) {
		rc = pthread_create(&w->thread[w->nthreads], &attr, work_main, w);
		if (rc == 0)
			pthread_setname_np(w->thread[w->nthreads++], name);
	}
	pthread_attr_destroy(&attr);
	return w->nthreads ? 0 : -rc;
}

void
epoll_work_stop(struct epoll_work *w)
{
	atomic_store_explicit(&w->stop, true, memory_order_release);
	for (unsigned i = 0; i < w->nthreads; i++)
		sem_post(&w->tokens);
	for (unsigned i = 0; i < w->nthreads; i++)
		pthread_join(w->thread[i], NULL);
	w->nthreads = 0;
}
