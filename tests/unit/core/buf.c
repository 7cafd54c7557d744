/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/core/buf.h"

#include "tests/unit/core/cores.h"

#define REGION GW_XFER_MAX /* the least that a core can have */

static void
on_core(void (*fn)(struct gw_core *, void *))
{
	cores_start(1, REGION, 4);
	gw_run_sync(gw_core_at(0), fn, NULL);
	ck_assert_uint_eq(gw_buf_used(gw_core_at(0)), 0);
	gw_cores_fini();
}

static void
shapes(struct gw_core *core, void *arg)
{
	static const uint32_t len[] = {1,       511,        4096,    4097,     65536,
				       1000000, GW_SEG_MAX, 1048577, 3u << 20, GW_XFER_MAX};
	struct gw_sg sg;

	for (unsigned k = 0; k < sizeof(len) / sizeof(len[0]); k++) {
		uint64_t sum = 0;

		ck_assert(gw_buf_get(core, len[k], &sg));
		ck_assert_uint_eq(sg.len, len[k]);
		ck_assert_uint_eq(sg.n, (len[k] + GW_SEG_MAX - 1) / GW_SEG_MAX);
		for (unsigned i = 0; i < sg.n; i++) {
			ck_assert_uint_eq((uintptr_t)sg.iov[i].iov_base % 4096, 0);
			if (i + 1 < sg.n)
				ck_assert_uint_eq(sg.iov[i].iov_len, GW_SEG_MAX);
			memset(sg.iov[i].iov_base, 0x5a, sg.iov[i].iov_len);
			sum += sg.iov[i].iov_len;
		}
		ck_assert_uint_eq(sum, len[k]);
		ck_assert_uint_ge(gw_buf_used(core), len[k]);
		gw_buf_put(core, &sg);
		ck_assert_uint_eq(sg.n, 0);
		ck_assert_uint_eq(sg.len, 0);
		gw_buf_put(core, &sg);
		ck_assert_uint_eq(gw_buf_used(core), 0);
	}
}

START_TEST(test_shapes)
{
	on_core(shapes);
}
END_TEST

static void
impossible(struct gw_core *core, void *arg)
{
	struct gw_sg sg;

	ck_assert(!gw_buf_get(core, 0, &sg));
	ck_assert(!gw_buf_get(core, GW_XFER_MAX + 1, &sg));
	ck_assert_uint_eq(sg.n, 0);
}

START_TEST(test_impossible_lengths)
{
	on_core(impossible);
}
END_TEST

/* Small pieces fill all; put back in whatever order, they join into the largest again. */
static void
fill_and_join(struct gw_core *core, void *arg)
{
	const unsigned total = REGION / 4096;
	struct gw_sg *sg = calloc(total + 1, sizeof(*sg)), big;

	for (unsigned step = 1; step < 8; step += 2) {
		for (unsigned i = 0; i < total; i++) {
			ck_assert(gw_buf_get(core, 4096, &sg[i]));
			*(unsigned *)sg[i].iov[0].iov_base = i;
		}
		ck_assert(!gw_buf_get(core, 1, &sg[total]));
		ck_assert_uint_eq(gw_buf_used(core), REGION);
		for (unsigned i = 0; i < total; i++)
			ck_assert_uint_eq(*(unsigned *)sg[i].iov[0].iov_base, i);
		for (unsigned i = 0; i < total; i++)
			gw_buf_put(core, &sg[i * step % total]);
		ck_assert(gw_buf_get(core, GW_XFER_MAX, &big));
		gw_buf_put(core, &big);
	}
	free(sg);
}

START_TEST(test_fill_and_join)
{
	on_core(fill_and_join);
}
END_TEST

/* Pieces of all sizes in random order never overlap: each keeps its mark. */
static void
mixture(struct gw_core *core, void *arg)
{
	static struct gw_sg sg[64];
	unsigned seed = 1;

	memset(sg, 0, sizeof(sg));
	for (unsigned k = 0; k < 20000; k++) {
		seed = seed * 1103515245u + 12345u;
		struct gw_sg *s = &sg[seed >> 8 & 63];

		if (s->n) {
			for (unsigned i = 0; i < s->n; i++) {
				uint8_t *p = s->iov[i].iov_base;

				ck_assert_ptr_eq(*(void **)p, s);
				ck_assert_ptr_eq(*(void **)(p + s->iov[i].iov_len - 8), s);
			}
			gw_buf_put(core, s);
		} else if (gw_buf_get(core, ((seed >> 12) % 300000 + 16) & ~7u, s)) {
			for (unsigned i = 0; i < s->n; i++) {
				uint8_t *p = s->iov[i].iov_base;

				*(void **)p = s;
				*(void **)(p + s->iov[i].iov_len - 8) = s;
			}
		}
	}
	for (unsigned i = 0; i < 64; i++)
		gw_buf_put(core, &sg[i]);
}

START_TEST(test_mixture)
{
	on_core(mixture);
}
END_TEST

static void
last_in(struct gw_core *core, void *arg)
{
	struct gw_sg x, y;
	void *p;

	ck_assert(gw_buf_get(core, 8192, &x));
	ck_assert(gw_buf_get(core, 8192, &y));
	p = x.iov[0].iov_base;
	gw_buf_put(core, &y);
	gw_buf_put(core, &x);
	ck_assert(gw_buf_get(core, 8192, &x));
	ck_assert_ptr_eq(x.iov[0].iov_base, p);
	gw_buf_put(core, &x);
}

START_TEST(test_last_in_first_out)
{
	on_core(last_in);
}
END_TEST

/* --- waiters --- */

#define WAITERS 5

struct client {
	struct gw_waiter waiter;
	struct gw_sg sg;
	uint32_t wants;
	unsigned woken;
};

static struct client client[WAITERS];
static struct gw_sg hog;
static unsigned order[WAITERS], norder;
static sem_t all_served;

static void
client_try(struct gw_waiter *w)
{
	struct client *c = gw_container(w, struct client, waiter);

	c->woken++;
	if (!gw_buf_get(gw_core_self(), c->wants, &c->sg)) {
		gw_buf_wait(gw_core_self(), w);
		return;
	}
	order[norder++] = (unsigned)(c - client);
	if (norder == WAITERS)
		sem_post(&all_served);
}

static void
hog_and_queue(struct gw_core *core, void *arg)
{
	norder = 0;
	sem_init(&all_served, 0, 0);
	ck_assert(gw_buf_get(core, REGION, &hog));
	for (unsigned i = 0; i < WAITERS; i++) {
		memset(&client[i], 0, sizeof(client[i]));
		client[i].wants = 100000;
		client[i].waiter.wake = client_try;
		client_try(&client[i].waiter);
		gw_buf_wait(core, &client[i].waiter);
	}
}

static void
release_hog(struct gw_core *core, void *arg)
{
	gw_buf_put(core, &hog);
	ck_assert_uint_eq(norder, 0);
}

static void
newcomer(struct gw_core *core, void *arg)
{
	struct gw_sg sg;

	gw_buf_put(core, &hog);
	ck_assert(!gw_buf_get(core, 4096, &sg));
}

static void
release_clients(struct gw_core *core, void *arg)
{
	for (unsigned i = 0; i < WAITERS; i++)
		gw_buf_put(core, &client[i].sg);
}

static void
queue_test(void (*release)(struct gw_core *, void *))
{
	cores_start(1, REGION, 4);
	gw_run_sync(gw_core_at(0), hog_and_queue, NULL);
	gw_run_sync(gw_core_at(0), release, NULL);
	sem_wait_whole(&all_served);
	for (unsigned i = 0; i < WAITERS; i++)
		ck_assert_uint_eq(order[i], i);
	gw_run_sync(gw_core_at(0), release_clients, NULL);
	ck_assert_uint_eq(gw_buf_used(gw_core_at(0)), 0);
	gw_cores_fini();
}

START_TEST(test_first_come_first_woken)
{
	queue_test(release_hog);
}
END_TEST

START_TEST(test_newcomers_do_not_overtake)
{
	queue_test(newcomer);
}
END_TEST

/* The first wants more than one release gives: it keeps its place until there is enough. */
static struct gw_sg part[2];

static void
hog_in_parts(struct gw_core *core, void *arg)
{
	norder = 0;
	sem_init(&all_served, 0, 0);
	ck_assert(gw_buf_get(core, REGION / 2, &part[0]));
	ck_assert(gw_buf_get(core, REGION / 2, &part[1]));
	for (unsigned i = 0; i < WAITERS; i++) {
		memset(&client[i], 0, sizeof(client[i]));
		client[i].wants = i == 0 ? REGION - GW_SEG_MAX : 4096;
		client[i].waiter.wake = client_try;
		client_try(&client[i].waiter);
	}
}

static void
release_part(struct gw_core *core, void *arg)
{
	gw_buf_put(core, arg);
}

static void
none_served(struct gw_core *core, void *arg)
{
	ck_assert_uint_eq(norder, 0);
}

START_TEST(test_large_request_is_not_starved)
{
	cores_start(1, REGION, 4);
	gw_run_sync(gw_core_at(0), hog_in_parts, NULL);
	gw_run_sync(gw_core_at(0), release_part, &part[0]);
	gw_run_sync(gw_core_at(0), none_served, NULL);
	gw_run_sync(gw_core_at(0), release_part, &part[1]);
	sem_wait_whole(&all_served);
	for (unsigned i = 0; i < WAITERS; i++)
		ck_assert_uint_eq(order[i], i);
	ck_assert_uint_ge(client[0].woken, 2);
	gw_run_sync(gw_core_at(0), release_clients, NULL);
	gw_cores_fini();
}
END_TEST

/* The first, who wants all, gives up: what is free is enough for the others. */
static void
give_up(struct gw_core *core, void *arg)
{
	gw_buf_put(core, &part[0]);
	norder = 1; /* the one that leaves */
	gw_buf_unwait(&client[0].waiter);
	gw_buf_unwait(&client[0].waiter);
}

static void
give_up_later(struct gw_core *core, void *arg)
{
	norder = 1;
	gw_buf_unwait(&client[0].waiter);
}

static void
leaving_test(bool later)
{
	cores_start(1, REGION, 4);
	gw_run_sync(gw_core_at(0), hog_in_parts, NULL);
	if (later)
		gw_run_sync(gw_core_at(0), release_part, &part[0]);
	gw_run_sync(gw_core_at(0), later ? give_up_later : give_up, NULL);
	sem_wait_whole(&all_served);
	ck_assert_uint_eq(client[0].sg.n, 0);
	gw_run_sync(gw_core_at(0), release_part, &part[1]);
	gw_run_sync(gw_core_at(0), release_clients, NULL);
	ck_assert_uint_eq(gw_buf_used(gw_core_at(0)), 0);
	gw_cores_fini();
}

START_TEST(test_leaving_the_queue)
{
	leaving_test(false);
	leaving_test(true);
}
END_TEST

/* A get fails, something comes back, and only then does the loser start to wait. */
static void
late_waiter(struct gw_core *core, void *arg)
{
	norder = WAITERS - 1;
	sem_init(&all_served, 0, 0);
	memset(&client[0], 0, sizeof(client[0]));
	client[0].wants = 4096;
	client[0].waiter.wake = client_try;
	ck_assert(gw_buf_get(core, REGION, &hog));
	ck_assert(!gw_buf_get(core, 4096, &client[0].sg));
	gw_buf_put(core, &hog);
	gw_buf_wait(core, &client[0].waiter);
}

static void
release_first(struct gw_core *core, void *arg)
{
	gw_buf_put(core, &client[0].sg);
}

START_TEST(test_no_wake_up_is_lost)
{
	cores_start(1, REGION, 4);
	gw_run_sync(gw_core_at(0), late_waiter, NULL);
	sem_wait_whole(&all_served);
	gw_run_sync(gw_core_at(0), release_first, NULL);
	ck_assert_uint_eq(gw_buf_used(gw_core_at(0)), 0);
	gw_cores_fini();
}
END_TEST

SUITE("buf", test_shapes, test_impossible_lengths, test_fill_and_join, test_mixture,
      test_last_in_first_out, test_first_come_first_woken, test_newcomers_do_not_overtake,
      test_large_request_is_not_starved, test_leaving_the_queue, test_no_wake_up_is_lost)
