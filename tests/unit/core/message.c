/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>

#include "tests/unit/core/cores.h"

/* --- balls that cores throw at each other --- */

#define BALLS  64
#define THROWS 2000

struct ball {
	struct gw_msg msg;
	unsigned left, seed;
};

static struct ball balls[BALLS];
static atomic_uint landed;
static sem_t all_landed;

static void
catch_ball(struct gw_core *on, struct gw_msg *msg)
{
	struct ball *b = gw_container(msg, struct ball, msg);

	ck_assert_ptr_eq(gw_core_self(), on);
	if (b->left-- == 0) {
		if (atomic_fetch_add(&landed, 1) + 1 == BALLS)
			sem_post(&all_landed);
		return;
	}
	b->seed = b->seed * 1103515245u + 12345u;
	gw_send(gw_core_at((b->seed >> 16) % gw_ncores()), msg);
}

START_TEST(test_many_cores)
{

	sem_init(&all_landed, 0, 0);
	atomic_store(&landed, 0);
	cores_start(4, 1, 4);
	for (unsigned i = 0; i < BALLS; i++) {
		balls[i] = (struct ball){{NULL, catch_ball}, THROWS, i};
		gw_send(gw_core_at(i % 4), &balls[i].msg);
	}
	sem_wait_whole(&all_landed);
	gw_cores_fini();
	for (unsigned i = 0; i < BALLS; i++)
		ck_assert_uint_eq(balls[i].left, UINT32_MAX);
}
END_TEST

/* --- each sender's messages arrive in order --- */

#define SENDERS 4
#define LETTERS 5000

struct letter {
	struct gw_msg msg;
	unsigned sender, number;
};

static unsigned expected[SENDERS], received;
static sem_t all_received;

static void
read_letter(struct gw_core *on, struct gw_msg *msg)
{
	struct letter *l = gw_container(msg, struct letter, msg);

	ck_assert_uint_eq(l->number, expected[l->sender]);
	expected[l->sender]++;
	if (++received == SENDERS * LETTERS)
		sem_post(&all_received);
}

static void *
send_letters(void *arg)
{
	struct letter *l = arg;

	for (unsigned i = 0; i < LETTERS; i++)
		gw_send(gw_core_at(0), &l[i].msg);
	return NULL;
}

START_TEST(test_order_of_each_sender)
{
	struct letter *l = calloc(SENDERS * LETTERS, sizeof(*l));
	pthread_t thread[SENDERS];

	sem_init(&all_received, 0, 0);
	memset(expected, 0, sizeof(expected));
	received = 0;
	cores_start(1, 1, 4);
	for (unsigned s = 0; s < SENDERS; s++) {
		for (unsigned i = 0; i < LETTERS; i++)
			l[s * LETTERS + i] = (struct letter){{NULL, read_letter}, s, i};
		pthread_create(&thread[s], NULL, send_letters, &l[s * LETTERS]);
	}
	for (unsigned s = 0; s < SENDERS; s++)
		pthread_join(thread[s], NULL);
	sem_wait_whole(&all_received);
	gw_cores_fini();
	free(l);
}
END_TEST

/* One message at a time to a core that has gone to sleep: each must wake it. */
static void
nothing(struct gw_core *on, void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(test_each_message_wakes)
{
	unsigned n = 0;

	cores_start(1, 1, 4);
	for (unsigned i = 0; i < 3000; i++)
		gw_run_sync(gw_core_at(0), nothing, &n);
	ck_assert_uint_eq(n, 3000);
	gw_cores_fini();
}
END_TEST

CORES_SUITE("message", test_many_cores, test_order_of_each_sender, test_each_message_wakes)
