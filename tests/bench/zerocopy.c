// SPDX-License-Identifier: BSD-3-Clause
/*
 * What zero-copy sends are worth: a sender on CPU 0, a receiver on CPU 1 that drops what comes, and
 * the same answers sent by sendmsg(MSG_DONTWAIT), as the gateway does, and by io_uring's SENDMSG,
 * SEND_ZC and SENDMSG_ZC, "fixed" from registered buffers. Windows of 80 ms in turns; printed are
 * medians of rounds and of their ratios to sendmsg, and CPU 0's time per send, with interrupts.
 *   zerocopy [--addr IP] [--listen | --connect] [--copy] [--udp] [--rounds N]
 * Neither --listen (receiver) nor --connect (sender): both. --copy: the receiver copies data out.
 * --udp: datagrams; to a device that drops all (tc qdisc replace dev DEV root blackhole) the bound.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IORING_SEND_ZC_REPORT_USAGE /* liburing 2.3 */
#define IORING_SEND_ZC_REPORT_USAGE  (1U << 3)
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif

enum { PLAIN, RING, ZC, ZC_FIXED, MSG_ZC, MSG_ZC_FIXED, WAYS };
enum { BHS = 48, POOL = 4 << 20, SLOTS = POOL / 4096, SIZES = 5, ROUNDS = 63 };

static const char *const names[] = {"sendmsg", "SENDMSG", "SEND_ZC", "SEND_ZC fixed",
    "SENDMSG_ZC", "SENDMSG_ZC fixed"};
static const uint32_t kib[2][SIZES] = {{4, 16, 64, 256, 1024}, {4, 8, 16, 32, 60}}; /* TCP, UDP */
static int listening, connecting, copying, udp, rounds = 9, sock, result;
static struct sockaddr_in at = {.sin_family = AF_INET};
static struct io_uring ring;
static uint8_t pool[POOL] __attribute__((aligned(4096)));
static bool sending, lacks[WAYS], busy[SLOTS]; /* the kernel may still read the buffer */
static uint32_t flying, told, copied;
static double mbs[SIZES][WAYS][ROUNDS], copies[SIZES][WAYS], taken[SIZES][WAYS], sends[SIZES][WAYS];

static void
must(bool done, const char *what)
{
	if (!done) {
		fprintf(stderr, "zerocopy: cannot %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Of CPU 0, in seconds, what its tasks and interrupts left and what the hypervisor took. */
static double
idle(void)
{
	double none = 0, wait = 0, steal = 0;
	FILE *f = fopen("/proc/stat", "r");

	must(f && fscanf(f, "cpu %*[^\n] cpu0 %*f %*f %*f %lf %lf %*f %*f %lf", &none, &wait,
	    &steal) == 3, "read /proc/stat");
	fclose(f);
	return (none + wait + steal) / (double)sysconf(_SC_CLK_TCK);
}

static int
sink(int fd)
{
	sched_setaffinity(0, sizeof(cpu_set_t), &(cpu_set_t){{2}}); /* CPU 1, if there is one */
	must((fd = accept(fd, NULL, NULL)) >= 0, "accept");
	while (recv(fd, pool, sizeof(pool), copying ? 0 : MSG_TRUNC) > 0)
		;
	return 0;
}

static void
reap(void)
{
	struct io_uring_cqe *cqe;

	io_uring_submit_and_wait(&ring, 1);
	while (io_uring_peek_cqe(&ring, &cqe) == 0) {
		bool notice = cqe->flags & IORING_CQE_F_NOTIF;

		told += notice;
		copied += notice && ((uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED);
		sending = sending && notice;
		result = notice ? result : cqe->res;
		busy[cqe->user_data] = cqe->flags & IORING_CQE_F_MORE;
		flying -= !busy[cqe->user_data];
		io_uring_cqe_seen(&ring, cqe);
	}
}

/* Answers of one connection have an order: one send at a time, but many buffers in flight. */
static int
send_ring(int way, size_t slot, struct msghdr *m, uint8_t *data, uint32_t size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	bool msg = way != ZC && way != ZC_FIXED, fixed = way == ZC_FIXED || way == MSG_ZC_FIXED;
	unsigned flags = IORING_SEND_ZC_REPORT_USAGE | (fixed ? IORING_RECVSEND_FIXED_BUF : 0);
	int op = way == RING ? IORING_OP_SENDMSG : msg ? IORING_OP_SENDMSG_ZC : IORING_OP_SEND_ZC;

	must(sqe, "queue a send");
	*sqe = (struct io_uring_sqe){.opcode = (uint8_t)op, .fd = sock,
	    .addr = (uintptr_t)(msg ? (void *)m : data), .len = msg ? 1 : size,
	    .msg_flags = MSG_NOSIGNAL | (udp ? 0 : MSG_WAITALL), .user_data = slot,
	    .ioprio = way == RING ? 0 : (uint16_t)flags};
	busy[slot] = sending = true;
	flying++;
	while (sending)
		reap();
	return result < 0 ? -result : result == (int)size ? 0 : EIO;
}

static int
send_plain(struct msghdr *m, uint8_t *data, uint32_t size)
{
	for (uint32_t sent = 0; sent < size;) {
		struct pollfd writable = {sock, POLLOUT, 0};
		ssize_t n = sendmsg(sock, m, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno != EAGAIN || poll(&writable, 1, -1) < 0))
			return errno;
		sent += n < 0 ? 0 : (uint32_t)n;
		m->msg_iov[0] = (struct iovec){data + sent, size - sent};
		m->msg_iovlen = 1;
	}
	return 0;
}

/* A header and its data, as two pieces where the way takes pieces. */
static int
send_one(int way, uint64_t nth, uint32_t size)
{
	size_t slot = nth % (POOL / size);
	uint8_t *data = pool + slot * size;
	struct iovec iov[2] = {{data, BHS}, {data + BHS, size - BHS}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	while (busy[slot])
		reap();
	return way ? send_ring(way, slot, &m, data, size) : send_plain(&m, data, size);
}

/* Ends with nothing in flight, and leaves the receiver time for what is queued. */
static void
window(int round, int s, int way)
{
	double left = idle(), begin = now(), took;
	uint32_t size = kib[udp][s] << 10, sent = told = copied = 0;

	do {
		must((errno = send_one(way, sent++, size)) == 0, names[way]);
	} while ((took = now() - begin) < 0.08);
	while (flying)
		reap();
	taken[s][way] += now() - begin - (idle() - left);
	sends[s][way] += sent;
	mbs[s][way][round] = (double)sent * size / took / 1e6;
	copies[s][way] += told ? 100.0 * copied / told / rounds : 0;
	usleep(10000);
}

static double
median(const double *of, const double *by)
{
	double v[ROUNDS];

	for (int i = 0, j; i < rounds; i++) {
		double new = of[i] / (by ? by[i] : 1);

		for (j = i; j > 0 && v[j - 1] > new; j--)
			v[j] = v[j - 1];
		v[j] = new;
	}
	return v[rounds / 2];
}

static void
sender(void)
{
	const struct iovec whole = {pool, POOL};
	const unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	struct io_uring_params p = {.flags = flags | IORING_SETUP_CQSIZE, .cq_entries = 2 * SLOTS};

	must(sched_setaffinity(0, sizeof(cpu_set_t), &(cpu_set_t){{1}}) == 0, "run on CPU 0");
	must((sock = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0)) >= 0 &&
	    connect(sock, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	must((errno = -io_uring_queue_init_params(8, &ring, &p)) == 0, "set up a ring");
	must((errno = -io_uring_register_buffers(&ring, &whole, 1)) == 0, "register memory");
	for (int w = RING; w < WAYS; w++)
		if ((errno = send_one(w, 0, 4096)) && (lacks[w] = true))
			printf("This kernel has no %s: %s.\n", names[w], strerror(errno));
	while (flying)
		reap();
	for (int i = 0, w; i < rounds * SIZES * WAYS; i++)
		if (!lacks[w = (i + i / SIZES / WAYS) % WAYS])
			window(i / SIZES / WAYS, i / WAYS % SIZES, w);
	printf("| size | way | MB/s | CPU 0 µs/send | MB/s ratio | CPU ratio | copied %% |\n"
	       "| --- | --- | --- | --- | --- | --- | --- |\n");
	for (int i = 0; i < SIZES * WAYS; i++) {
		int s = i / WAYS, w = i % WAYS;
		double cost = taken[s][w] / sends[s][w];

		if (!lacks[w])
			printf("| %uK | %s | %.0f | %.1f | %.2f | %.2f | %.0f |\n", kib[udp][s],
			    names[w], median(mbs[s][w], NULL), cost * 1e6,
			    median(mbs[s][w], mbs[s][0]), cost / taken[s][0] * sends[s][0],
			    copies[s][w]);
	}
}

int
main(int argc, char **argv)
{
	const struct option options[] = {{"addr", 1, NULL, 'a'}, {"rounds", 1, NULL, 'r'},
	    {"listen", 0, &listening, 1}, {"connect", 0, &connecting, 1}, {"copy", 0, &copying, 1},
	    {"udp", 0, &udp, 1}, {0}};
	const char *addr = "127.0.0.1";
	int o, fd;

	at.sin_port = htons(7361);
	errno = EINVAL;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		must(o != '?', "start");
		addr = o == 'a' ? optarg : addr;
		rounds = o == 'r' ? atoi(optarg) : rounds;
	}
	must(rounds > 0 && rounds <= ROUNDS && inet_pton(AF_INET, addr, &at.sin_addr), "start");
	if (!connecting && !udp) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		must(!bind(fd, (struct sockaddr *)&at, sizeof(at)) && !listen(fd, 1), "listen");
		if (listening || fork() == 0)
			return sink(fd);
	}
	sender();
	return 0;
}
