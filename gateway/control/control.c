/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "gateway/api/config.h"
#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "gateway/control/client.h"
#include "gateway/core/watch.h"

#define CLIENTS_MAX 8
#define TICK_US     1000000
#define ALIVE_MS    5000 /* a core that began no turn for so long is stuck */

struct gw_control {
	struct gw_control_conf conf;
	struct rpc_env env;
	sd_event *ev;
	sd_event_source *listener, *timer, *term, *intr;
	struct gw_list clients;
	unsigned nclients;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* --- the socket --- */

/* Whoever may signal us may configure us: our own user, and root. */
static bool
peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void
on_gone(struct client *c)
{
	struct gw_control *ctl = gw_container(c->env, struct gw_control, env);

	client_free(c);
	ctl->nclients--;
	if (ctl->env.shutdown)
		sd_event_exit(ctl->ev, 0);
}

static int
on_accept(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct gw_control *ctl = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	if (conn < 0)
		return 0;
	if (!peer_allowed(conn)) {
		gw_log_limited(GW_LOG_WARN,
			       "control client refused: its user is neither ours nor root");
		close(conn);
		return 0;
	}
	if (ctl->nclients == CLIENTS_MAX) {
		gw_log_limited(GW_LOG_WARN, "control client refused: there are %d already",
			       CLIENTS_MAX);
		close(conn);
		return 0;
	}
	c = client_new(ctl->ev, conn, &ctl->env, on_gone);
	if (c) {
		gw_list_add_tail(&ctl->clients, &c->node);
		ctl->nclients++;
	}
	return 0;
}

static int
open_socket(struct gw_control *ctl, char *err, unsigned err_size)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	int rc;

	if (!gw_str_copy(ctl->path, sizeof(ctl->path), ctl->conf.path)) {
		snprintf(err, err_size, "the path %s is too long for a socket", ctl->conf.path);
		return -ENAMETOOLONG;
	}
	memcpy(sun.sun_path, ctl->path, sizeof(sun.sun_path));
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ctl->fd < 0) {
		rc = -errno;
		snprintf(err, err_size, "cannot make a socket: %s", strerror(-rc));
		return rc;
	}
	/* The lock of the pid file says that a socket found here has no owner any more. */
	unlink(ctl->path);
	mask = umask(0177);
	rc = bind(ctl->fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(ctl->fd, CLIENTS_MAX)
		 ? -errno
		 : 0;
	umask(mask);
	if (rc)
		snprintf(err, err_size, "cannot listen on %s: %s", ctl->path, strerror(-rc));
	return rc;
}

/* --- time and signals --- */

static void
drop_stalled(struct gw_control *ctl, uint64_t now)
{
	gw_list_each_safe (c, &ctl->clients, struct client, node) {
		if (!client_stalled(c, now))
			continue;
		gw_warn("control client dropped: it stood still for %d s", CLIENT_STALL_SEC);
		on_gone(c);
	}
}

static int
on_tick(sd_event_source *s, uint64_t usec, void *arg)
{
	struct gw_control *ctl = arg;
	uint64_t now;

	gw_conf_tick();
	/* After the tick, so that one that takes long is not made up for in a burst. */
	sd_event_now(ctl->ev, CLOCK_MONOTONIC, &now);
	drop_stalled(ctl, now);
	if (gw_watch_alive(ALIVE_MS))
		sd_notify(0, "WATCHDOG=1");
	sd_event_source_set_time(s, now + TICK_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int
on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	struct gw_control *ctl = arg;

	gw_info("ending: signal=%s", strsignal((int)si->ssi_signo));
	return sd_event_exit(ctl->ev, 0);
}

/* The answer to `shutdown` goes out first. */
static int
on_prepare(sd_event_source *s, void *arg)
{
	struct gw_control *ctl = arg;

	if (!ctl->env.shutdown)
		return 0;
	gw_list_each (c, &ctl->clients, struct client, node) {
		if (c->out)
			return 0;
	}
	gw_info("ending: asked by the control socket");
	return sd_event_exit(ctl->ev, 0);
}

/* --- life --- */

static int
add_sources(struct gw_control *ctl)
{
	int rc = sd_event_add_io(ctl->ev, &ctl->listener, ctl->fd, EPOLLIN, on_accept, ctl);

	if (rc >= 0)
		rc = sd_event_add_time_relative(ctl->ev, &ctl->timer, CLOCK_MONOTONIC, TICK_US, 0,
						on_tick, ctl);
	if (rc >= 0)
		rc = sd_event_source_set_prepare(ctl->timer, on_prepare);
	if (rc >= 0)
		rc = sd_event_add_signal(ctl->ev, &ctl->term, SIGTERM, on_signal, ctl);
	if (rc >= 0)
		rc = sd_event_add_signal(ctl->ev, &ctl->intr, SIGINT, on_signal, ctl);
	return rc;
}

int
gw_control_open(const struct gw_control_conf *conf, struct gw_control **out, char *err,
		unsigned err_size)
{
	struct gw_control *ctl = calloc(1, sizeof(*ctl));
	int rc;

	if (!ctl) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	gw_list_init(&ctl->clients);
	ctl->conf = *conf;
	ctl->env.conf = &ctl->conf;
	rc = open_socket(ctl, err, err_size);
	if (rc == 0) {
		rc = sd_event_new(&ctl->ev);
		if (rc >= 0)
			rc = add_sources(ctl);
		if (rc < 0)
			snprintf(err, err_size, "cannot make the control loop: %s", strerror(-rc));
	}
	if (rc < 0) {
		gw_control_close(ctl);
		return rc;
	}
	*out = ctl;
	return 0;
}

int
gw_control_run(struct gw_control *ctl)
{
	return sd_event_loop(ctl->ev);
}

void
gw_control_close(struct gw_control *ctl)
{
	gw_list_each_safe (c, &ctl->clients, struct client, node)
		client_free(c);
	sd_event_source_disable_unref(ctl->listener);
	sd_event_source_disable_unref(ctl->timer);
	sd_event_source_disable_unref(ctl->term);
	sd_event_source_disable_unref(ctl->intr);
	sd_event_unref(ctl->ev);
	if (ctl->fd > 0) {
		close(ctl->fd);
		unlink(ctl->path);
	}
	free(ctl);
}
