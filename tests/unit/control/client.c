/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/control/client.h"
#include "tests/unit/base/suite.h"
#include "tests/unit/control/stubs.h"

#define CALL "{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{\"debug\":false},\"id\":1}\n"
#define OK   "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}\n"

static const struct gw_control_conf conf = {.engine = "uring"};
static struct rpc_env env = {.conf = &conf};
static sd_event *ev;
static struct client *client;
static int peer;

static void
on_gone(struct client *c)
{
	client_free(c);
	client = NULL;
}

static void
start(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	ck_assert_int_ge(sd_event_new(&ev), 0);
	peer = fds[1];
	client = client_new(ev, fds[0], &env, on_gone);
	ck_assert_ptr_nonnull(client);
}

static void
stop(void)
{
	if (client)
		client_free(client);
	close(peer);
	sd_event_unref(ev);
}

/* Runs the loop until nothing is left to do. */
static void
settle(void)
{
	while (sd_event_run(ev, 0) > 0)
		;
}

static void
put(const char *s, size_t n)
{
	ck_assert_int_eq(send(peer, s, n, MSG_NOSIGNAL), (ssize_t)n);
}

static size_t
take(char *buf, size_t size)
{
	ssize_t n = recv(peer, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

START_TEST(test_byte_by_byte)
{
	char got[256];

	start();
	for (const char *p = CALL; *p; p++) {
		ck_assert_uint_eq(take(got, sizeof(got)), 0);
		put(p, 1);
		settle();
	}
	take(got, sizeof(got));
	ck_assert_str_eq(got, OK);
	stop();
}
END_TEST

START_TEST(test_many_requests_in_one_piece_are_answered_in_order)
{
	char got[4096];

	start();
	put(CALL CALL "x\n" CALL, 3 * strlen(CALL) + 2);
	settle();
	take(got, sizeof(got));
	ck_assert(strncmp(got, OK OK, 2 * strlen(OK)) == 0);
	ck_assert_ptr_nonnull(strstr(got, "-32700"));
	ck_assert_str_eq(got + strlen(got) - strlen(OK), OK);
	stop();
}
END_TEST

START_TEST(test_end_of_stream_after_a_request_still_answers_it)
{
	char got[256];

	start();
	put(CALL "half", strlen(CALL) + 4);
	shutdown(peer, SHUT_WR);
	settle();
	take(got, sizeof(got));
	ck_assert_str_eq(got, OK);
	ck_assert_ptr_null(client);
	stop();
}
END_TEST

/* Requests wait in the socket while answers are not taken: memory stays bounded, nothing is lost.
 */
START_TEST(test_client_that_does_not_read)
{
	static char got[65536];
	size_t sent = 0, answers = 0;

	start();
	for (int i = 0; i < 20000; i++) {
		ssize_t n = send(peer, CALL, strlen(CALL), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n != (ssize_t)strlen(CALL))
			break;
		sent++;
		settle();
	}
	ck_assert_uint_gt(sent, 10);
	ck_assert_uint_lt(sent, 20000);
	ck_assert_uint_le(client->in_room, 1 << 20);
	ck_assert(client->out != NULL);
	ck_assert(!client_stalled(client, client->moved_at));
	ck_assert(client_stalled(client, client->moved_at + (CLIENT_STALL_SEC + 1) * 1000000ull));
	for (int i = 0; i < 100000; i++) {
		size_t n = take(got, sizeof(got));

		for (size_t k = 0; k < n; k++)
			answers += got[k] == '\n';
		if (answers >= sent)
			break;
		settle();
	}
	ck_assert_uint_ge(answers, sent);
	stop();
}
END_TEST

START_TEST(test_idle_client_is_not_stalled)
{
	start();
	ck_assert(!client_stalled(client, client->moved_at + 3600 * 1000000ull));
	put("{", 1);
	settle();
	ck_assert(client_stalled(client, client->moved_at + 3600 * 1000000ull));
	stop();
}
END_TEST

START_TEST(test_line_without_end_is_dropped)
{
	static char piece[1 << 20];

	memset(piece, ' ', sizeof(piece));
	start();
	for (unsigned i = 0; client && i < 4 * (CLIENT_LINE_MAX / sizeof(piece)) * 16; i++) {
		if (send(peer, piece, sizeof(piece), MSG_NOSIGNAL) < 0 && client)
			settle();
		settle();
	}
	ck_assert_ptr_null(client);
	stop();
}
END_TEST

SUITE("client", test_byte_by_byte, test_many_requests_in_one_piece_are_answered_in_order,
      test_end_of_stream_after_a_request_still_answers_it, test_client_that_does_not_read,
      test_idle_client_is_not_stalled, test_line_without_end_is_dropped)
