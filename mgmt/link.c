/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/str.h"
#include "mgmt/model.h"
#include "mgmt/tgt_wire.h"

/* A gateway that hangs holds up one request, and the loop every few seconds, for so long. */
#define HELLO_MS 1000
#define PAUSE_MS 5000

int
mgmt_link_init(struct mgmt_link *l, const char *path)
{
	memset(l, 0, sizeof(*l));
	l->fd = -1;
	return gw_str_copy(l->path, sizeof(l->path), path) ? 0 : -1;
}

void
mgmt_link_fini(struct mgmt_link *l)
{
	mgmt_link_close(l);
	json_decref(l->hello);
	free(l->buf);
	l->hello = NULL;
	l->buf = NULL;
}

bool
mgmt_link_up(const struct mgmt_link *l)
{
	return l->fd >= 0 || l->fake;
}

void
mgmt_link_close(struct mgmt_link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

int
mgmt_link_pidfd(const struct mgmt_link *l)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (l->fd < 0 || getsockopt(l->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.pid <= 0)
		return -1;
	return pidfd_open(cred.pid, 0);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* True if fd is ready for `events` before the deadline. */
static bool
wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left;

	while ((left = deadline - now_ms()) > 0) {
		int n = poll(&p, 1, (int)left);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			break;
	}
	errno = ETIMEDOUT;
	return false;
}

static bool
send_all(struct mgmt_link *l, const char *s, size_t len, int64_t deadline)
{
	while (len) {
		ssize_t n = send(l->fd, s, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			s += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (!wait_for(l->fd, POLLOUT, deadline))
				return false;
		} else if (n < 0 && errno != EINTR) {
			return false;
		}
	}
	return true;
}

static bool
buf_room(struct mgmt_link *l, size_t used)
{
	size_t cap = l->cap ? l->cap * 2 : 65536;
	char *b;

	if (used < l->cap)
		return true;
	if (cap > MGMT_LINE_MAX * 2 || !(b = realloc(l->buf, cap))) {
		errno = EMSGSIZE;
		return false;
	}
	l->buf = b;
	l->cap = cap;
	return true;
}

/* Reads one line into l->buf; its length without the newline, -1 with errno. */
static ssize_t
read_line(struct mgmt_link *l, int64_t deadline)
{
	size_t used = 0;

	for (;;) {
		ssize_t n;

		if (!buf_room(l, used))
			return -1;
		n = recv(l->fd, l->buf + used, l->cap - used, MSG_DONTWAIT);
		if (n > 0) {
			used += (size_t)n;
			if (l->buf[used - 1] == '\n')
				return (ssize_t)used - 1;
		} else if (n == 0) {
			errno = ECONNRESET;
			return -1;
		} else if (errno == EAGAIN) {
			if (!wait_for(l->fd, POLLIN, deadline))
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
}

static int
link_broken(struct mgmt_link *l, const char *method, int error, struct mgmt_err *err)
{
	mgmt_link_close(l);
	if (error == ETIMEDOUT)
		l->pause_until = now_ms() + PAUSE_MS;
	return mgmt_fail(err, TGT_E_UNKNOWN, "the gateway did not answer \"%s\": %s", method,
			 strerror(error));
}

static int
refused(const json_t *error, struct mgmt_err *err)
{
	const json_t *data = json_object_get(error, "data");
	json_int_t n = mgmt_int(data, "tgt_err", TGT_E_UNKNOWN);

	if (n <= TGT_OK || n >= TGT_E_MAX)
		n = TGT_E_UNKNOWN;
	return mgmt_fail(err, (int)n, "%s",
			 mgmt_str(error, "message", "the gateway refused without a reason"));
}

static json_t *
exchange(struct mgmt_link *l, const char *method, json_t *params, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	json_t *req =
	    json_pack("{s:s,s:I,s:s,s:o}", "jsonrpc", "2.0", "id", (json_int_t)++l->last_id,
		      "method", method, "params", params ? params : json_object());
	char *line = req ? json_dumps(req, JSON_COMPACT) : NULL;
	json_t *answer = NULL;
	ssize_t n;

	json_decref(req);
	errno = ENOMEM;
	if (line && send_all(l, line, strlen(line), deadline) && send_all(l, "\n", 1, deadline)) {
		n = read_line(l, deadline);
		if (n >= 0) {
			answer = json_loadb(l->buf, (size_t)n, 0, NULL);
			errno = EPROTO;
		}
	}
	free(line);
	return answer;
}

int
mgmt_link_call(struct mgmt_link *l, const char *method, json_t *params, int timeout_ms,
	       json_t **result, struct mgmt_err *err)
{
	json_t *answer, *r;
	int rc = 0;

	if (l->fake) {
		json_t *none = NULL;

		rc = l->fake(l->fake_arg, method, params, result ? result : &none, err);
		json_decref(none);
		json_decref(params);
		return rc;
	}
	if (l->fd < 0) {
		json_decref(params);
		return mgmt_fail(err, TGT_E_UNKNOWN, "the gateway is not running");
	}
	answer = exchange(l, method, params, timeout_ms);
	if (!answer)
		return link_broken(l, method, errno, err);
	if ((uint64_t)mgmt_int(answer, "id", 0) != l->last_id) {
		rc = link_broken(l, method, EPROTO, err);
	} else if ((r = json_object_get(answer, "error")) && !json_is_null(r)) {
		rc = refused(r, err);
	} else if (result) {
		r = json_object_get(answer, "result");
		*result = r ? json_incref(r) : json_object();
	}
	json_decref(answer);
	return rc;
}

int
mgmt_link_connect(struct mgmt_link *l, struct mgmt_err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	mgmt_link_close(l);
	if (now_ms() < l->pause_until)
		return mgmt_fail(err, TGT_E_UNKNOWN, "the gateway does not answer");
	memcpy(un.sun_path, l->path, sizeof(un.sun_path));
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&un, sizeof(un))) {
		int e = errno;

		mgmt_link_close(l);
		if (e == ENOENT || e == ECONNREFUSED)
			return mgmt_fail(err, TGT_E_UNKNOWN, "the gateway is not running");
		return mgmt_fail(err, TGT_E_UNKNOWN, "cannot reach the gateway at %s: %s", l->path,
				 strerror(e));
	}
	if (mgmt_link_hello(l, err)) {
		mgmt_link_close(l);
		return -1;
	}
	return 0;
}

int
mgmt_link_hello(struct mgmt_link *l, struct mgmt_err *err)
{
	json_t *hello = NULL;

	if (mgmt_link_call(l, "hello", json_pack("{s:i}", "version", 1), HELLO_MS, &hello, err))
		return -1;
	json_decref(l->hello);
	l->hello = hello;
	return 0;
}
