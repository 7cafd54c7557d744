/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many senders, one receiver: senders push onto a stack, the receiver takes all of it at once and
 * turns it round. As nothing but the whole is ever taken, a push needs no protection against reuse.
 * One word holds the whole state: NULL (awake, empty), SLEEPER (asleep, empty) or the newest
 * message.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gateway/base/bug.h"
#include "gateway/core/core_priv.h"

struct gw_mailbox {
	alignas(GW_CACHELINE) _Atomic(struct gw_msg *) newest;
	alignas(GW_CACHELINE) int fd;
};

static struct gw_msg sleeper_mark;
#define SLEEPER (&sleeper_mark)

struct gw_mailbox *
gw_mailbox_new(int node)
{
	struct gw_mailbox *mb = gw_local_alloc(node, sizeof(*mb));

	if (!mb)
		return NULL;
	atomic_init(&mb->newest, NULL);
	mb->fd = eventfd(0, EFD_CLOEXEC);
	if (mb->fd < 0) {
		gw_local_free(mb, sizeof(*mb));
		return NULL;
	}
	return mb;
}

void
gw_mailbox_free(struct gw_mailbox *mb)
{
	if (!mb)
		return;
	close(mb->fd);
	gw_local_free(mb, sizeof(*mb));
}

int
gw_mailbox_fd(const struct gw_mailbox *mb)
{
	return mb->fd;
}

bool
gw_mailbox_sleep(struct gw_mailbox *mb)
{
	struct gw_msg *empty = NULL;

	return atomic_compare_exchange_strong(&mb->newest, &empty, SLEEPER) || empty == SLEEPER;
}

/* The receiver's poll counts wake-ups, not the value: nobody reads the eventfd. */
static void
wake(struct gw_mailbox *mb)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(mb->fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	BUG(n != sizeof(one));
}

void
gw_mailbox_put(struct gw_mailbox *mb, struct gw_msg *msg)
{
	struct gw_msg *was = atomic_load_explicit(&mb->newest, memory_order_relaxed);

	do
		msg->next = was == SLEEPER ? NULL : was;
	while (!atomic_compare_exchange_weak_explicit(&mb->newest, &was, msg, memory_order_acq_rel,
						      memory_order_relaxed));
	if (was == SLEEPER)
		wake(mb);
}

bool
gw_mailbox_any(struct gw_mailbox *mb)
{
	return atomic_load_explicit(&mb->newest, memory_order_relaxed) != NULL;
}

struct gw_msg *
gw_mailbox_take(struct gw_mailbox *mb)
{
	struct gw_msg *msg, *next, *oldest = NULL;

	if (!atomic_load_explicit(&mb->newest, memory_order_relaxed))
		return NULL;
	msg = atomic_exchange_explicit(&mb->newest, NULL, memory_order_acq_rel);
	if (msg == SLEEPER)
		return NULL;
	for (; msg; msg = next) {
		next = msg->next;
		msg->next = oldest;
		oldest = msg;
	}
	return oldest;
}

void
gw_send(struct gw_core *to, struct gw_msg *msg)
{
	gw_mailbox_put(to->mailbox, msg);
}
