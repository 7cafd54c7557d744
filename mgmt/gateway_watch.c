/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/gateway_watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"

#define PAUSE_MIN 200000ull
#define PAUSE_MAX 1000000ull
#define CHECK     1000000ull

static void
say_once(struct mgmt_watch *w, const char *doing, const char *why)
{
	if (!strcmp(w->said, why))
		return;
	snprintf(w->said, sizeof(w->said), "%s", why);
	gw_warn("%s reason=\"%s\"", doing, why);
}

/* The gateway never speaks first: whatever can be read while no call is under way is the end. */
static int
watch_io(sd_event_source *s, int fd, uint32_t events, void *arg)
{
	struct mgmt_watch *w = arg;

	gw_warn("the gateway closed the connection");
	w->m->synced = false;
	mgmt_link_close(&w->m->link);
	w->io = sd_event_source_disable_unref(w->io);
	w->pause_usec = PAUSE_MIN;
	sd_event_source_set_time_relative(w->timer, 0);
	sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
	return 0;
}

static void
watch_fd(struct mgmt_watch *w)
{
	if (w->io && w->io_fd == w->m->link.fd)
		return;
	w->io = sd_event_source_disable_unref(w->io);
	w->io_fd = w->m->link.fd;
	if (w->io_fd >= 0 && sd_event_add_io(w->event, &w->io, w->io_fd, EPOLLIN, watch_io, w) < 0)
		gw_err("cannot watch the connection to the gateway");
}

/* True when the gateway has what is wanted. */
static bool
bring_up(struct mgmt_watch *w)
{
	struct mgmt *m = w->m;
	struct mgmt_err err;

	/* A call that failed has closed the socket: its number may be in use again. */
	if (!mgmt_link_up(&m->link)) {
		w->io = sd_event_source_disable_unref(w->io);
		m->synced = false;
		if (mgmt_link_connect(&m->link, &err)) {
			say_once(w, "no gateway", err.text);
			snprintf(m->trouble, sizeof(m->trouble), "%s", err.text);
			return false;
		}
	}
	if (m->synced)
		return true;
	if (mgmt_push_all(m, &err)) {
		say_once(w, "the gateway refuses the configuration", err.text);
		/* A change may be what makes it acceptable: let the waiting ones try. */
		mgmt_ipc_gateway_changed(w->ipc);
		return m->synced;
	}
	w->said[0] = '\0';
	gw_info("the gateway has the whole configuration objects=%zu",
		json_object_size(m->model.objects));
	mgmt_ipc_gateway_changed(w->ipc);
	return true;
}

static int
watch_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct mgmt_watch *w = arg;
	uint64_t next = CHECK;

	if (!bring_up(w)) {
		next = w->pause_usec;
		w->pause_usec = GW_MIN(w->pause_usec * 2, PAUSE_MAX);
	} else {
		w->pause_usec = PAUSE_MIN;
	}
	watch_fd(w);
	sd_event_source_set_time_relative(w->timer, next);
	return sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

int
mgmt_watch_start(struct mgmt_watch *w, struct mgmt *m, struct mgmt_ipc *ipc, sd_event *event)
{
	memset(w, 0, sizeof(*w));
	w->m = m;
	w->ipc = ipc;
	w->event = event;
	w->io_fd = -1;
	w->pause_usec = PAUSE_MIN;
	return sd_event_add_time_relative(event, &w->timer, CLOCK_MONOTONIC, 0, 1000, watch_timer,
					  w);
}

void
mgmt_watch_stop(struct mgmt_watch *w)
{
	w->timer = sd_event_source_disable_unref(w->timer);
	w->io = sd_event_source_disable_unref(w->io);
}
