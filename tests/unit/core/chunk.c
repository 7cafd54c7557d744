/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive chunks: picked when data comes, waited for in order, never lost. */
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/engine.h"
#include "gateway/core/stats.h"
#include "tests/unit/core/cores.h"

#define PEERS 8

struct peer {
	struct gw_op op;
	int fd, far;
	int res;
	struct gw_chunk *chunk;
	sem_t done;
};

static struct peer peer[PEERS];

static void
received(struct gw_op *op, int res)
{
	struct peer *p = gw_container(op, struct peer, op);

	p->res = res;
	p->chunk = op->chunk;
	sem_post(&p->done);
}

static void
peers_open(unsigned chunks)
{
	int pair[2];

	cores_start(1, 0, chunks);
	for (unsigned i = 0; i < PEERS; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		memset(&peer[i], 0, sizeof(peer[i]));
		peer[i].fd = pair[0];
		peer[i].far = pair[1];
		peer[i].op.done = received;
		sem_init(&peer[i].done, 0, 0);
	}
}

static void
peers_close(void)
{
	gw_cores_fini();
	for (unsigned i = 0; i < PEERS; i++) {
		close(peer[i].fd);
		close(peer[i].far);
	}
}

static void
listen_one(struct gw_core *core, void *arg)
{
	struct peer *p = arg;

	gw_recv_chunk(core, &p->op, p->fd, 100);
}

static void
listen_all(struct gw_core *core, void *arg)
{
	for (unsigned i = 0; i < PEERS; i++)
		listen_one(core, &peer[i]);
}

static void
put(struct gw_core *core, void *arg)
{
	struct peer *p = arg;

	gw_chunk_put(p->chunk);
	p->chunk = NULL;
}

static void
is_low(struct gw_core *core, void *arg)
{
	*(bool *)arg = gw_chunks_low(core);
}

static bool
low(void)
{
	bool v;

	gw_run_sync(gw_core_at(0), is_low, &v);
	return v;
}

static void
on_core(void (*fn)(struct gw_core *, void *), void *arg)
{
	gw_run_sync(gw_core_at(0), fn, arg);
}

START_TEST(test_length_is_limited)
{
	char buf[150];

	memset(buf, 'a', sizeof(buf));
	peers_open(4);
	ck_assert_int_eq(write(peer[0].far, buf, sizeof(buf)), sizeof(buf));
	on_core(listen_one, &peer[0]);
	sem_wait_whole(&peer[0].done);
	ck_assert_int_eq(peer[0].res, 100);
	ck_assert_uint_eq(peer[0].chunk->refs, 1);
	ck_assert_uint_ge(peer[0].chunk->size, 65536);
	ck_assert_mem_eq(peer[0].chunk->data, buf, 100);
	on_core(put, &peer[0]);
	on_core(listen_one, &peer[0]);
	sem_wait_whole(&peer[0].done);
	ck_assert_int_eq(peer[0].res, 50);
	on_core(put, &peer[0]);
	peers_close();
}
END_TEST

static void
listen_whole(struct gw_core *core, void *arg)
{
	gw_recv_chunk(core, &peer[0].op, peer[0].fd, 0);
}

START_TEST(test_no_limit_is_a_chunk_full)
{
	static char buf[100000];

	peers_open(4);
	ck_assert_int_eq(write(peer[0].far, buf, sizeof(buf)), sizeof(buf));
	on_core(listen_whole, NULL);
	sem_wait_whole(&peer[0].done);
	ck_assert_int_eq(peer[0].res, 65536);
	on_core(put, &peer[0]);
	peers_close();
}
END_TEST

/* More idle connections than chunks: none is used, so whoever speaks first gets one. */
START_TEST(test_idle_connections_hold_nothing)
{
	peers_open(2);
	on_core(listen_all, NULL);
	ck_assert(!low());
	for (unsigned i = PEERS; i-- > 0;) {
		ck_assert_int_eq(write(peer[i].far, "x", 1), 1);
		sem_wait_whole(&peer[i].done);
		ck_assert_int_eq(peer[i].res, 1);
		on_core(put, &peer[i]);
	}
	ck_assert_uint_eq(gw_stat_get(gw_core_at(0)->stats->chunk_waits), 0);
	peers_close();
}
END_TEST

START_TEST(test_end_of_stream_holds_nothing)
{
	peers_open(1);
	for (unsigned i = 0; i < PEERS; i++) {
		shutdown(peer[i].far, SHUT_WR);
		on_core(listen_one, &peer[i]);
		sem_wait_whole(&peer[i].done);
		ck_assert_int_eq(peer[i].res, 0);
		ck_assert_ptr_null(peer[i].chunk);
	}
	ck_assert(!low());
	peers_close();
}
END_TEST

START_TEST(test_error_holds_nothing)
{
	int fd = -1;

	peers_open(1);
	for (unsigned i = 0; i < PEERS; i++) {
		fd = peer[i].fd;
		peer[i].fd = -1;
		on_core(listen_one, &peer[i]);
		sem_wait_whole(&peer[i].done);
		ck_assert_int_eq(peer[i].res, -EBADF);
		ck_assert_ptr_null(peer[i].chunk);
		peer[i].fd = fd;
	}
	ck_assert(!low());
	peers_close();
}
END_TEST

/* All speak at once, two chunks: each is served in its time, whatever the order. */
START_TEST(test_exhaustion_and_recovery)
{
	unsigned served = 0, round = 0;
	char c;

	peers_open(2);
	for (unsigned i = 0; i < PEERS; i++) {
		c = (char)('a' + i);
		ck_assert_int_eq(write(peer[i].far, &c, 1), 1);
	}
	on_core(listen_all, NULL);
	while (served < PEERS) {
		for (unsigned i = 0; i < PEERS; i++) {
			if (sem_trywait(&peer[i].done) < 0)
				continue;
			ck_assert_int_eq(peer[i].res, 1);
			ck_assert_int_eq(peer[i].chunk->data[0], 'a' + (int)i);
			served++;
			on_core(put, &peer[i]);
		}
		if (++round % 16 == 0)
			sched_yield();
	}
	ck_assert(!low());
	peers_close();
}
END_TEST

START_TEST(test_low_when_all_are_lent)
{
	peers_open(2);
	for (unsigned i = 0; i < 2; i++) {
		on_core(listen_one, &peer[i]);
		ck_assert_int_eq(write(peer[i].far, "x", 1), 1);
		sem_wait_whole(&peer[i].done);
	}
	ck_assert(low());
	on_core(put, &peer[0]);
	ck_assert(!low());
	on_core(put, &peer[1]);
	peers_close();
}
END_TEST

static void
keep_then_put_twice(struct gw_core *core, void *arg)
{
	struct peer *p = arg;

	gw_chunk_ref(p->chunk);
	gw_chunk_put(p->chunk);
	ck_assert(gw_chunks_low(core));
	gw_chunk_put(p->chunk);
	ck_assert(!gw_chunks_low(core));
}

START_TEST(test_references)
{
	peers_open(1);
	on_core(listen_one, &peer[0]);
	ck_assert_int_eq(write(peer[0].far, "x", 1), 1);
	sem_wait_whole(&peer[0].done);
	on_core(keep_then_put_twice, &peer[0]);
	peers_close();
}
END_TEST

static void
cancel(struct gw_core *core, void *arg)
{
	struct peer *p = arg;

	gw_cancel(core, &p->op);
}

/* Waits until the receive without a chunk is seen to wait; a synchronous call turns the loop. */
static void
until_starving(void)
{
	bool v;

	while (gw_stat_get(gw_core_at(0)->stats->chunk_waits) == 0)
		on_core(is_low, &v);
}

START_TEST(test_cancel_while_waiting_for_a_chunk)
{
	peers_open(1);
	on_core(listen_one, &peer[0]);
	ck_assert_int_eq(write(peer[0].far, "x", 1), 1);
	sem_wait_whole(&peer[0].done);
	on_core(listen_one, &peer[1]);
	ck_assert_int_eq(write(peer[1].far, "y", 1), 1);
	until_starving();
	on_core(cancel, &peer[1]);
	sem_wait_whole(&peer[1].done);
	ck_assert_int_eq(peer[1].res, -ECANCELED);
	on_core(put, &peer[0]);
	/* Nothing was lost by it. */
	on_core(listen_one, &peer[1]);
	sem_wait_whole(&peer[1].done);
	ck_assert_int_eq(peer[1].res, 1);
	ck_assert_int_eq(peer[1].chunk->data[0], 'y');
	on_core(put, &peer[1]);
	peers_close();
}
END_TEST

START_TEST(test_cancel_while_idle)
{
	peers_open(1);
	on_core(listen_one, &peer[0]);
	on_core(cancel, &peer[0]);
	sem_wait_whole(&peer[0].done);
	ck_assert_int_eq(peer[0].res, -ECANCELED);
	ck_assert(!low());
	peers_close();
}
END_TEST

/* Many bytes through few chunks, in order. */
static struct {
	unsigned char next;
	uint64_t total;
	bool wrong;
} stream;

static void
stream_received(struct gw_op *op, int res)
{
	struct peer *p = gw_container(op, struct peer, op);

	if (res <= 0) {
		p->res = res;
		sem_post(&p->done);
		return;
	}
	for (int i = 0; i < res; i++)
		stream.wrong |= op->chunk->data[i] != stream.next++;
	stream.total += (uint64_t)res;
	gw_chunk_put(op->chunk);
	gw_recv_chunk(gw_core_self(), op, p->fd, 0);
}

START_TEST(test_stream)
{
	unsigned char buf[4000];
	unsigned char c = 0;
	uint64_t sent = 0;
	ssize_t n;

	peers_open(3);
	memset(&stream, 0, sizeof(stream));
	peer[0].op.done = stream_received;
	on_core(listen_one, &peer[0]);
	while (sent < 4u << 20) {
		for (unsigned i = 0; i < sizeof(buf); i++)
			buf[i] = c++;
		n = write(peer[0].far, buf, sizeof(buf));
		ck_assert_int_eq(n, sizeof(buf));
		sent += (uint64_t)n;
	}
	shutdown(peer[0].far, SHUT_WR);
	sem_wait_whole(&peer[0].done);
	ck_assert_int_eq(peer[0].res, 0);
	ck_assert_uint_eq(stream.total, sent);
	ck_assert(!stream.wrong);
	peers_close();
}
END_TEST

CORES_SUITE("chunk", test_length_is_limited, test_no_limit_is_a_chunk_full,
	    test_idle_connections_hold_nothing, test_end_of_stream_holds_nothing,
	    test_error_holds_nothing, test_exhaustion_and_recovery, test_low_when_all_are_lent,
	    test_references, test_cancel_while_waiting_for_a_chunk, test_cancel_while_idle,
	    test_stream)
