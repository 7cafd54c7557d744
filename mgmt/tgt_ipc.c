/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/tgt_ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/base/list.h"
#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "mgmt/request.h"

#define BACKLOG       32
#define REQUEST_USEC  (10 * 1000000ull) /* from connecting to the last byte of the request */
#define RESPONSE_USEC (30 * 1000000ull)
#define DRAIN_USEC    (1000000ull)
#define DRAIN_MAX     (1u << 20)
#define END_USEC      (15 * 1000000ull) /* the gateway ends in less */

enum client_state {
	READING,
	WAITING,
	WRITING,
	DRAINING
};

struct client {
	struct mgmt_ipc *ipc;
	struct gw_list node;
	sd_event_source *io, *timer;
	enum client_state state;
	int fd;
	char in[TGT_REQ_MAX];
	size_t got;
	struct mgmt_req req;
	struct tgt_rsp rsp;
	struct mgmt_text out; /* header and payload */
	size_t sent, drained;
};

struct mgmt_ipc {
	struct mgmt *m;
	sd_event *event;
	sd_event_source *listen;
	struct gw_list clients;
	unsigned nclients;
	sd_event_source *end_io, *end_timer;
	int fd, lock_fd;
};

static int
gateway_ended(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct mgmt_ipc *ipc = arg;

	return sd_event_exit(ipc->event, 0);
}

static int
gateway_late(sd_event_source *s, uint64_t usec, void *arg)
{
	struct mgmt_ipc *ipc = arg;

	gw_warn("the gateway has not ended in time");
	return sd_event_exit(ipc->event, 0);
}

/*
 * After "system delete": the socket answers until the gateway has ended, for tgtadm and lgtadm ask
 * it until nobody answers, and who starts anew then must find the ports free. Such connections say
 * nothing, and tgtadm keeps them open: they are not waited for.
 */
static void
end_when_done(struct mgmt_ipc *ipc)
{
	if (!ipc->m->stopping || ipc->end_timer)
		return;
	gw_list_each (c, &ipc->clients, struct client, node) {
		if (c->state != READING)
			return;
	}
	if (ipc->m->gateway_pidfd < 0 ||
	    sd_event_add_io(ipc->event, &ipc->end_io, ipc->m->gateway_pidfd, EPOLLIN, gateway_ended,
			    ipc) < 0 ||
	    sd_event_add_time_relative(ipc->event, &ipc->end_timer, CLOCK_MONOTONIC, END_USEC, 0,
				       gateway_late, ipc) < 0)
		sd_event_exit(ipc->event, 0);
}

static void
client_free(struct client *c)
{
	struct mgmt_ipc *ipc = c->ipc;

	gw_list_del(&c->node);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->timer);
	close(c->fd);
	mgmt_text_free(&c->out);
	/* The last request may have carried a secret. */
	explicit_bzero(c, sizeof(*c));
	free(c);
	if (ipc->nclients-- == MGMT_CLIENTS_MAX)
		sd_event_source_set_enabled(ipc->listen, SD_EVENT_ON);
	end_when_done(ipc);
}

static void
client_deadline(struct client *c, uint64_t usec)
{
	sd_event_source_set_time_relative(c->timer, usec);
	sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void
client_drain(struct client *c)
{
	/* Closing with unread bytes would reset the connection before the client has its answer. */
	c->state = DRAINING;
	shutdown(c->fd, SHUT_WR);
	client_deadline(c, DRAIN_USEC);
	sd_event_source_set_io_events(c->io, EPOLLIN);
}

/* Writes what fits; true while the client lives. */
static bool
client_write(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.s + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

		if (n > 0) {
			c->sent += (size_t)n;
		} else if (errno == EAGAIN) {
			return true;
		} else if (errno != EINTR) {
			client_free(c);
			return false;
		}
	}
	if (c->ipc->m->stopping) {
		/* tgtadm keeps its connection until the daemon is gone. */
		client_free(c);
		return false;
	}
	client_drain(c);
	return true;
}

static void
client_respond(struct client *c, int rc, struct mgmt_text *text, const struct mgmt_err *err)
{
	const char *payload = rc ? err->text : text->s;
	size_t n = payload && *payload ? strlen(payload) + 1 : 0;
	char *all;

	c->rsp.err = rc ? (uint32_t)err->tgt : TGT_OK;
	all = malloc(sizeof(c->rsp) + n);
	if (!all || n > UINT32_MAX - sizeof(c->rsp)) {
		free(all);
		client_free(c);
		return;
	}
	c->rsp.len = (uint32_t)(sizeof(c->rsp) + n);
	memcpy(all, &c->rsp, sizeof(c->rsp));
	if (n)
		memcpy(all + sizeof(c->rsp), payload, n);
	c->out = (struct mgmt_text){.s = all, .len = sizeof(c->rsp) + n};
	c->state = WRITING;
	client_deadline(c, RESPONSE_USEC);
	sd_event_source_set_io_events(c->io, EPOLLOUT);
	client_write(c);
}

static void
client_refuse(struct client *c, const struct mgmt_err *err)
{
	struct mgmt_text none = {0};

	client_respond(c, -1, &none, err);
}

static void
client_run(struct client *c)
{
	struct mgmt_text text = {0};
	struct mgmt_err err = {.tgt = TGT_E_UNKNOWN};
	int rc = mgmt_req_run(c->ipc->m, &c->req, &text, &err);

	if (rc)
		gw_info("a request was refused mode=%s op=%s tid=%d reason=\"%s\"",
			tgt_mode_name(c->req.h.mode), tgt_op_name(c->req.h.op), c->req.h.tid,
			err.text);
	client_respond(c, rc, &text, &err);
	mgmt_text_free(&text);
}

static void
client_dispatch(struct client *c, size_t size)
{
	struct mgmt *m = c->ipc->m;
	struct mgmt_err err;

	if (mgmt_req_parse(c->in, size, &c->req, &err)) {
		client_refuse(c, &err);
	} else if (mgmt_req_needs_gateway(&c->req) && !mgmt_link_up(&m->link)) {
		/* A gateway that restarts is back soon; deadlines run on. */
		c->state = WAITING;
		client_deadline(c, (uint64_t)m->wait_ms * 1000);
		sd_event_source_set_io_events(c->io, 0);
	} else {
		client_run(c);
	}
}

static void
client_read(struct client *c)
{
	struct mgmt_err err;
	long size;
	ssize_t n = recv(c->fd, c->in + c->got, sizeof(c->in) - c->got, 0);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			client_free(c);
		return;
	}
	c->got += (size_t)n;
	size = mgmt_req_size(c->in, c->got, &err);
	if (size < 0)
		client_refuse(c, &err);
	else if (size > 0 && c->got >= (size_t)size)
		client_dispatch(c, (size_t)size);
}

static void
client_discard(struct client *c)
{
	ssize_t n = recv(c->fd, c->in, sizeof(c->in), 0);

	if (n > 0)
		c->drained += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->drained > DRAIN_MAX)
		client_free(c);
}

static int
client_io(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;

	switch (c->state) {
	case READING:
		client_read(c);
		break;
	case WAITING:
		/* Hung up while it waited: what nobody waits for is not done. */
		client_free(c);
		break;
	case WRITING:
		client_write(c);
		break;
	case DRAINING:
		client_discard(c);
		break;
	}
	return 0;
}

static int
client_timeout(sd_event_source *s, uint64_t usec, void *arg)
{
	struct client *c = arg;

	/* With the gateway still away this says so, and changes nothing. */
	if (c->state == WAITING)
		client_run(c);
	else
		client_free(c);
	return 0;
}

/* As tgtd asks: only the daemon's own user may manage it; root may manage everyone's. */
static bool
peer_allowed(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	if (cred.uid == getuid() || cred.uid == 0)
		return true;
	gw_log_limited(GW_LOG_WARN, "a client of another user was refused uid=%u pid=%d",
		       (unsigned)cred.uid, (int)cred.pid);
	return false;
}

static void
client_new(struct mgmt_ipc *ipc, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c || !peer_allowed(fd)) {
		free(c);
		close(fd);
		return;
	}
	c->ipc = ipc;
	c->fd = fd;
	gw_list_add_tail(&ipc->clients, &c->node);
	if (++ipc->nclients == MGMT_CLIENTS_MAX)
		sd_event_source_set_enabled(ipc->listen, SD_EVENT_OFF);
	if (sd_event_add_io(ipc->event, &c->io, fd, EPOLLIN, client_io, c) < 0 ||
	    sd_event_add_time_relative(ipc->event, &c->timer, CLOCK_MONOTONIC, REQUEST_USEC, 0,
				       client_timeout, c) < 0)
		client_free(c);
}

static int
listen_io(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct mgmt_ipc *ipc = arg;
	int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (c >= 0)
		client_new(ipc, c);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		gw_log_limited(GW_LOG_WARN, "cannot accept a client: %s", strerror(errno));
	return 0;
}

/* tgtd's lock: it keeps two daemons from one socket, and tgtd from ours. */
static int
take_lock(struct mgmt_ipc *ipc, const char *path, struct mgmt_err *err)
{
	char lock[PATH_MAX];

	snprintf(lock, sizeof(lock), "%s.lock", path);
	ipc->lock_fd = open(lock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (ipc->lock_fd < 0)
		return mgmt_fail(err, TGT_E_UNKNOWN, "cannot open the lock %s: %s", lock,
				 strerror(errno));
	if (lockf(ipc->lock_fd, F_TLOCK, 1))
		return mgmt_fail(err, TGT_E_UNKNOWN,
				 errno == EACCES || errno == EAGAIN ? "another daemon is using %s"
								    : "cannot lock %s",
				 path);
	return 0;
}

static int
bind_and_listen(struct mgmt_ipc *ipc, const char *path, struct mgmt_err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (!gw_str_copy(un.sun_path, sizeof(un.sun_path), path))
		return mgmt_fail(err, TGT_E_UNKNOWN, "the path %s is too long for a socket", path);
	ipc->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(path);
	if (ipc->fd < 0 || bind(ipc->fd, (struct sockaddr *)&un, sizeof(un)) ||
	    listen(ipc->fd, BACKLOG))
		return mgmt_fail(err, TGT_E_UNKNOWN, "cannot listen on %s: %s", path,
				 strerror(errno));
	return 0;
}

int
mgmt_ipc_new(struct mgmt *m, sd_event *event, const char *path, struct mgmt_ipc **out,
	     struct mgmt_err *err)
{
	struct mgmt_ipc *ipc = calloc(1, sizeof(*ipc));

	if (!ipc)
		return mgmt_fail(err, TGT_E_NOMEM, "out of memory");
	ipc->m = m;
	ipc->event = event;
	ipc->fd = ipc->lock_fd = -1;
	gw_list_init(&ipc->clients);
	if (take_lock(ipc, path, err) || bind_and_listen(ipc, path, err))
		goto out_free;
	if (sd_event_add_io(event, &ipc->listen, ipc->fd, EPOLLIN, listen_io, ipc) < 0) {
		mgmt_fail(err, TGT_E_NOMEM, "out of memory");
		goto out_free;
	}
	*out = ipc;
	return 0;
out_free:
	mgmt_ipc_free(ipc);
	return -1;
}

void
mgmt_ipc_free(struct mgmt_ipc *ipc)
{
	if (!ipc)
		return;
	gw_list_each_safe (c, &ipc->clients, struct client, node)
		client_free(c);
	sd_event_source_disable_unref(ipc->end_io);
	sd_event_source_disable_unref(ipc->end_timer);
	sd_event_source_disable_unref(ipc->listen);
	/* The socket file stays: a client of a daemon that is gone must get ECONNREFUSED. */
	if (ipc->fd >= 0)
		close(ipc->fd);
	if (ipc->lock_fd >= 0)
		close(ipc->lock_fd);
	free(ipc);
}

void
mgmt_ipc_gateway_changed(struct mgmt_ipc *ipc)
{
	gw_list_each_safe (c, &ipc->clients, struct client, node) {
		if (c->state == WAITING)
			client_run(c);
	}
}
