/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"

#define READ_STEP (64u << 10)

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
client_free(struct client *c)
{
	sd_event_source_disable_unref(c->io);
	close(c->fd);
	gw_list_del(&c->node);
	/* Requests carry CHAP secrets. */
	if (c->in)
		explicit_bzero(c->in, c->in_room);
	free(c->in);
	free(c->out);
	free(c);
}

bool
client_stalled(const struct client *c, uint64_t now)
{
	return (c->in_len || c->out) && now > c->moved_at + CLIENT_STALL_SEC * 1000000ull;
}

static bool
make_room(struct client *c)
{
	size_t room = c->in_room ? c->in_room * 2 : READ_STEP;
	char *in;

	if (c->in_len < c->in_room)
		return true;
	room = GW_MIN(room, (size_t)CLIENT_LINE_MAX + 1);
	if (c->in_len == room)
		return false;
	in = malloc(room);
	if (!in)
		return false;
	if (c->in) {
		memcpy(in, c->in, c->in_len);
		explicit_bzero(c->in, c->in_room);
		free(c->in);
	}
	c->in = in;
	c->in_room = room;
	return true;
}

/* Drops the first n bytes; a large buffer is given back when it is empty. */
static void
consume(struct client *c, size_t n)
{
	memmove(c->in, c->in + n, c->in_len - n);
	c->in_len -= n;
	c->scanned = 0;
	explicit_bzero(c->in + c->in_len, n);
	if (c->in_len == 0 && c->in_room > READ_STEP) {
		free(c->in);
		c->in = NULL;
		c->in_room = 0;
	}
}

/* 1: bytes have come, 0: none now, -1: the end. */
static int
fill(struct client *c)
{
	ssize_t n;

	if (!make_room(c)) {
		gw_warn("control client dropped: a request is longer than %u bytes",
			CLIENT_LINE_MAX);
		return -1;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_room - c->in_len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->in_len += (size_t)n;
	return n > 0 ? 1 : -1;
}

/* 1: all is sent, 0: the socket is full, -1: the end. */
static int
drain(struct client *c)
{
	while (c->out && c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		c->out_at += (size_t)n;
		c->moved_at = now_us();
	}
	free(c->out);
	c->out = NULL;
	return 1;
}

/* Carries out the first line that is complete, if there is one. */
static bool
one_line(struct client *c)
{
	char *end = c->in_len > c->scanned
			? memchr(c->in + c->scanned, '\n', c->in_len - c->scanned)
			: NULL;
	size_t n;

	if (!end) {
		c->scanned = c->in_len;
		return false;
	}
	n = (size_t)(end - c->in);
	c->out = rpc_line(c->env, c->in, n, &c->out_len);
	c->out_at = 0;
	consume(c, n + 1);
	return true;
}

/*
 * One request per turn of the event loop, so that signals, ticks and other clients get theirs.
 * While a complete line waits, the source is told to come back at once (EPOLLOUT).
 */
static bool
serve(struct client *c, uint32_t events)
{
	int sent = drain(c), got = 0;
	bool more = false;

	if (sent < 0)
		return false;
	if (sent && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		got = fill(c);
		c->moved_at = got > 0 ? now_us() : c->moved_at;
	}
	if (sent && one_line(c)) {
		sent = drain(c);
		more = memchr(c->in ? c->in : "", '\n', c->in_len) != NULL;
	}
	if (sent < 0 || (got < 0 && !more && !c->out))
		return false;
	return sd_event_source_set_io_events(c->io, !sent || more ? EPOLLOUT : EPOLLIN) >= 0;
}

static int
on_io(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;

	if (!serve(c, events))
		c->gone(c);
	return 0;
}

struct client *
client_new(sd_event *ev, int fd, struct rpc_env *env, void (*gone)(struct client *))
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	gw_list_init(&c->node);
	c->fd = fd;
	c->env = env;
	c->gone = gone;
	c->moved_at = now_us();
	if (sd_event_add_io(ev, &c->io, fd, EPOLLIN, on_io, c) < 0) {
		client_free(c);
		return NULL;
	}
	return c;
}
