/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets, and all else that can be waited for. The system call comes first; only when it would
 * block the operation waits, and from the first time on the descriptor is registered. A receive
 * that brought less than it asked for has emptied a stream socket (epoll(7)), so that the next one
 * waits without a system call.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "gateway/base/num.h"
#include "gateway/base/poison.h"
#include "gateway/core/epoll_priv.h"

#define IN_EVENTS  (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define OUT_EVENTS (EPOLLOUT | EPOLLHUP | EPOLLERR)
#define END_EVENTS (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* --- waiting --- */

static int
enter_set(struct gw_epoll *e, struct epoll_fd *f, int fd)
{
	struct epoll_event ev = {.events =
				     EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET,
				 .data.u64 = (uint64_t)fd};

	/* Either way the kernel looks, and tells what has happened before. */
	if (epoll_ctl(e->fd, EPOLL_CTL_ADD, fd, &ev) < 0 &&
	    (errno != EEXIST || epoll_ctl(e->fd, EPOLL_CTL_MOD, fd, &ev) < 0))
		return -errno;
	f->flags |= EPOLL_IN_SET;
	return 0;
}

static void
wait_list_add(struct epoll_fd *f, struct gw_op *op)
{
	if (!f->waiting.next)
		gw_list_init(&f->waiting);
	gw_list_add_tail(&f->waiting, &op->node);
}

static int
wait_for_event(struct gw_epoll *e, struct epoll_fd *f, struct gw_op *op)
{
	int rc;

	if (!f)
		return -EBADF;
	rc = f->flags & EPOLL_IN_SET ? 0 : enter_set(e, f, op->fd);
	if (rc < 0)
		return rc;
	wait_list_add(f, op);
	return -EINPROGRESS;
}

/* --- tries: the result, or -EAGAIN --- */

static int
result(ssize_t n)
{
	return n < 0 ? -errno : (int)n;
}

static int
try_recv(struct epoll_fd *f, int fd, void *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, MSG_DONTWAIT);
	int res = result(n);

	if (f && (res == -EAGAIN || (n > 0 && (size_t)n < len && !(f->flags & EPOLL_ENDS))))
		f->flags |= EPOLL_DRAINED;
	return res;
}

/* The chunk is picked here and leaves the spare ones only when there is something in it. */
static int
try_recv_chunk(struct gw_epoll *e, struct epoll_fd *f, struct gw_op *op)
{
	struct gw_chunks *cs = &e->base.chunks;
	struct gw_chunk *c = gw_list_first(&cs->spare, struct gw_chunk, node);
	int res;

	gw_unpoison(c->data, c->size);
	res = try_recv(f, op->fd, c->data, op->len ? GW_MIN(op->len, c->size) : c->size);
	if (res <= 0) {
		gw_poison(c->data, c->size);
		return res;
	}
	gw_list_del(&c->node);
	cs->lent++;
	c->refs = 1;
	op->chunk = c;
	return res;
}

/* accept4() has no flag for a single call, and an empty queue must not hold up the core. */
static int
try_accept(struct epoll_fd *f, int fd)
{
	if (f && !(f->flags & EPOLL_NONBLOCK)) {
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
		f->flags |= EPOLL_NONBLOCK;
	}
	return result(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
}

static int
try_poll(int fd, int events)
{
	struct pollfd p = {.fd = fd, .events = (short)events};
	int n = poll(&p, 1, 0);

	if (n <= 0)
		return n < 0 && errno != EINTR ? -errno : -EAGAIN;
	return p.revents & POLLNVAL ? -EBADF : p.revents;
}

static bool
must_starve(struct gw_epoll *e)
{
	return gw_list_empty(&e->base.chunks.spare) || !gw_list_empty(&e->base.starving);
}

/* A receive for which no chunk is left: whether there is data at all, the event will tell. */
static int
starve(struct gw_epoll *e, struct epoll_fd *f, struct gw_op *op)
{
	if (!f || !(f->flags & EPOLL_IN_SET))
		return wait_for_event(e, f, op);
	gw_stat_add(e->base.core->stats->chunk_waits, 1);
	gw_list_add_tail(&e->base.starving, &op->node);
	return -EINPROGRESS;
}

int
epoll_sock_try(struct gw_epoll *e, struct gw_op *op)
{
	struct epoll_fd *f = epoll_fd(e, op->fd);
	int res = -EINVAL;

	switch ((enum epoll_tag)op->tag) {
	case EPOLL_RECV_CHUNK:
		if (must_starve(e))
			return starve(e, f, op);
		res = try_recv_chunk(e, f, op);
		break;
	case EPOLL_RECV:
		res = try_recv(f, op->fd, op->at.buf, op->len);
		break;
	case EPOLL_SENDMSG:
		res = result(sendmsg(op->fd, op->at.msghdr, MSG_DONTWAIT | MSG_NOSIGNAL));
		break;
	case EPOLL_ACCEPT:
		res = try_accept(f, op->fd);
		break;
	case EPOLL_POLL:
		res = try_poll(op->fd, op->flags);
		break;
	default:
		break;
	}
	return res == -EAGAIN ? wait_for_event(e, f, op) : res;
}

void
epoll_sock_feed(struct gw_epoll *e)
{
	struct gw_op *op;
	int res;

	while (!gw_list_empty(&e->base.chunks.spare) &&
	       (op = gw_list_first(&e->base.starving, struct gw_op, node))) {
		struct epoll_fd *f = epoll_fd(e, op->fd);

		epoll_unlist(op);
		res = try_recv_chunk(e, f, op);
		if (res == -EAGAIN)
			res = wait_for_event(e, f, op);
		if (res != -EINPROGRESS)
			epoll_end(e, op, res);
	}
}

/* --- events --- */

static uint32_t
wanted_events(const struct gw_op *op)
{
	switch ((enum epoll_tag)op->tag) {
	case EPOLL_SENDMSG:
		return OUT_EVENTS;
	case EPOLL_POLL:
		return ~0u;
	default:
		return IN_EVENTS;
	}
}

void
epoll_sock_event(struct gw_epoll *e, int fd, uint32_t events)
{
	struct epoll_fd *f = epoll_fd(e, fd);
	struct gw_list now;
	struct gw_op *op;
	int res;

	if (events & IN_EVENTS)
		f->flags &= (uint8_t)~EPOLL_DRAINED;
	if (events & END_EVENTS)
		f->flags |= EPOLL_ENDS;
	if (!f->waiting.next)
		return;
	gw_list_init(&now);
	gw_list_splice_tail(&now, &f->waiting);
	while ((op = gw_list_first(&now, struct gw_op, node))) {
		epoll_unlist(op);
		if (!(events & wanted_events(op))) {
			wait_list_add(f, op);
			continue;
		}
		res = epoll_sock_try(e, op);
		if (res != -EINPROGRESS)
			gw_engine_finish(&e->base, op, res);
	}
}

/* --- the calls of engine.h --- */

/* Where it is known that nothing has come, the receive waits at once. */
static void
receive(struct gw_core *core, struct gw_op *op, enum epoll_tag tag)
{
	const uint8_t known = EPOLL_IN_SET | EPOLL_DRAINED;
	struct epoll_fd *f = epoll_fd(epoll_of(core), op->fd);

	if (!f || (f->flags & known) != known) {
		epoll_todo(core, op, tag);
		return;
	}
	op->tag = (uint8_t)tag;
	wait_list_add(f, op);
}

void
epoll_recv_chunk(struct gw_core *core, struct gw_op *op, int fd, uint32_t max)
{
	op->len = max;
	receive(core, op, EPOLL_RECV_CHUNK);
}

void
epoll_recv(struct gw_core *core, struct gw_op *op, int fd, void *buf, uint32_t len)
{
	op->at.buf = buf;
	op->len = len;
	receive(core, op, EPOLL_RECV);
}

void
epoll_sendmsg(struct gw_core *core, struct gw_op *op, int fd, const struct msghdr *msg)
{
	op->at.msghdr = msg;
	epoll_todo(core, op, EPOLL_SENDMSG);
}

void
epoll_accept(struct gw_core *core, struct gw_op *op, int fd)
{
	epoll_todo(core, op, EPOLL_ACCEPT);
}

void
epoll_poll(struct gw_core *core, struct gw_op *op, int fd, unsigned events)
{
	op->flags = (int)events;
	epoll_todo(core, op, EPOLL_POLL);
}
