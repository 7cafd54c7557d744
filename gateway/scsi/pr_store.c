/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registrations in files. Cores push what they want saved onto a stack and never wait; one thread
 * takes all of it, turns it round, writes, and sends each back to its core. A disk that hangs thus
 * holds the answers to PERSISTENT RESERVE OUT with APTPL, and nothing else.
 */
#include "gateway/scsi/pr_store.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "gateway/scsi/pr_file.h"

#define STACK_SIZE (256u << 10)
#define NAA_TEXT   33

static struct {
	char dir[PATH_MAX];
	pthread_t thread;
	sem_t work;
	_Atomic(struct gw_msg *) newest;
	atomic_bool stop;
} store;

/* --- files --- */

static int
keep(const struct scsi_pr_saved *what)
{
	char name[NAA_TEXT], *text;
	int rc;

	gw_str_hex(name, what->naa, sizeof(what->naa));
	if (!what->aptpl || !what->nreg)
		return pr_file_remove(store.dir, name);
	/* A file that nobody reads again would keep the LU from serving. */
	if (NEVER(!pr_text_ok(what)))
		return -EINVAL;
	text = malloc(pr_text_max(what->nreg));
	if (!text)
		return -ENOMEM;
	rc = pr_file_write(store.dir, name, text, pr_text_write(what, text));
	free(text);
	return rc;
}

static int
load(const uint8_t naa[16], struct scsi_pr_saved **out)
{
	char name[NAA_TEXT], *text;
	size_t n;
	int rc;

	gw_str_hex(name, naa, 16);
	rc = pr_file_read(store.dir, name, pr_text_max(PR_STORE_REGS_MAX), &text, &n);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = pr_text_read(text, n, out);
	free(text);
	if (rc || memcmp((*out)->naa, naa, 16) == 0)
		return rc;
	free(*out);
	*out = NULL;
	return -EBADMSG;
}

int
pr_store_load(const uint8_t naa[16], struct scsi_pr_saved **out, char *err, unsigned err_size)
{
	char name[NAA_TEXT];
	int rc;

	*out = NULL;
	rc = load(naa, out);
	if (rc) {
		gw_str_hex(name, naa, 16);
		snprintf(err, err_size, "cannot read the persistent reservations in %s/%s: %s",
			 store.dir, name, rc == -EBADMSG ? "the file is damaged" : strerror(-rc));
	}
	return rc;
}

void
pr_store_forget(const uint8_t naa[16])
{
	struct scsi_pr_saved none = {0};
	int rc;

	memcpy(none.naa, naa, sizeof(none.naa));
	rc = keep(&none);
	if (rc)
		gw_err("persistent reservations of a deleted LUN stay: dir=%s error=\"%s\"",
		       store.dir, strerror(-rc));
}

/* --- the thread --- */

static void
answer(struct gw_core *on, struct gw_msg *msg)
{
	struct pr_save *s = gw_container(msg, struct pr_save, msg);

	s->done(s);
}

static void
save(struct pr_save *s)
{
	s->error = keep(s->what);
	if (s->error)
		gw_log_limited(GW_LOG_ERR,
			       "cannot save persistent reservations: dir=%s error=\"%s\"",
			       store.dir, strerror(-s->error));
	s->msg.fn = answer;
	gw_send(s->core, &s->msg);
}

static void
save_all(void)
{
	struct gw_msg *msg = atomic_exchange_explicit(&store.newest, NULL, memory_order_acq_rel);
	struct gw_msg *oldest = NULL, *next;

	for (; msg; msg = next) {
		next = msg->next;
		msg->next = oldest;
		oldest = msg;
	}
	for (; oldest; oldest = next) {
		next = oldest->next;
		save(gw_container(oldest, struct pr_save, msg));
	}
}

static void *
store_main(void *arg)
{
	while (!atomic_load_explicit(&store.stop, memory_order_acquire)) {
		while (sem_wait(&store.work) < 0)
			BUG(errno != EINTR);
		save_all();
	}
	return NULL;
}

void
pr_store_save(struct pr_save *s)
{
	struct gw_msg *was = atomic_load_explicit(&store.newest, memory_order_relaxed);

	do
		s->msg.next = was;
	while (!atomic_compare_exchange_weak_explicit(&store.newest, &was, &s->msg,
						      memory_order_acq_rel, memory_order_relaxed));
	/* Whoever pushes onto others is taken together with them. */
	if (!was)
		sem_post(&store.work);
}

int
pr_store_init(const char *state_dir)
{
	pthread_attr_t attr;
	int rc;

	if (snprintf(store.dir, sizeof(store.dir), "%s/reservations", state_dir) >=
	    (int)sizeof(store.dir))
		return -ENAMETOOLONG;
	atomic_store_explicit(&store.stop, false, memory_order_relaxed);
	sem_init(&store.work, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(&store.thread, &attr, store_main, NULL);
	pthread_attr_destroy(&attr);
	if (!rc)
		pthread_setname_np(store.thread, "reservations");
	return -rc;
}

void
pr_store_fini(void)
{
	atomic_store_explicit(&store.stop, true, memory_order_release);
	sem_post(&store.work);
	pthread_join(store.thread, NULL);
	sem_destroy(&store.work);
}
