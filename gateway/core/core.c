/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of all cores: made by the main thread, started, stopped. */
#include "gateway/core/core.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/core/engine_priv.h"

#define BUF_BYTES_DEFAULT (64ull << 20)
#define CHUNKS_DEFAULT    256
#define CHUNKS_MAX        65536 /* the kernel names one in 16 bits */

static const struct gw_engine_ops *const engines[] = {&gw_engine_uring, &gw_engine_epoll};

static struct gw_loop *loops[GW_CORES_MAX];
static unsigned ncores;

unsigned
gw_ncores(void)
{
	return ncores;
}

struct gw_core *
gw_core_at(unsigned id)
{
	BUG(id >= ncores);
	return &loops[id]->core;
}

const char *
gw_cores_engine(void)
{
	return gw_core_at(0)->eng->ops->name;
}

static void
core_free(struct gw_loop *loop)
{
	if (loop->core.eng)
		loop->core.eng->ops->close(&loop->core);
	gw_bufs_free(loop->core.bufs);
	gw_wheel_free(loop->core.wheel);
	gw_mailbox_free(loop->core.mailbox);
	sem_destroy(&loop->ready);
	gw_local_free(loop, sizeof(*loop));
}

static int
core_new(unsigned id, int cpu, const struct gw_engine_ops *engine, uint32_t nchunks, char *err,
	 unsigned err_size)
{
	int node = gw_cpu_node(cpu), rc;
	struct gw_loop *loop = gw_local_alloc(node, sizeof(*loop));
	struct gw_core *core = &loop->core;

	if (!loop)
		goto out_nomem;
	sem_init(&loop->ready, 0, 0);
	core->id = id;
	core->cpu = cpu;
	core->node = node;
	core->born = core->now = gw_clock_ns();
	core->stats = &loop->stats;
	gw_list_init(&core->kick);
	gw_list_init(&core->flush);
	core->mailbox = gw_mailbox_new(node);
	core->wheel = gw_wheel_new(core->now, node);
	core->bufs = gw_bufs_new(core);
	if (!core->mailbox || !core->wheel || !core->bufs)
		goto out_core;
	rc = engine->open(core, nchunks, err, err_size);
	if (rc < 0) {
		core_free(loop);
		return rc;
	}
	loops[id] = loop;
	return 0;
out_core:
	core_free(loop);
out_nomem:
	snprintf(err, err_size, "no memory or descriptors left for core %u", id);
	return -ENOMEM;
}

static void
cores_free(void)
{
	for (unsigned i = 0; i < ncores; i++)
		core_free(loops[i]);
	ncores = 0;
}

static int
cores_new(const struct gw_core_conf *conf, const struct gw_engine_ops *engine, const int *cpu,
	  unsigned n, char *err, unsigned err_size)
{
	uint32_t nchunks = conf->chunks ? conf->chunks : CHUNKS_DEFAULT;

	while (ncores < n) {
		int rc = core_new(ncores, cpu[ncores], engine, nchunks, err, err_size);

		if (rc < 0) {
			cores_free();
			return rc;
		}
		gw_spin_init(&loops[ncores]->spin, conf->poll_us * 1000ull);
		ncores++;
	}
	return 0;
}

/* Without a wish the first engine is tried, and the other one where that is not to be had. */
static int
cores_choose(const struct gw_core_conf *conf, const struct gw_engine_ops *wish, const int *cpu,
	     unsigned n, char *err, unsigned err_size)
{
	char why[256];
	int rc;

	if (wish)
		return cores_new(conf, wish, cpu, n, err, err_size);
	rc = cores_new(conf, &gw_engine_uring, cpu, n, why, sizeof(why));
	if (rc == 0)
		return 0;
	rc = cores_new(conf, &gw_engine_epoll, cpu, n, err, err_size);
	if (rc == 0)
		gw_info("epoll takes the place of io_uring: reason=\"%s\"", why);
	return rc;
}

static int
conf_check(const struct gw_core_conf *conf, const struct gw_engine_ops **wish, char *err,
	   unsigned err_size)
{
	*wish = NULL;
	for (unsigned i = 0; conf->engine && i < GW_ARRAY_LEN(engines); i++) {
		if (strcmp(conf->engine, engines[i]->name) == 0)
			*wish = engines[i];
	}
	if (conf->engine && !*wish) {
		snprintf(err, err_size, "there is no engine '%s' (only uring and epoll)",
			 conf->engine);
		return -EINVAL;
	}
	if (conf->chunks > CHUNKS_MAX) {
		snprintf(err, err_size, "more than %u receive chunks are not supported",
			 CHUNKS_MAX);
		return -EINVAL;
	}
	return 0;
}

int
gw_cores_init(const struct gw_core_conf *conf, char *err, unsigned err_size)
{
	uint64_t bytes = conf->buf_bytes ? conf->buf_bytes : BUF_BYTES_DEFAULT;
	const struct gw_engine_ops *wish;
	int cpu[GW_CORES_MAX], n, rc;

	BUG(ncores != 0);
	gw_usage_add("buffer_bytes", gw_bufs_usage);
	gw_usage_add("chunks", gw_chunks_usage);
	rc = conf_check(conf, &wish, err, err_size);
	if (rc < 0)
		return rc;
	n = gw_cpulist_parse(conf->cores, cpu, GW_CORES_MAX, err, err_size);
	if (n < 0)
		return n;
	rc = gw_arena_init((unsigned)n, bytes);
	if (rc < 0) {
		snprintf(err, err_size, "no memory for the I/O buffers of %d cores", n);
		return rc;
	}
	rc = cores_choose(conf, wish, cpu, (unsigned)n, err, err_size);
	if (rc < 0)
		gw_arena_fini();
	return rc;
}

/* Signals are for the main thread. */
static int
thread_start(struct gw_loop *loop)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	/* What an instruction causes ends the process if it is blocked, handler or not (sigprocmask(2)). */
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&loop->thread, NULL, gw_loop_main, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	loop->started = rc == 0;
	return -rc;
}

int
gw_cores_start(void)
{
	int rc = 0, first = 0;

	for (unsigned i = 0; i < ncores && first == 0; i++)
		first = thread_start(loops[i]);
	for (unsigned i = 0; i < ncores && loops[i]->started; i++) {
		while (sem_wait(&loops[i]->ready) < 0)
			BUG(errno != EINTR);
		rc = loops[i]->start_error;
		if (rc < 0 && first == 0)
			first = rc;
	}
	return first;
}

static void
hear_stop(struct gw_core *on, struct gw_msg *msg)
{
	gw_loop_of(on)->stop = true;
}

void
gw_cores_fini(void)
{
	for (unsigned i = 0; i < ncores; i++) {
		loops[i]->stop_msg.fn = hear_stop;
		if (loops[i]->started)
			gw_send(&loops[i]->core, &loops[i]->stop_msg);
	}
	for (unsigned i = 0; i < ncores; i++) {
		if (loops[i]->started)
			pthread_join(loops[i]->thread, NULL);
	}
	cores_free();
	gw_arena_fini();
}
