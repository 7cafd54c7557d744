/* SPDX-License-Identifier: BSD-3-Clause */
/* Portals: sockets that accept. A connection goes to the least loaded core before it says a word.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/core/timer.h"
#include "iscsi/tcp_conn.h"
#include "iscsi/tcp_xport.h"
#include "iscsi/xport.h"

#define BACKLOG  1024
#define RETRY_MS 100

/* Home: `core`; made and freed by the control thread. */
struct tcp_listener {
	struct gw_core *core;
	int fd;
	uint16_t tpgt;
	struct gw_op op;
	bool accepting, stopping;
	struct gw_timer retry;
	sem_t stopped;
};

static void
socket_options(int fd)
{
	int on = 1, idle = 30, every = 10, count = 3;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static struct iscsi_conn *
conn_for(struct gw_core *home, int fd, uint16_t tpgt)
{
	struct sockaddr_storage peer = {0}, local = {0};
	socklen_t n = sizeof(peer), m = sizeof(local);
	struct iscsi_conn *c;

	if (getpeername(fd, (struct sockaddr *)&peer, &n) ||
	    getsockname(fd, (struct sockaddr *)&local, &m))
		return NULL;
	socket_options(fd);
	c = tcp_conn_new(home, fd, &peer, &local);
	if (c)
		c->tpgt = tpgt;
	return c;
}

/* A descriptor on its way to its core, where the connection's memory is to be. */
struct arrival {
	struct gw_msg msg;
	int fd;
	uint16_t tpgt;
};

static void
arrives(struct gw_core *on, struct gw_msg *msg)
{
	struct arrival *a = gw_container(msg, struct arrival, msg);
	struct iscsi_conn *c;
	uint16_t tpgt = a->tpgt;
	int fd = a->fd;

	free(a);
	iscsi_crowd_shed(on->slot[GW_SLOT_ISCSI]);
	c = conn_for(on, fd, tpgt);
	if (c) {
		iscsi_conn_start(c);
	} else {
		close(fd);
		gw_unplace(on);
	}
}

static void
hand_over(int fd, uint16_t tpgt)
{
	struct arrival *a = NULL;
	struct gw_core *home;

	if (!iscsi_crowd_full())
		a = malloc(sizeof(*a));
	if (!a) {
		close(fd);
		return;
	}
	home = gw_place();
	*a = (struct arrival){.msg.fn = arrives, .fd = fd, .tpgt = tpgt};
	gw_send(home, &a->msg);
}

static void
accept_next(struct tcp_listener *l)
{
	l->accepting = true;
	gw_accept(l->core, &l->op, l->fd);
}

/* The control thread goes on to close the socket. */
static void
stopped(struct tcp_listener *l)
{
	gw_forget_fd(l->core, l->fd);
	sem_post(&l->stopped);
}

static void
accepted(struct gw_op *op, int res)
{
	struct tcp_listener *l = gw_container(op, struct tcp_listener, op);

	l->accepting = false;
	if (res >= 0)
		hand_over(res, l->tpgt);
	if (l->stopping) {
		stopped(l);
		return;
	}
	if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		gw_log_limited(GW_LOG_WARN, "cannot accept a connection: %s", strerror(-res));
		gw_timer_start(l->core, &l->retry, RETRY_MS);
		return;
	}
	accept_next(l);
}

static void
retry(struct gw_timer *t)
{
	accept_next(gw_container(t, struct tcp_listener, retry));
}

static void
start_on(struct gw_core *core, void *arg)
{
	struct tcp_listener *l = arg;

	(void)core;
	accept_next(l);
}

static void
stop_on(struct gw_core *core, void *arg)
{
	struct tcp_listener *l = arg;

	l->stopping = true;
	gw_timer_stop(&l->retry);
	if (l->accepting)
		gw_cancel(core, &l->op);
	else
		stopped(l);
}

static int
open_socket(const struct sockaddr_storage *addr, socklen_t len)
{
	int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, off = 0, saved;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* "::" serves both families, whatever net.ipv6.bindv6only says. */
	if (addr->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (const struct sockaddr *)addr, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	return -saved;
}

/* A host without IPv6 serves "::" by IPv4 alone. */
static int
open_portal(const struct gw_portal *p, char *err, unsigned err_size)
{
	struct sockaddr_storage addr;
	int fd, len = iscsi_portal_address(p, &addr, err, err_size);

	if (len < 0)
		return len;
	fd = open_socket(&addr, (socklen_t)len);
	if (fd == -EAFNOSUPPORT && strcmp(p->host, "::") == 0) {
		struct sockaddr_in *in = (void *)&addr;

		*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(p->port)};
		fd = open_socket(&addr, sizeof(*in));
	}
	if (fd == -EADDRINUSE)
		snprintf(err, err_size, "port %u of %s is in use by another program", p->port,
			 p->host);
	else if (fd == -EADDRNOTAVAIL)
		snprintf(err, err_size, "this host has no address %s", p->host);
	else if (fd < 0)
		snprintf(err, err_size, "cannot listen on %s port %u: %s", p->host, p->port,
			 strerror(-fd));
	return fd;
}

int
tcp_listen(struct gw_portal *portal, char *err, unsigned err_size)
{
	struct tcp_listener *l;
	int fd = open_portal(portal, err, err_size);

	if (fd < 0)
		return fd;
	l = calloc(1, sizeof(*l));
	if (!l) {
		close(fd);
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	l->fd = fd;
	l->tpgt = portal->tpgt;
	l->op.done = accepted;
	l->core = gw_core_at(portal->port % gw_ncores());
	sem_init(&l->stopped, 0, 0);
	gw_timer_init(&l->retry, retry);
	portal->priv = l;
	return 0;
}

void
tcp_accept(struct gw_portal *portal)
{
	struct tcp_listener *l = portal->priv;

	gw_run_sync(l->core, start_on, l);
}

void
tcp_unlisten(struct gw_portal *portal)
{
	struct tcp_listener *l = portal->priv;

	if (!l)
		return;
	gw_run_sync(l->core, stop_on, l);
	while (sem_wait(&l->stopped) && errno == EINTR)
		;
	close(l->fd);
	sem_destroy(&l->stopped);
	free(l);
	portal->priv = NULL;
}
