/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limit --port N [--mem SIZE | --file PATH]: the loopback limit. It speaks just enough iSCSI to be
 * attached and then answers reads from one piece of memory, or from the mapped file, and drops
 * writes, or copies them into the file; everything that has come is answered in one sendmsg(). No
 * check of a command, no storage call, no lock: no target that does its work can be much faster.
 */
#include "tests/bench/limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/num.h"

__attribute__((format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;

	fputs("limit: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s%s.\n", errno ? ": " : "", errno ? strerror(errno) : "");
	exit(1);
}

static void *
map(size_t len, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, 0);

	if (p == MAP_FAILED)
		die("cannot map %zu bytes", len);
	return p;
}

static void
open_store(struct limit *l, const char *path, uint64_t size)
{
	struct stat st;
	int fd;

	if (!path) {
		l->size = size;
		l->mem = map(LIMIT_IO_MAX, -1);
		return;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || st.st_size < LIMIT_BLOCK)
		die("cannot use %s", path);
	l->size = (uint64_t)st.st_size / LIMIT_BLOCK * LIMIT_BLOCK;
	l->file = map(l->size, fd);
	close(fd);
}

static int
listen_on(const char *addr, unsigned port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (inet_pton(AF_INET, addr, &sa.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 128))
		die("cannot listen on %s:%u", addr, port);
	return fd;
}

static void
conn_new(struct limit *l, int listener, int ep)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;

	if (!c)
		die("no memory");
	c->l = l;
	c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (c->fd < 0) {
		free(c);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->buf = map(LIMIT_BUF, -1);
	conn_init(c);
	epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}

static void
conn_free(struct conn *c)
{
	close(c->fd);
	munmap(c->buf, LIMIT_BUF);
	free(c);
}

/* Answers that did not fit into the socket wait, and nothing is read meanwhile. */
static void
conn_turn(struct conn *c, int ep, uint32_t events)
{
	struct epoll_event ev = {.data.ptr = c};
	bool was = c->first < c->last, is;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !was && !conn_recv(c)) {
		conn_free(c);
		return;
	}
	if (!conn_flush(c)) {
		conn_free(c);
		return;
	}
	is = c->first < c->last;
	if (is == was)
		return;
	ev.events = is ? EPOLLOUT : EPOLLIN;
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
}

static void
serve(struct limit *l, int listener)
{
	struct epoll_event ev[64], le = {.events = EPOLLIN};
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &le);
	for (;;) {
		int n = epoll_wait(ep, ev, GW_ARRAY_LEN(ev), -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				conn_turn(ev[i].data.ptr, ep, ev[i].events);
			else
				conn_new(l, listener, ep);
		}
	}
}

static uint64_t
size_of(const char *text)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	return v << (*end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0);
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot run on CPU %d", cpu);
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"port", 1, NULL, 'p'}, {"mem", 1, NULL, 'm'},  {"file", 1, NULL, 'f'},
	    {"cpu", 1, NULL, 'c'},  {"addr", 1, NULL, 'a'}, {NULL, 0, NULL, 0},
	};
	static struct limit l;
	const char *path = NULL, *addr = "127.0.0.1";
	uint64_t size = 1u << 30;
	unsigned port = 3260;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'p')
			port = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'm')
			size = size_of(optarg);
		else if (c == 'f')
			path = optarg;
		else if (c == 'a')
			addr = optarg;
		else if (c == 'c')
			pin(atoi(optarg));
		else
			die("usage: limit --port N [--addr IP] [--cpu N] "
			    "[--mem SIZE | --file PATH]");
	}
	errno = 0;
	if (size < LIMIT_IO_MAX)
		die("--mem is at least %u bytes", LIMIT_IO_MAX);
	signal(SIGPIPE, SIG_IGN);
	open_store(&l, path, size);
	serve(&l, listen_on(addr, port));
	return 0;
}
