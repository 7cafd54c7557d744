/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets in the states that an engine may mistake: full, half closed, closed and opened again. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/core/call.h"

#define ROUNDS 300
#define LARGE  (8u << 20)

static int pair[2];
static struct call in, out;
static char got[64];

static void
on_core(void (*fn)(struct gw_core *, void *), void *arg)
{
	gw_run_sync(gw_core_at(0), fn, arg);
}

static void
pair_open(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void
forget(struct gw_core *core, void *arg)
{
	gw_forget_fd(core, *(int *)arg);
}

static void
pair_close(void)
{
	on_core(forget, &pair[0]);
	close(pair[0]);
	close(pair[1]);
}

static void
receive(struct gw_core *core, void *arg)
{
	gw_recv(core, &in.op, pair[0], got, sizeof(got));
}

static void
receive_chunk(struct gw_core *core, void *arg)
{
	gw_recv_chunk(core, &in.op, pair[0], 0);
}

static void
cancel_in(struct gw_core *core, void *arg)
{
	gw_cancel(core, &in.op);
}

static void
cancel_out(struct gw_core *core, void *arg)
{
	gw_cancel(core, &out.op);
}

/* The next socket has the number of the one before, and nothing else of it. */
START_TEST(test_numbers_come_again)
{
	int first = -1;

	cores_start(1, 1, 4);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pair_open();
		if (first < 0)
			first = pair[0];
		ck_assert_int_eq(pair[0], first);
		call_init(&in);
		on_core(receive, NULL);
		ck_assert_int_eq(write(pair[1], "one", 3), 3);
		ck_assert_int_eq(call_wait(&in), 3);
		on_core(receive, NULL);
		if (i % 2) {
			on_core(cancel_in, NULL);
			ck_assert_int_eq(call_wait(&in), -ECANCELED);
		} else {
			ck_assert_int_eq(write(pair[1], "four", 4), 4);
			ck_assert_int_eq(call_wait(&in), 4);
		}
		pair_close();
	}
	gw_cores_fini();
}
END_TEST

/* Bytes and the end of the stream, in all orders of arrival and asking. */
static void
data_then_end(unsigned round)
{
	pair_open();
	call_init(&in);
	if (round % 2)
		on_core(receive, NULL);
	ck_assert_int_eq(write(pair[1], "bytes", 5), 5);
	if (round % 4 < 2)
		shutdown(pair[1], SHUT_WR);
	if (round % 2 == 0)
		on_core(receive, NULL);
	ck_assert_int_eq(call_wait(&in), 5);
	if (round % 8 < 4)
		shutdown(pair[1], SHUT_WR);
	on_core(receive, NULL);
	shutdown(pair[1], SHUT_WR);
	ck_assert_int_eq(call_wait(&in), 0);
	pair_close();
}

START_TEST(test_data_then_end)
{
	cores_start(1, 1, 4);
	for (unsigned i = 0; i < ROUNDS; i++)
		data_then_end(i);
	gw_cores_fini();
}
END_TEST

static void
put_chunk(struct gw_core *core, void *arg)
{
	gw_chunk_put(in.op.chunk);
}

START_TEST(test_chunk_then_end)
{
	cores_start(1, 1, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pair_open();
		call_init(&in);
		if (i % 2)
			on_core(receive_chunk, NULL);
		ck_assert_int_eq(write(pair[1], "bytes", 5), 5);
		close(pair[1]);
		if (i % 2 == 0)
			on_core(receive_chunk, NULL);
		ck_assert_int_eq(call_wait(&in), 5);
		on_core(put_chunk, NULL);
		on_core(receive_chunk, NULL);
		ck_assert_int_eq(call_wait(&in), 0);
		ck_assert_ptr_null(in.op.chunk);
		pair[1] = dup(pair[0]);
		pair_close();
	}
	gw_cores_fini();
}
END_TEST

/* --- a peer that does not read --- */

static uint8_t large[LARGE];
static struct iovec rest;
static struct msghdr msg;
static unsigned sends;
static sem_t all_sent;

static void
send_rest(struct gw_core *core, void *arg)
{
	msg = (struct msghdr){.msg_iov = &rest, .msg_iovlen = 1};
	sends++;
	gw_sendmsg(core, &out.op, pair[0], &msg);
}

static void
part_sent(struct gw_op *op, int res)
{
	ck_assert_int_gt(res, 0);
	rest.iov_base = (uint8_t *)rest.iov_base + res;
	rest.iov_len -= (size_t)res;
	if (rest.iov_len)
		send_rest(gw_core_self(), NULL);
	else
		sem_post(&all_sent);
}

static void *
reader(void *arg)
{
	static uint8_t buf[30011];
	uint64_t at = 0;
	bool right = true;

	while (at < LARGE) {
		ssize_t n = read(pair[1], buf, sizeof(buf));

		if (n <= 0)
			break;
		right = right && memcmp(buf, large + at, (size_t)n) == 0;
		at += (uint64_t)n;
	}
	return (void *)(uintptr_t)(right && at == LARGE);
}

START_TEST(test_send_more_than_fits)
{
	pthread_t thread;
	void *right;

	for (unsigned i = 0; i < LARGE; i++)
		large[i] = (uint8_t)(i * 13 + i / 4096);
	cores_start(1, 1, 4);
	pair_open();
	call_init(&out);
	out.op.done = part_sent;
	sem_init(&all_sent, 0, 0);
	rest = (struct iovec){large, LARGE};
	sends = 0;
	on_core(send_rest, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, reader, NULL), 0);
	sem_wait_whole(&all_sent);
	pthread_join(thread, &right);
	ck_assert(right);
	ck_assert_uint_gt(sends, 1);
	pair_close();
	gw_cores_fini();
}
END_TEST

/* Fills the socket, from here, without a wait. */
static void
fill(void)
{
	while (send(pair[0], large, 4096, MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
}

static void
send_word(struct gw_core *core, void *arg)
{
	rest = (struct iovec){large, 4};
	msg = (struct msghdr){.msg_iov = &rest, .msg_iovlen = 1};
	gw_sendmsg(core, &out.op, pair[0], &msg);
}

START_TEST(test_cancel_a_send)
{
	cores_start(1, 1, 4);
	pair_open();
	fill();
	for (unsigned i = 0; i < 4; i++) {
		call_init(&out);
		on_core(send_word, NULL);
		on_core(cancel_out, NULL);
		ck_assert_int_eq(call_wait(&out), -ECANCELED);
	}
	pair_close();
	gw_cores_fini();
}
END_TEST

/* A send and a receive of one socket wait for different things. */
START_TEST(test_both_directions)
{
	static char sink[1u << 20];

	cores_start(1, 1, 4);
	pair_open();
	fill();
	call_init(&in);
	call_init(&out);
	on_core(receive, NULL);
	on_core(send_word, NULL);
	ck_assert_int_eq(write(pair[1], "in", 2), 2);
	ck_assert_int_eq(call_wait(&in), 2);
	on_core(receive, NULL);
	ck_assert_int_ne(sem_trywait(&out.done), 0);
	while (recv(pair[1], sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(call_wait(&out), 4);
	ck_assert_int_eq(write(pair[1], "too", 3), 3);
	ck_assert_int_eq(call_wait(&in), 3);
	pair_close();
	gw_cores_fini();
}
END_TEST

/* --- accept and poll --- */

static int listener;

static void
accept_one(struct gw_core *core, void *arg)
{
	gw_accept(core, &in.op, listener);
}

START_TEST(test_many_wait_to_be_accepted)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int client[5], fd;

	cores_start(1, 1, 4);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	for (unsigned i = 0; i < 5; i++) {
		client[i] = socket(AF_INET, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(client[i], (struct sockaddr *)&sin, sizeof(sin)), 0);
	}
	for (unsigned i = 0; i < 5; i++) {
		call_init(&in);
		on_core(accept_one, NULL);
		fd = call_wait(&in);
		ck_assert_int_ge(fd, 0);
		close(fd);
		close(client[i]);
	}
	call_init(&in);
	on_core(accept_one, NULL);
	on_core(cancel_in, NULL);
	ck_assert_int_eq(call_wait(&in), -ECANCELED);
	on_core(forget, &listener);
	close(listener);
	gw_cores_fini();
}
END_TEST

static void
poll_in(struct gw_core *core, void *arg)
{
	gw_poll(core, &in.op, *(int *)arg, POLLIN);
}

/* What is true stays true: a poll tells the state, not the change. */
START_TEST(test_poll_tells_the_state)
{
	uint64_t n = 1;
	int fd = eventfd(0, EFD_CLOEXEC), none = -1;

	cores_start(1, 1, 4);
	call_init(&in);
	on_core(poll_in, &fd);
	ck_assert_int_eq(write(fd, &n, sizeof(n)), sizeof(n));
	ck_assert_int_eq(call_wait(&in), POLLIN);
	for (unsigned i = 0; i < 3; i++) {
		on_core(poll_in, &fd);
		ck_assert_int_eq(call_wait(&in), POLLIN);
	}
	ck_assert_int_eq(read(fd, &n, sizeof(n)), sizeof(n));
	on_core(poll_in, &fd);
	on_core(cancel_in, NULL);
	ck_assert_int_eq(call_wait(&in), -ECANCELED);
	on_core(poll_in, &none);
	ck_assert_int_eq(call_wait(&in), -EBADF);
	on_core(forget, &fd);
	close(fd);
	gw_cores_fini();
}
END_TEST

CORES_SUITE("socket", test_numbers_come_again, test_data_then_end, test_chunk_then_end,
	    test_send_more_than_fits, test_cancel_a_send, test_both_directions,
	    test_many_wait_to_be_accepted, test_poll_tells_the_state)
