// SPDX-License-Identifier: BSD-3-Clause
/*
 * Many sessions that do next to nothing: logs them in from one thread, keeps them alive, and does
 * what it is told by lines on standard input, each answered by one line on standard output.
 *
 *   sessions HOST PORT TARGET COUNT [AT_ONCE]
 *
 * First answer: "COUNT sessions SECS s RATE per second", once all are logged in.
 *   ping        a NOP-Out with each session; "COUNT alive"
 *   read N LBA  READ(10) of one block with every Nth session, LUN 1; "COUNT read"
 *   out         logs out all; "COUNT out", and ends
 * A session that ends by itself, or a step that takes longer than PATIENCE_S, is one sentence on
 * standard error and exit code 1. NOP-Ins are answered at any time.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/bytes.h"

enum {
	PATIENCE_S = 120,
	AT_ONCE = 64,
	BHS = 48,
	EVENTS = 256
};

enum { /* RFC 7143 11.2.1.2 */
	OP_NOP_OUT = 0x00,
	OP_COMMAND = 0x01,
	OP_LOGIN = 0x03,
	OP_LOGOUT = 0x06,
	OP_NOP_IN = 0x20,
	OP_RESPONSE = 0x21,
	OP_LOGIN_RSP = 0x23,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RSP = 0x26,
	IMMEDIATE = 0x40
};
#define RESERVED_TAG 0xffffffffu

enum state {
	NEW,
	CONNECTING,
	LOGGING_IN,
	READY,
	WAITING, /* for the answer to what it was told to do */
	GONE
};

struct session {
	int fd;
	uint8_t state;
	uint8_t got; /* bytes of head */
	bool again;  /* the read met a unit attention and is sent once more */
	uint32_t skip;
	uint32_t cmdsn, statsn;
	uint32_t lba;
	uint8_t head[BHS];
};

static struct {
	struct session *s;
	uint32_t count, at_once;
	uint32_t begun, done; /* of the step under way */
	int epoll;
	const char *target;
	struct addrinfo *to;
	uint64_t deadline;
} all;

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "sessions: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned
number_of(const struct session *s)
{
	return (unsigned)(s - all.s);
}

static void
watch(struct session *s, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	if (epoll_ctl(all.epoll, op, s->fd, &ev) != 0)
		die("epoll: %s", strerror(errno));
}

/* A few hundred bytes always fit a socket that has nothing else to send. */
static void
pdu_send(struct session *s, uint8_t *bhs, const void *data, uint32_t len)
{
	uint8_t buf[BHS + 1024] = {0};
	size_t all_len = BHS + ((len + 3) & ~3u);

	gw_put_be24(bhs + 5, len);
	gw_put_be32(bhs + 28, s->statsn);
	memcpy(buf, bhs, BHS);
	if (len)
		memcpy(buf + BHS, data, len);
	if (send(s->fd, buf, all_len, MSG_NOSIGNAL) != (ssize_t)all_len)
		die("session %u: cannot send: %s", number_of(s), strerror(errno));
}

/* --- what is sent --- */

static void
send_login(struct session *s, bool first)
{
	uint8_t bhs[BHS] = {OP_LOGIN | IMMEDIATE, 0x80 | 1 << 2 | 3};
	char keys[800] = "";
	int n = 0;

	bhs[8] = 0x80; /* ISID of random format, 11.12.5 */
	gw_put_be16(bhs + 9, (uint16_t)getpid());
	gw_put_be24(bhs + 11, number_of(s));
	gw_put_be32(bhs + 16, 1);
	if (first)
		n = snprintf(keys, sizeof(keys),
			     "InitiatorName=iqn.2026-11.org.example:sessions%cTargetName=%s%c"
			     "SessionType=Normal%cMaxRecvDataSegmentLength=65536%c",
			     0, all.target, 0, 0, 0);
	pdu_send(s, bhs, keys, (uint32_t)n);
	s->state = LOGGING_IN;
}

static void
send_nop(struct session *s, uint32_t itt, uint32_t ttt, const uint8_t *lun)
{
	uint8_t bhs[BHS] = {OP_NOP_OUT | IMMEDIATE, 0x80};

	if (lun)
		memcpy(bhs + 8, lun, 8);
	gw_put_be32(bhs + 16, itt);
	gw_put_be32(bhs + 20, ttt);
	gw_put_be32(bhs + 24, s->cmdsn);
	pdu_send(s, bhs, NULL, 0);
}

static void
send_read(struct session *s)
{
	uint8_t bhs[BHS] = {OP_COMMAND, 0x80 | 0x40 | 1};

	bhs[9] = 1;
	gw_put_be32(bhs + 16, 1);
	gw_put_be32(bhs + 20, 512);
	gw_put_be32(bhs + 24, s->cmdsn++);
	bhs[32] = 0x28;
	gw_put_be32(bhs + 34, s->lba);
	gw_put_be16(bhs + 39, 1);
	pdu_send(s, bhs, NULL, 0);
}

static void
send_logout(struct session *s)
{
	uint8_t bhs[BHS] = {OP_LOGOUT | IMMEDIATE, 0x80};

	gw_put_be32(bhs + 16, 2);
	gw_put_be32(bhs + 24, s->cmdsn);
	pdu_send(s, bhs, NULL, 0);
}

/* --- what comes --- */

static void
step_done(struct session *s)
{
	if (s->state != WAITING)
		die("session %u: an answer to nothing, opcode 0x%x", number_of(s), s->head[0]);
	s->state = READY;
	all.done++;
}

static void
login_answered(struct session *s)
{
	if (s->head[36] != 0)
		die("session %u: login refused, status 0x%02x%02x after %u sessions", number_of(s),
		    s->head[36], s->head[37], all.done);
	if ((s->head[1] & 0x83) != 0x83) {
		send_login(s, false);
		return;
	}
	s->cmdsn = gw_be32(s->head + 28);
	s->state = READY;
	all.done++;
}

static void
command_answered(struct session *s, uint8_t status)
{
	if (status == 0x02 && !s->again) {
		s->again = true;
		send_read(s);
		return;
	}
	if (status != 0)
		die("session %u: the read ended with status 0x%x", number_of(s), status);
	step_done(s);
}

static void
pdu_came(struct session *s)
{
	uint8_t op = s->head[0] & 0x3f;
	bool pinged = op == OP_NOP_IN && gw_be32(s->head + 16) == RESERVED_TAG;

	s->skip = (gw_be24(s->head + 5) + 3) & ~3u;
	/* Data-In has a StatSN only with a status (11.7.1); an unsolicited NOP-In does not use one up. */
	if ((op != OP_DATA_IN || s->head[1] & 1) && !pinged)
		s->statsn = gw_be32(s->head + 24) + 1;
	switch (op) {
	case OP_LOGIN_RSP:
		login_answered(s);
		break;
	case OP_NOP_IN:
		if (!pinged)
			step_done(s);
		else if (gw_be32(s->head + 20) != RESERVED_TAG)
			send_nop(s, RESERVED_TAG, gw_be32(s->head + 20), s->head + 8);
		break;
	case OP_DATA_IN:
		if (s->head[1] & 1)
			command_answered(s, s->head[3]);
		break;
	case OP_RESPONSE:
		command_answered(s, s->head[3]);
		break;
	case OP_LOGOUT_RSP:
		step_done(s);
		s->state = GONE;
		close(s->fd);
		break;
	default:
		die("session %u: opcode 0x%x is not expected", number_of(s), op);
	}
}

static void
bytes_came(struct session *s, const uint8_t *p, size_t n)
{
	while (n > 0 && s->state != GONE) {
		size_t part = s->skip ? s->skip : (size_t)(BHS - s->got);

		part = part < n ? part : n;
		if (s->skip) {
			s->skip -= (uint32_t)part;
		} else {
			memcpy(s->head + s->got, p, part);
			s->got = (uint8_t)(s->got + part);
		}
		p += part;
		n -= part;
		if (s->got == BHS) {
			s->got = 0;
			pdu_came(s);
		}
	}
}

static void
ready(struct session *s, uint32_t events)
{
	static uint8_t buf[65536];
	ssize_t n;

	if (s->state == CONNECTING) {
		int err = 0;
		socklen_t len = sizeof(err);

		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err)
			die("session %u: cannot connect: %s", number_of(s), strerror(err));
		watch(s, EPOLL_CTL_MOD, EPOLLIN);
		send_login(s, true);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0)
		bytes_came(s, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		die("session %u: its connection ended: %s", number_of(s),
		    n == 0 ? "closed by the target" : strerror(errno));
}

/* True if there is something on standard input, once that is watched. */
static bool
turn(int timeout_ms)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(all.epoll, ev, EVENTS, timeout_ms);
	bool told = false;

	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr)
			ready(ev[i].data.ptr, ev[i].events);
		else
			told = true;
	}
	return told;
}

/* --- steps --- */

static void
connect_one(struct session *s)
{
	int on = 1;

	s->fd = socket(all.to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("no socket for session %u: %s", number_of(s), strerror(errno));
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->state = CONNECTING;
	if (connect(s->fd, all.to->ai_addr, all.to->ai_addrlen) != 0 && errno != EINPROGRESS)
		die("session %u: cannot connect: %s", number_of(s), strerror(errno));
	watch(s, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Runs begin() for each `every`th session, at_once at a time, until all have answered; how many. */
static uint32_t
step(const char *what, void (*begin)(struct session *), uint32_t every)
{
	uint32_t n = (all.count + every - 1) / every;

	all.begun = all.done = 0;
	all.deadline = now_ns() + PATIENCE_S * 1000000000ull;
	while (all.done < n) {
		while (all.begun < n && all.begun - all.done < all.at_once)
			begin(&all.s[all.begun++ * every]);
		turn(1000);
		if (now_ns() > all.deadline)
			die("%s: %u of %u after %d s", what, all.done, n, PATIENCE_S);
	}
	return n;
}

static void
begin_ping(struct session *s)
{
	s->state = WAITING;
	send_nop(s, 3, RESERVED_TAG, NULL);
}

static uint32_t read_lba;

static void
begin_read(struct session *s)
{
	s->state = WAITING;
	s->again = false;
	s->lba = read_lba;
	send_read(s);
}

static void
begin_logout(struct session *s)
{
	s->state = WAITING;
	send_logout(s);
}

static void
login_all(void)
{
	uint64_t began = now_ns();
	double secs;

	step("logging in", connect_one, 1);
	secs = (double)(now_ns() - began) / 1e9;
	printf("%u sessions %.3f s %.0f per second\n", all.count, secs, all.count / secs);
}

/* False at the end. */
static bool
obey(const char *line)
{
	unsigned every, lba;

	if (strcmp(line, "ping") == 0) {
		printf("%u alive\n", step("ping", begin_ping, 1));
	} else if (sscanf(line, "read %u %u", &every, &lba) == 2 && every > 0) {
		read_lba = lba;
		printf("%u read\n", step("read", begin_read, every));
	} else if (strcmp(line, "out") == 0) {
		printf("%u out\n", step("logging out", begin_logout, 1));
		return false;
	} else {
		die("what is \"%s\"?", line);
	}
	return true;
}

/* Standard input is one of the watched descriptors, so that NOP-Ins are answered meanwhile. */
static void
serve(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	char line[128], *end;
	size_t n = 0;
	ssize_t got;

	if (epoll_ctl(all.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ev) != 0)
		die("standard input has to be a pipe: %s", strerror(errno));
	for (;;) {
		if (!turn(-1))
			continue;
		got = read(STDIN_FILENO, line + n, sizeof(line) - 1 - n);
		if (got <= 0)
			die("told to end without logging out");
		n += (size_t)got;
		line[n] = '\0';
		end = strchr(line, '\n');
		if (!end)
			continue;
		*end = '\0';
		if (!obey(line))
			return;
		n = 0;
	}
}

int
main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct rlimit lim;

	if (argc < 5 || argc > 6)
		die("usage: sessions HOST PORT TARGET COUNT [AT_ONCE]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getaddrinfo(argv[1], argv[2], &hints, &all.to) != 0)
		die("%s port %s is no numeric address", argv[1], argv[2]);
	all.target = argv[3];
	all.count = (uint32_t)strtoul(argv[4], NULL, 10);
	all.at_once = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : AT_ONCE;
	all.s = calloc(all.count, sizeof(*all.s));
	all.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (all.count == 0 || all.at_once == 0 || !all.s || all.epoll < 0 ||
	    strlen(all.target) > 223)
		die("no memory, or nothing to do");
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	login_all();
	serve();
	return 0;
}
