/* SPDX-License-Identifier: BSD-3-Clause */
/* Real sockets and files through the engine. Each test runs its steps on core 0. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "gateway/core/buf.h"
#include "gateway/core/engine.h"
#include "tests/unit/core/call.h"

/* --- sockets --- */

static int pair[2];
static struct call a, b;
static char text[] = "over the socket", got[64];
static struct iovec iov[4];
static struct msghdr msg;

static void
recv_and_send(struct gw_core *core, void *arg)
{
	gw_recv(core, &a.op, pair[0], got, sizeof(got));
	ck_assert(a.times == 0);
	iov[0] = (struct iovec){text, 5};
	iov[1] = (struct iovec){text + 5, sizeof(text) - 5};
	msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 2};
	gw_sendmsg(core, &b.op, pair[1], &msg);
}

START_TEST(test_send_and_receive)
{
	cores_start(1, 0, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	call_init(&a);
	call_init(&b);
	gw_run_sync(gw_core_at(0), recv_and_send, NULL);
	ck_assert_int_eq(call_wait(&b), sizeof(text));
	ck_assert_int_eq(call_wait(&a), sizeof(text));
	ck_assert_str_eq(got, text);
	close(pair[0]);
	close(pair[1]);
	gw_cores_fini();
}
END_TEST

static void
send_into_nothing(struct gw_core *core, void *arg)
{
	iov[0] = (struct iovec){text, sizeof(text)};
	msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 1};
	gw_sendmsg(core, &a.op, pair[0], &msg);
}

START_TEST(test_send_to_closed_peer_is_an_error_not_a_signal)
{
	cores_start(1, 0, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	call_init(&a);
	gw_run_sync(gw_core_at(0), send_into_nothing, NULL);
	ck_assert_int_eq(call_wait(&a), -EPIPE);
	close(pair[0]);
	gw_cores_fini();
}
END_TEST

static void
do_accept(struct gw_core *core, void *arg)
{
	gw_accept(core, &a.op, *(int *)arg);
}

START_TEST(test_accept_on_loopback)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int listener, client, fd;

	cores_start(1, 0, 0);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	call_init(&a);
	gw_run_sync(gw_core_at(0), do_accept, &listener);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&sin, sizeof(sin)), 0);
	fd = call_wait(&a);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(write(client, "x", 1), 1);
	ck_assert_int_eq(read(fd, got, 8), 1);
	close(fd);
	close(client);
	close(listener);
	gw_cores_fini();
}
END_TEST

static void
do_poll(struct gw_core *core, void *arg)
{
	gw_poll(core, &a.op, pair[0], POLLIN);
}

START_TEST(test_poll)
{
	cores_start(1, 0, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	call_init(&a);
	gw_run_sync(gw_core_at(0), do_poll, NULL);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	ck_assert_int_eq(call_wait(&a) & POLLIN, POLLIN);
	close(pair[0]);
	close(pair[1]);
	gw_cores_fini();
}
END_TEST

/* --- cancel --- */

static void
start_three(struct gw_core *core, void *arg)
{
	struct call *c = arg;

	gw_recv(core, &c[0].op, pair[0], got, sizeof(got));
	gw_accept(core, &c[1].op, pair[1]);
	gw_poll(core, &c[2].op, pair[0], POLLIN);
}

static void
cancel_three(struct gw_core *core, void *arg)
{
	struct call *c = arg;

	for (int i = 0; i < 3; i++) {
		gw_cancel(core, &c[i].op);
		gw_cancel(core, &c[i].op);
		ck_assert_uint_eq(c[i].times, 0);
	}
}

static void
start_and_cancel(struct gw_core *core, void *arg)
{
	start_three(core, arg);
	cancel_three(core, arg);
}

static void
cancel_idle(struct gw_core *core, void *arg)
{
	struct call *c = arg;

	gw_cancel(core, &c->op);
}

static void
cancel_test(void (*first)(struct gw_core *, void *), void (*second)(struct gw_core *, void *))
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct call c[3];
	int sp[2];

	cores_start(1, 0, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sp), 0);
	pair[0] = sp[0];
	pair[1] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(pair[1], (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(pair[1], 8), 0);
	for (int i = 0; i < 3; i++)
		call_init(&c[i]);
	gw_run_sync(gw_core_at(0), first, c);
	if (second)
		gw_run_sync(gw_core_at(0), second, c);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(call_wait(&c[i]), -ECANCELED);
		ck_assert_uint_eq(c[i].times, 1);
	}
	gw_run_sync(gw_core_at(0), cancel_idle, &c[0]);
	gw_cores_fini();
	close(sp[0]);
	close(sp[1]);
	close(pair[1]);
}

START_TEST(test_cancel_what_waits_in_the_kernel)
{
	cancel_test(start_three, cancel_three);
}
END_TEST

START_TEST(test_cancel_what_was_just_prepared)
{
	cancel_test(start_and_cancel, NULL);
}
END_TEST

/* --- files --- */

static int file;
static struct gw_sg sg[2];

static void
get_memory(struct gw_core *core, void *arg)
{
	uint32_t len = *(uint32_t *)arg;

	ck_assert(gw_buf_get(core, len, &sg[0]));
	ck_assert(gw_buf_get(core, len, &sg[1]));
	for (unsigned i = 0; i < sg[0].n; i++) {
		for (size_t k = 0; k < sg[0].iov[i].iov_len; k++) {
			((uint8_t *)sg[0].iov[i].iov_base)[k] = (uint8_t)(k * 7 + i);
			((uint8_t *)sg[1].iov[i].iov_base)[k] = 0;
		}
	}
}

static void
put_memory(struct gw_core *core, void *arg)
{
	gw_buf_put(core, &sg[0]);
	gw_buf_put(core, &sg[1]);
	ck_assert_uint_eq(gw_buf_used(core), 0);
}

static void
do_write(struct gw_core *core, void *arg)
{
	gw_writev(core, &a.op, file, sg[0].iov, sg[0].n, 8192, *(int *)arg);
}

static void
do_read(struct gw_core *core, void *arg)
{
	gw_readv(core, &a.op, file, sg[1].iov, sg[1].n, 8192);
}

static void
do_sync(struct gw_core *core, void *arg)
{
	gw_fdatasync(core, &a.op, file);
}

static void
do_punch(struct gw_core *core, void *arg)
{
	gw_fallocate(core, &a.op, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096);
}

static int
on_core(void (*fn)(struct gw_core *, void *), void *arg)
{
	call_init(&a);
	gw_run_sync(gw_core_at(0), fn, arg);
	return call_wait(&a);
}

static int
temporary(void)
{
	char path[] = "/tmp/lichgate-engine-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	return fd;
}

static void
file_test(uint32_t len, int rwf)
{
	int rc;

	cores_start(1, 0, 0);
	file = temporary();
	gw_run_sync(gw_core_at(0), get_memory, &len);
	ck_assert_int_eq(on_core(do_write, &rwf), (int)len);
	ck_assert_int_eq(on_core(do_sync, NULL), 0);
	ck_assert_int_eq(on_core(do_read, NULL), (int)len);
	for (unsigned i = 0; i < sg[0].n; i++)
		ck_assert_mem_eq(sg[0].iov[i].iov_base, sg[1].iov[i].iov_base,
				 sg[0].iov[i].iov_len);
	rc = on_core(do_punch, NULL);
	ck_assert(rc == 0 || rc == -EOPNOTSUPP);
	if (rc == 0) {
		ck_assert_int_eq(on_core(do_read, NULL), (int)len);
		ck_assert_uint_eq(((uint8_t *)sg[1].iov[0].iov_base)[1], 0);
	}
	gw_run_sync(gw_core_at(0), put_memory, NULL);
	close(file);
	gw_cores_fini();
}

START_TEST(test_file_one_piece)
{
	file_test(65536, 0);
}
END_TEST

START_TEST(test_file_many_pieces)
{
	file_test(3u << 20, RWF_DSYNC);
}
END_TEST

START_TEST(test_file_error)
{
	uint32_t len = 4096;

	cores_start(1, 0, 0);
	file = open("/dev/null", O_RDONLY);
	gw_run_sync(gw_core_at(0), get_memory, &len);
	ck_assert_int_eq(on_core(do_write, &(int){0}), -EBADF);
	close(file);
	ck_assert_int_eq(on_core(do_read, NULL), -EBADF);
	gw_run_sync(gw_core_at(0), put_memory, NULL);
	gw_cores_fini();
}
END_TEST

/* Memory that is none of the core's buffers is read and written all the same. */
static void
foreign_write(struct gw_core *core, void *arg)
{
	iov[0] = (struct iovec){text, sizeof(text)};
	gw_writev(core, &a.op, file, iov, 1, 0, 0);
}

static void
foreign_read(struct gw_core *core, void *arg)
{
	iov[0] = (struct iovec){got, sizeof(got)};
	gw_readv(core, &a.op, file, iov, 1, 0);
}

START_TEST(test_file_foreign_memory)
{
	cores_start(1, 0, 0);
	file = temporary();
	memset(got, 0, sizeof(got));
	ck_assert_int_eq(on_core(foreign_write, NULL), sizeof(text));
	ck_assert_int_eq(on_core(foreign_read, NULL), sizeof(text));
	ck_assert_str_eq(got, text);
	close(file);
	gw_cores_fini();
}
END_TEST

/* --- more than the queues hold --- */

#define MANY 10000

static struct call *many;
static char bytes[MANY];
static struct iovec many_iov[MANY];
static unsigned many_left;
static sem_t many_done;

static void
one_of_many(struct gw_op *op, int res)
{
	struct call *c = gw_container(op, struct call, op);

	c->res = res;
	c->times++;
	if (--many_left == 0)
		sem_post(&many_done);
}

static void
start_many(struct gw_core *core, void *arg)
{
	many_left = MANY;
	for (unsigned i = 0; i < MANY; i++) {
		many[i].op.done = one_of_many;
		many_iov[i] = (struct iovec){&bytes[i], 1};
		gw_readv(core, &many[i].op, file, &many_iov[i], 1, i);
	}
}

START_TEST(test_ten_thousand_at_once)
{
	char *image = malloc(MANY);

	cores_start(1, 0, 0);
	many = calloc(MANY, sizeof(*many));
	sem_init(&many_done, 0, 0);
	file = temporary();
	for (unsigned i = 0; i < MANY; i++)
		image[i] = (char)(i * 31 + 1);
	ck_assert_int_eq(pwrite(file, image, MANY, 0), MANY);
	gw_run_sync(gw_core_at(0), start_many, NULL);
	sem_wait_whole(&many_done);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(many[i].res, 1);
		ck_assert_uint_eq(many[i].times, 1);
	}
	ck_assert_mem_eq(bytes, image, MANY);
	ck_assert_uint_ge(gw_stat_get(gw_core_at(0)->stats->completions), MANY);
	close(file);
	gw_cores_fini();
	free(many);
	free(image);
}
END_TEST

/* --- entries of the caller's own --- */

#define FILE_AT	  7
#define BUFFER_AT (GW_URING_BUFFERS + 9)

static uint8_t page[4096] __attribute__((aligned(4096)));

static void
register_one(struct gw_core *core, void *arg)
{
	struct iovec whole = {page, sizeof(page)};
	struct io_uring *ring = gw_uring(core);

	ck_assert_int_eq(io_uring_register_files_update(ring, FILE_AT, &file, 1), 1);
	ck_assert_int_eq(io_uring_register_buffers_update_tag(ring, BUFFER_AT, &whole, NULL, 1), 1);
}

/* What io_uring_prep_read_fixed() would say, but for user_data. */
static void
read_by_entry(struct gw_core *core, void *arg)
{
	struct io_uring_sqe *sqe = gw_uring_sqe(core, &a.op);

	ck_assert_uint_eq(sqe->cmd[0], 0);
	sqe->opcode = IORING_OP_READ_FIXED;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = FILE_AT;
	sqe->buf_index = BUFFER_AT;
	sqe->addr = (uintptr_t)page;
	sqe->len = sizeof(page);
}

START_TEST(test_entry_with_registered_file_and_buffer)
{
	char image[sizeof(page)];

	cores_start(1, 0, 0);
	if (!strcmp(cores_engine, "epoll")) {
		ck_assert_ptr_null(gw_uring(gw_core_at(0)));
		gw_cores_fini();
		return;
	}
	memset(image, 'x', sizeof(image));
	file = temporary();
	ck_assert_int_eq(pwrite(file, image, sizeof(image), 0), sizeof(image));
	gw_run_sync(gw_core_at(0), register_one, NULL);
	for (unsigned i = 0; i < 3; i++) {
		memset(page, 0, sizeof(page));
		call_init(&a);
		gw_run_sync(gw_core_at(0), read_by_entry, NULL);
		ck_assert_int_eq(call_wait(&a), sizeof(page));
		ck_assert_mem_eq(page, image, sizeof(page));
	}
	gw_cores_fini();
	close(file);
}
END_TEST

CORES_SUITE("engine", test_send_and_receive, test_send_to_closed_peer_is_an_error_not_a_signal,
	    test_accept_on_loopback, test_poll, test_cancel_what_waits_in_the_kernel,
	    test_cancel_what_was_just_prepared, test_file_one_piece, test_file_many_pieces,
	    test_file_error, test_file_foreign_memory, test_ten_thousand_at_once,
	    test_entry_with_registered_file_and_buffer)
