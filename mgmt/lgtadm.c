/* SPDX-License-Identifier: BSD-3-Clause */
/* lgtadm: one request to the management daemon, its answer, and tgtadm's exit codes. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "mgmt/lgtadm_opts.h"
#include "mgmt/paths.h"

static int
say(int rc, const char *text, const char *detail)
{
	fprintf(stderr, "lgtadm: %s%s%s\n", text, *detail ? ": " : "", detail);
	return rc;
}

/* A connected socket, or -errno. */
static int
connect_daemon(unsigned port)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd, e;

	if (!mgmt_ipc_path(un.sun_path, sizeof(un.sun_path), port))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&un, sizeof(un)))
		return fd;
	e = errno;
	if (fd >= 0)
		close(fd);
	return -e;
}

static int
write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Bytes read: fewer than len if the daemon closed; -errno. */
static ssize_t
read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Unknown errors have no text of their own to speak of. */
static int
print_error(uint32_t err, const char *detail)
{
	if (err == TGT_E_UNKNOWN && *detail)
		return say(EINVAL, detail, "");
	return say(EINVAL, tgt_err_text(err), detail);
}

/* "system delete" is done when nobody answers any more. */
static void
wait_gone(unsigned port)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	int fd;

	while ((fd = connect_daemon(port)) >= 0) {
		close(fd);
		nanosleep(&pause, NULL);
	}
}

/* An answer may take a while; until then everybody could read the password in ps(1). */
static void
hide_password(struct adm_opts *o)
{
	if (o->password)
		memset((char *)(uintptr_t)o->password, '*', strlen(o->password));
	o->password = NULL;
}

static int
read_answer(int fd, const struct adm_opts *o)
{
	struct tgt_rsp rsp;
	char *text;
	ssize_t n = read_all(fd, &rsp, sizeof(rsp));
	size_t len;
	int rc = 0;

	if (n < 0)
		return say((int)-n, "can't get the response", strerror((int)-n));
	if (n == 0)
		return say(1, "the daemon closed the socket",
			   "it serves its own user and root only");
	if ((size_t)n < sizeof(rsp) || rsp.len < sizeof(rsp))
		return say(1, "a partial response", "");
	len = rsp.len - sizeof(rsp);
	text = calloc(1, len + 1);
	if (!text)
		return say(ENOMEM, "out of memory", "");
	n = read_all(fd, text, len);
	if (rsp.err)
		rc = print_error(rsp.err, text);
	else if (n < 0 || (size_t)n < len)
		rc = say(1, "the response is incomplete", "");
	else if (fputs(text, stdout) == EOF || fflush(stdout))
		rc = say(1, "cannot write the answer", strerror(errno));
	free(text);
	if (!rc && o->mode == TGT_SYSTEM && o->op == TGT_DELETE)
		wait_gone(o->control_port);
	return rc;
}

int
main(int argc, char **argv)
{
	char buf[TGT_REQ_MAX];
	struct adm_opts o;
	struct tgt_req *req = &o.req;
	int fd, n, rc = adm_parse(argc, argv, &o);

	if (rc >= 0)
		return rc;
	n = adm_payload(&o, buf + sizeof(*req), sizeof(buf) - sizeof(*req));
	hide_password(&o);
	if (n < 0)
		return say(EINVAL, "the request is too long", "");
	req->len = (uint32_t)(sizeof(*req) + (n ? (size_t)n + 1 : 0));
	memcpy(buf, req, sizeof(*req));
	if (o.debug)
		fprintf(stderr, "lgtadm: mode=%s op=%s tid=%d lun=%llu\n", tgt_mode_name(req->mode),
			tgt_op_name(req->op), req->tid, (unsigned long long)req->lun);
	signal(SIGPIPE, SIG_IGN);
	fd = connect_daemon(o.control_port);
	/* tgtadm's exit code when no daemon runs; init scripts test for it. */
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return say(ENOTCONN, "can't reach the management daemon", "is it running?");
	if (fd < 0)
		return say(-fd == EACCES ? 1 : ENOTCONN, "can't reach the management daemon",
			   strerror(-fd));
	rc = write_all(fd, buf, req->len);
	if (rc && rc != -EPIPE && rc != -ECONNRESET) {
		say(-rc, "failed to send the request", strerror(-rc));
		rc = -rc;
	} else {
		rc = read_answer(fd, &o);
	}
	close(fd);
	return rc;
}
