// SPDX-License-Identifier: BSD-3-Clause
/*
 * Many initiators on one LUN, and a journal of what they were promised.
 *
 *   load write  URL JOURNAL SESSIONS SECS   write until SECS have passed or the gateway has gone
 *   load verify URL JOURNAL                 log in again and compare
 *
 * Each session owns a region of BLOCKS blocks and overwrites them in a fixed pseudo-random order,
 * DEPTH writes at a time, each with a rising sequence number in every sector. After every
 * FLUSH_EVERY writes it waits for all of them and sends SYNCHRONIZE CACHE; GOOD makes their
 * sequence numbers the least that a later reader may find. A write that was in flight when the
 * gateway died may be there, wholly or in part, or not. A journal that exists is continued.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

enum {
	SECTOR = 512,
	BLOCK = 4096,
	BLOCKS = 256,
	DEPTH = 8,
	FLUSH_EVERY = 64,
	SESSIONS_MAX = 1024
};
enum {
	MAGIC = 0x6c6f6164
};

struct stamp {
	uint32_t magic, session, block, sector;
	uint64_t seq;
};

struct session;

struct slot {
	struct session *s;
	uint32_t block;
	uint64_t seq;
	bool busy;
	_Alignas(8) uint8_t data[BLOCK];
};

struct session {
	uint32_t id;
	struct iscsi_context *ctx;
	bool ready, dead, flushing;
	uint32_t in_flight, since_flush;
	uint64_t seq, rnd;
	struct slot slots[DEPTH];
	uint64_t issued[BLOCKS], acked[BLOCKS], flushed[BLOCKS];
	uint64_t writes, flushes;
};

static struct session *sessions;
static uint32_t n_sessions;
static int lun;
static bool draining;

static void die(const char *what) __attribute__((noreturn));

static void
die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

static uint64_t
lba_of(const struct session *s, uint32_t block)
{
	return ((uint64_t)s->id * BLOCKS + block) * (BLOCK / SECTOR);
}

static void
stamp_block(struct slot *w)
{
	for (uint32_t i = 0; i < BLOCK / SECTOR; i++) {
		struct stamp st = {MAGIC, w->s->id, w->block, i, w->seq};
		uint8_t *at = w->data + i * SECTOR;

		memset(at, (int)(w->seq + i), SECTOR);
		memcpy(at, &st, sizeof(st));
		memcpy(at + SECTOR - sizeof(st), &st, sizeof(st));
	}
}

static void
session_dead(struct session *s, const char *why)
{
	if (!s->dead && !draining)
		fprintf(stderr, "load: session %u: %s: %s\n", s->id, why, iscsi_get_error(s->ctx));
	s->dead = true;
}

static void session_go(struct session *s);

static void
flush_done(struct iscsi_context *ctx, int status, void *data, void *priv)
{
	struct session *s = priv;

	(void)ctx;
	if (data)
		scsi_free_scsi_task(data);
	s->flushing = false;
	if (status != SCSI_STATUS_GOOD) {
		session_dead(s, "flush");
		return;
	}
	memcpy(s->flushed, s->acked, sizeof(s->flushed));
	s->flushes++;
	s->since_flush = 0;
	session_go(s);
}

static void
write_done(struct iscsi_context *ctx, int status, void *data, void *priv)
{
	struct slot *w = priv;
	struct session *s = w->s;

	(void)ctx;
	if (data)
		scsi_free_scsi_task(data);
	w->busy = false;
	s->in_flight--;
	if (status != SCSI_STATUS_GOOD) {
		session_dead(s, "write");
		return;
	}
	s->acked[w->block] = w->seq;
	s->writes++;
	session_go(s);
}

/* Two writes to one block at a time would leave the order to the gateway. */
static bool
block_busy(const struct session *s, uint32_t block)
{
	for (int i = 0; i < DEPTH; i++)
		if (s->slots[i].busy && s->slots[i].block == block)
			return true;
	return false;
}

static void
write_one(struct session *s, struct slot *w)
{
	do {
		s->rnd = s->rnd * 6364136223846793005u + 1442695040888963407u;
		w->block = (s->rnd >> 33) % BLOCKS;
	} while (block_busy(s, w->block));
	w->seq = ++s->seq;
	w->busy = true;
	s->issued[w->block] = w->seq;
	stamp_block(w);
	s->in_flight++;
	s->since_flush++;
	if (!iscsi_write16_task(s->ctx, lun, lba_of(s, w->block), w->data, BLOCK, SECTOR, 0, 0, 0,
				0, 0, write_done, w)) {
		w->busy = false;
		s->in_flight--;
		session_dead(s, "cannot queue a write");
	}
}

static void
session_go(struct session *s)
{
	if (s->dead || s->flushing || draining)
		return;
	if (s->since_flush >= FLUSH_EVERY) {
		if (s->in_flight)
			return;
		s->flushing = true;
		if (!iscsi_synchronizecache16_task(s->ctx, lun, 0, 0, 0, 0, flush_done, s))
			session_dead(s, "cannot queue a flush");
		return;
	}
	for (int i = 0; i < DEPTH && s->since_flush < FLUSH_EVERY && !s->dead; i++)
		if (!s->slots[i].busy)
			write_one(s, &s->slots[i]);
}

static void
connected(struct iscsi_context *ctx, int status, void *data, void *priv)
{
	struct session *s = priv;

	(void)ctx;
	(void)data;
	if (status != SCSI_STATUS_GOOD) {
		session_dead(s, "login");
		return;
	}
	s->ready = true;
}

static void
sessions_open(const char *url_text)
{
	sessions = calloc(n_sessions, sizeof(*sessions));
	if (!sessions)
		die("out of memory");
	for (uint32_t i = 0; i < n_sessions; i++) {
		struct session *s = &sessions[i];
		struct iscsi_url *url;
		char name[64];

		snprintf(name, sizeof(name), "iqn.2026-11.org.example:load-%u", i);
		s->id = i;
		s->rnd = i + 1;
		for (int k = 0; k < DEPTH; k++)
			s->slots[k].s = s;
		s->ctx = iscsi_create_context(name);
		if (!s->ctx)
			die("no context");
		url = iscsi_parse_full_url(s->ctx, url_text);
		if (!url)
			die(iscsi_get_error(s->ctx));
		lun = url->lun;
		iscsi_set_targetname(s->ctx, url->target);
		iscsi_set_session_type(s->ctx, ISCSI_SESSION_NORMAL);
		iscsi_set_noautoreconnect(s->ctx, 1);
		if (iscsi_full_connect_async(s->ctx, url->portal, url->lun, connected, s) != 0)
			session_dead(s, "connect");
		iscsi_destroy_url(url);
	}
}

static void
service_once(int timeout_ms)
{
	struct pollfd fds[SESSIONS_MAX];
	struct session *of[SESSIONS_MAX];
	nfds_t n = 0;

	for (uint32_t i = 0; i < n_sessions; i++) {
		struct session *s = &sessions[i];

		if (s->dead || iscsi_get_fd(s->ctx) < 0)
			continue;
		fds[n] = (struct pollfd){.fd = iscsi_get_fd(s->ctx),
					 .events = (short)iscsi_which_events(s->ctx)};
		of[n++] = s;
	}
	if (poll(fds, n, timeout_ms) < 0 && errno != EINTR)
		die("poll");
	for (nfds_t i = 0; i < n; i++)
		if (iscsi_service(of[i]->ctx, fds[i].revents) < 0)
			session_dead(of[i], "connection");
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint32_t
count(bool (*what)(const struct session *))
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_sessions; i++)
		n += what(&sessions[i]);
	return n;
}

static bool
is_ready(const struct session *s)
{
	return s->ready;
}

static bool
is_dead(const struct session *s)
{
	return s->dead;
}

static bool
is_busy(const struct session *s)
{
	return !s->dead && (s->in_flight || s->flushing);
}

static void
sessions_login(const char *url, double secs)
{
	double end = now() + secs;

	sessions_open(url);
	while (count(is_ready) + count(is_dead) < n_sessions && now() < end)
		service_once(100);
	if (count(is_ready) < n_sessions)
		die("not every session could log in");
	printf("%u sessions\n", n_sessions);
	fflush(stdout);
}

static void
journal_write(const char *path)
{
	FILE *f = fopen(path, "w");
	uint64_t writes = 0, flushes = 0;

	if (!f)
		die("cannot write the journal");
	fprintf(f, "%u\n", n_sessions);
	for (uint32_t i = 0; i < n_sessions; i++) {
		for (uint32_t b = 0; b < BLOCKS; b++)
			fprintf(f, "%u %u %ju %ju\n", i, b, (uintmax_t)sessions[i].flushed[b],
				(uintmax_t)sessions[i].issued[b]);
		writes += sessions[i].writes;
		flushes += sessions[i].flushes;
	}
	if (fclose(f) != 0)
		die("cannot write the journal");
	printf("%ju writes, %ju flushes, %u sessions lost\n", (uintmax_t)writes, (uintmax_t)flushes,
	       count(is_dead));
}

/* What earlier runs wrote and were promised still holds. */
static void
journal_continue(const char *path)
{
	FILE *f = fopen(path, "r");
	uint64_t least, most;
	uint32_t sess, block, n;

	if (!f)
		return;
	if (fscanf(f, "%u", &n) != 1 || n != n_sessions)
		die("the journal is of another number of sessions");
	while (fscanf(f, "%u %u %ju %ju", &sess, &block, &least, &most) == 4) {
		struct session *s = &sessions[sess];

		s->flushed[block] = s->acked[block] = least;
		s->issued[block] = most;
		if (s->seq < most)
			s->seq = most;
	}
	fclose(f);
}

static int
cmd_write(const char *url, const char *journal, double secs)
{
	double end;

	sessions_login(url, 60);
	journal_continue(journal);
	end = now() + secs;
	for (uint32_t i = 0; i < n_sessions; i++)
		session_go(&sessions[i]);
	while (now() < end && count(is_dead) < n_sessions)
		service_once(100);
	/* What is still under way either ends or counts as not promised. */
	draining = true;
	end = now() + 10;
	while (count(is_busy) && now() < end)
		service_once(100);
	journal_write(journal);
	return 0;
}

static bool
check_sector(const uint8_t *at, uint32_t sess, uint32_t block, uint32_t i, uint64_t least,
	     uint64_t most)
{
	struct stamp first, last;

	memcpy(&first, at, sizeof(first));
	memcpy(&last, at + SECTOR - sizeof(last), sizeof(last));
	if (first.magic == 0 && first.seq == 0 && least == 0)
		return true;
	if (memcmp(&first, &last, sizeof(first)) != 0 || first.magic != MAGIC ||
	    first.session != sess || first.block != block || first.sector != i ||
	    first.seq < least || first.seq > most) {
		printf("session %u block %u sector %u: found session %u block %u seq %ju, wanted "
		       "seq %ju to %ju\n",
		       sess, block, i, first.session, first.block, (uintmax_t)first.seq,
		       (uintmax_t)least, (uintmax_t)most);
		return false;
	}
	return true;
}

static int
cmd_verify(const char *url, const char *journal)
{
	FILE *f = fopen(journal, "r");
	uint32_t sess, block;
	uint64_t least, most, wrong = 0, checked = 0, promised = 0;

	if (!f || fscanf(f, "%u", &n_sessions) != 1 || n_sessions == 0 || n_sessions > SESSIONS_MAX)
		die("cannot read the journal");
	sessions_login(url, 60);
	while (fscanf(f, "%u %u %ju %ju", &sess, &block, &least, &most) == 4) {
		struct session *s = &sessions[sess];
		struct scsi_task *task =
		    iscsi_read16_sync(s->ctx, lun, lba_of(s, block), BLOCK, SECTOR, 0, 0, 0, 0, 0);

		if (!task || task->status != SCSI_STATUS_GOOD || task->datain.size != BLOCK)
			die("a read failed");
		for (uint32_t i = 0; i < BLOCK / SECTOR; i++)
			wrong += !check_sector(task->datain.data + i * SECTOR, sess, block, i,
					       least, most);
		scsi_free_scsi_task(task);
		checked++;
		promised += least > 0;
	}
	fclose(f);
	printf("%ju blocks checked, %ju of them promised, %ju sectors wrong\n", (uintmax_t)checked,
	       (uintmax_t)promised, (uintmax_t)wrong);
	return wrong || !promised ? 1 : 0;
}

static void
sessions_close(void)
{
	for (uint32_t i = 0; i < n_sessions; i++) {
		if (!sessions[i].dead)
			iscsi_logout_sync(sessions[i].ctx);
		iscsi_destroy_context(sessions[i].ctx);
	}
	free(sessions);
}

int
main(int argc, char **argv)
{
	int code;

	/* A gateway that dies under writes is what some tests are about. */
	signal(SIGPIPE, SIG_IGN);
	if (argc == 6 && strcmp(argv[1], "write") == 0) {
		n_sessions = (uint32_t)strtoul(argv[4], NULL, 10);
		if (n_sessions == 0 || n_sessions > SESSIONS_MAX)
			die("a number of sessions from 1 to 1024");
		code = cmd_write(argv[2], argv[3], strtod(argv[5], NULL));
	} else if (argc == 4 && strcmp(argv[1], "verify") == 0) {
		code = cmd_verify(argv[2], argv[3]);
	} else {
		die("load write URL JOURNAL SESSIONS SECS, or load verify URL JOURNAL");
	}
	sessions_close();
	return code;
}
