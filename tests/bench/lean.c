/* SPDX-License-Identifier: BSD-3-Clause */
/* lean --url iscsi://HOST[:PORT]/IQN/LUN [options]: loads a LUN and says how it answered. */
#include "tests/bench/lean.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/base/num.h"

#define STALL_NS 10000000000u
#define IDLE_MS  100

_Atomic int lean_load = LOAD_WARMUP;

static struct cpu window;
static uint64_t rss_before; /* of the target, before the first login */
static double login_secs;
static uint64_t measure_at, window_ns, end_at;
static pthread_barrier_t filled;

void
die(const char *fmt, ...)
{
	va_list ap;

	fputs("lean: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(".\n", stderr);
	_exit(1);
}

/* The load */

/*
 * The first thread keeps the time of the window, and samples the CPUs at its two ends. One in which
 * nothing was answered says nothing: it goes on until something is.
 */
static int
keep_time(struct worker *w, int load)
{
	static struct cpu begin;

	if (load == LOAD_WARMUP && w->now >= measure_at) {
		cpu_sample(&begin, w->o->pid);
		end_at = w->now + window_ns;
		load = LOAD_MEASURE;
	} else if (load == LOAD_MEASURE && w->now >= end_at &&
		   (w->count.lat.n > 0 || w->o->idle)) {
		cpu_sample(&window, w->o->pid);
		cpu_since(&window, &begin);
		load = LOAD_END;
	} else {
		return load;
	}
	atomic_store(&lean_load, load);
	return load;
}

static void
follow_time(struct worker *w, struct count *measured)
{
	int load = atomic_load_explicit(&lean_load, memory_order_relaxed);
	uint64_t errors = w->count.errors;

	if (w->index == 0)
		load = keep_time(w, load);
	if (load == (int)w->seen)
		return;
	if (load == LOAD_MEASURE) {
		memset(&w->count, 0, sizeof(w->count));
		w->count.errors = errors;
	} else {
		*measured = w->count;
	}
	w->seen = load;
}

static void
handle(struct worker *w, struct sess *s, uint32_t events)
{
	bool was = s->out.first < s->out.last, is;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

	if (events & EPOLLIN)
		sess_recv(s, MSG_DONTWAIT);
	sess_issue(s);
	is = !out_flush(&s->out, s->fd);
	if (is == was)
		return;
	if (is)
		ev.events |= EPOLLOUT;
	epoll_ctl(w->epoll, EPOLL_CTL_MOD, s->fd, &ev);
}

/* One session needs no epoll: it blocks or spins in its receive. */
static void
turn_single(struct worker *w, struct sess *s)
{
	bool full = s->out.first < s->out.last;
	struct pollfd p = {.fd = s->fd, .events = POLLIN | POLLOUT};

	if (full && w->o->sleep)
		poll(&p, 1, IDLE_MS);
	sess_recv(s, full || !w->o->sleep ? MSG_DONTWAIT : 0);
	sess_issue(s);
	out_flush(&s->out, s->fd);
}

static void
turn_many(struct worker *w)
{
	struct epoll_event ev[64];
	int n = epoll_wait(w->epoll, ev, GW_ARRAY_LEN(ev), w->o->sleep ? IDLE_MS : 0);

	for (int i = 0; i < n; i++)
		handle(w, ev[i].data.ptr, ev[i].events);
}

static void
turn(struct worker *w, unsigned count)
{
	if (w->nsess == 1)
		turn_single(w, &w->sess[0]);
	else
		turn_many(w);
	if (!w->o->sleep && count % 64)
		return;
	w->now = now_ns();
	if (w->now - w->last_done > STALL_NS && !w->o->idle)
		die("the target has answered nothing for 10 s");
}

static bool
all_idle(const struct worker *w)
{
	for (unsigned i = 0; i < w->nsess; i++)
		if (!sess_idle(&w->sess[i]) || (w->filling && w->sess[i].fill_left))
			return false;
	return true;
}

static void
start_all(struct worker *w)
{
	w->last_done = w->now = now_ns();
	for (unsigned i = 0; i < w->nsess; i++) {
		sess_issue(&w->sess[i]);
		out_flush(&w->sess[i].out, w->sess[i].fd);
	}
}

/* --verify: every byte of the span gets its pattern. */
static void
fill(struct worker *w)
{
	w->filling = true;
	start_all(w);
	for (unsigned i = 0; !all_idle(w); i++)
		turn(w, i);
	w->filling = false;
	if (w->count.errors)
		die("%llu writes of the pattern failed", (unsigned long long)w->count.errors);
	memset(&w->count, 0, sizeof(w->count));
	pthread_barrier_wait(&filled);
}

static void
prepare(struct worker *w)
{
	const struct opts *o = w->o;
	cpu_set_t set;

	if (o->ncpu) {
		CPU_ZERO(&set);
		CPU_SET((size_t)o->cpu[w->index % o->ncpu], &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			die("cannot run on CPU %d: %s", o->cpu[w->index % o->ncpu],
			    strerror(errno));
	}
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->buf = lean_pages(LEAN_BUF);
	for (unsigned i = 0; i < w->nsess; i++) {
		struct sess *s = &w->sess[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

		s->w = w;
		sess_ready(s);
		sess_patience(s, IDLE_MS);
		epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->fd, &ev);
	}
}

static void *
work(void *arg)
{
	static _Thread_local struct count measured;
	struct worker *w = arg;

	prepare(w);
	if (w->o->verify)
		fill(w);
	start_all(w);
	if (w->index == 0) {
		measure_at = w->now + (uint64_t)(w->o->warmup * 1e9);
		window_ns = (uint64_t)(w->o->seconds * 1e9);
	}
	for (unsigned i = 0; w->seen != LOAD_END; i++) {
		turn(w, i);
		follow_time(w, &measured);
	}
	for (unsigned i = 0; !all_idle(w); i++)
		turn(w, i);
	measured.errors = w->count.errors;
	w->count = measured;
	for (unsigned i = 0; i < w->nsess; i++)
		sess_logout(&w->sess[i]);
	return NULL;
}

static void
login_all(const struct opts *o, struct sess *sess)
{
	struct rlimit files = {o->sessions + 64, o->sessions + 64};
	struct cpu before;

	cpu_sample(&before, o->pid);
	setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned i = 0; i < o->sessions; i++) {
		sess[i].o = o;
		sess[i].index = i;
		sess_login(&sess[i]);
	}
	rss_before = before.rss;
	login_secs = (double)(now_ns() - before.wall) / 1e9;
}

static void
run(const struct opts *o, struct count *sum)
{
	struct sess *sess = calloc(o->sessions, sizeof(*sess));
	struct worker *w = calloc(o->threads, sizeof(*w));
	pthread_t id[LEAN_THREADS_MAX];
	unsigned at = 0;

	if (!sess || !w)
		die("no memory for %u sessions", o->sessions);
	login_all(o, sess);
	pthread_barrier_init(&filled, NULL, o->threads);
	for (unsigned i = 0; i < o->threads; i++) {
		w[i].o = o;
		w[i].index = i;
		w[i].sess = sess + at;
		w[i].nsess = (o->sessions - at) / (o->threads - i);
		at += w[i].nsess;
		if (i > 0 && pthread_create(&id[i], NULL, work, &w[i]))
			die("cannot start a thread");
	}
	work(&w[0]);
	for (unsigned i = 0; i < o->threads; i++) {
		if (i > 0)
			pthread_join(id[i], NULL);
		sum->reads += w[i].count.reads;
		sum->writes += w[i].count.writes;
		sum->errors += w[i].count.errors;
		lat_merge(&sum->lat, &w[i].count.lat);
		munmap(w[i].buf, LEAN_BUF);
		close(w[i].epoll);
	}
	for (unsigned i = 0; i < o->sessions; i++)
		sess_free(&sess[i]);
	free(sess);
	free(w);
}

/* The report */

static void
report_json(const struct opts *o, const struct count *c, double secs)
{
	const struct lat *l = &c->lat;

	printf("{\"iops\": %.1f, \"mb_s\": %.2f, \"ios\": %llu, \"reads\": %llu, \"writes\": %llu, "
	       "\"errors\": %llu, \"seconds\": %.4f, ",
	       (double)l->n / secs, (double)l->n * o->bs / secs / 1e6, (unsigned long long)l->n,
	       (unsigned long long)c->reads, (unsigned long long)c->writes,
	       (unsigned long long)c->errors, secs);
	printf("\"lat_us\": {\"mean\": %.3f, \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, "
	       "\"p99.9\": %.3f, \"max\": %.3f}, ",
	       l->n ? (double)l->sum / (double)l->n / 1000 : 0, lat_quantile_us(l, 0.5),
	       lat_quantile_us(l, 0.95), lat_quantile_us(l, 0.99), lat_quantile_us(l, 0.999),
	       (double)l->max / 1000);
	printf("\"cpu_s\": {\"target\": ");
	if (window.have_target)
		printf("%.6f", (double)window.target / 1e9);
	else
		printf("null");
	printf(", \"self\": %.6f, \"busy\": %.3f, \"softirq\": %.3f, \"steal\": %.3f}, ",
	       (double)window.self / 1e9, (double)window.busy / 1e9, (double)window.softirq / 1e9,
	       (double)window.steal / 1e9);
	printf("\"sessions\": %u, \"login_s\": %.6f, \"rss_before\": %llu, \"rss\": %llu}\n",
	       o->sessions, login_secs, (unsigned long long)rss_before,
	       (unsigned long long)window.rss);
}

static void
report_text(const struct opts *o, const struct count *c, double secs)
{
	const struct lat *l = &c->lat;

	printf("%.0f IOPS, %.1f MB/s, %llu errors\n", (double)l->n / secs,
	       (double)l->n * o->bs / secs / 1e6, (unsigned long long)c->errors);
	printf("latency µs: mean %.1f, p50 %.1f, p95 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
	       l->n ? (double)l->sum / (double)l->n / 1000 : 0, lat_quantile_us(l, 0.5),
	       lat_quantile_us(l, 0.95), lat_quantile_us(l, 0.99), lat_quantile_us(l, 0.999),
	       (double)l->max / 1000);
	if (window.have_target && l->n)
		printf("target CPU: %.3f µs per I/O, %.1f %% of a core\n",
		       (double)window.target / 1000 / (double)l->n,
		       100 * (double)window.target / (double)window.wall);
}

/* Options */

static const char usage[] =
    "usage: lean --url iscsi://HOST[:PORT]/IQN/LUN [options]\n"
    "  --sessions N --depth N   (1, 1) commands under way: N × N\n"
    "  --bs BYTES               (4096)\n"
    "  --rw read|write|mixed    (read); --mix PERCENT: share of reads\n"
    "  --seq                    in order; else anywhere in --span BYTES (the LUN)\n"
    "  --seconds S --warmup S   (3, 0.5)\n"
    "  --spin | --sleep         (spin) between answers\n"
    "  --threads N --cpu N[,N]  (1) sessions are shared out; one CPU for each thread\n"
    "  --digest none|header|data|both\n"
    "  --verify                 writes a pattern over the span first, then checks every read\n"
    "  --copy                   large read data is copied out too, not dropped in the kernel\n"
    "  --mrdsl N --first-burst N  what is offered at login\n"
    "  --idle                   logs in, and sends nothing\n"
    "  --pid N                  the target's process: its CPU time is measured\n"
    "  --json\n";

static uint64_t
number(const char *name, const char *text)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == text || end[shift != 0] != '\0')
		die("--%s %s is no number", name, text);
	return (uint64_t)v << shift;
}

static void
parse_url(struct opts *o, const char *url)
{
	char host[256];
	int n = 0;

	if (sscanf(url, "iscsi://%255[^/]/%223[^/]/%u%n", host, o->iqn, &o->lun, &n) != 3 ||
	    url[n] != '\0' || o->lun > 255)
		die("%s is not of the form iscsi://HOST[:PORT]/IQN/LUN", url);
	snprintf(o->port, sizeof(o->port), "3260");
	if (sscanf(host, "[%255[^]]]:%15[0-9]", o->host, o->port) < 1 &&
	    sscanf(host, "%255[^:]:%15[0-9]", o->host, o->port) < 1)
		die("%s names no host", url);
}

static void
parse_cpus(struct opts *o, const char *text)
{
	char *end;

	for (;;) {
		long v = strtol(text, &end, 10);

		if (end == text || v < 0 || v >= CPU_SETSIZE || o->ncpu == LEAN_THREADS_MAX)
			die("--cpu is a list of CPU numbers");
		o->cpu[o->ncpu++] = (int)v;
		if (*end != ',')
			break;
		text = end + 1;
	}
}

static void
parse_digest(struct opts *o, const char *v)
{
	o->hdig = strcmp(v, "both") == 0 || strcmp(v, "header") == 0;
	o->ddig = strcmp(v, "both") == 0 || strcmp(v, "data") == 0;
	if (!o->hdig && !o->ddig && strcmp(v, "none") != 0)
		die("--digest is none, header, data or both");
}

static const struct option longs[] = {
    {"url", 1, NULL, 'u'},         {"sessions", 1, NULL, 's'}, {"depth", 1, NULL, 'd'},
    {"bs", 1, NULL, 'b'},          {"mix", 1, NULL, 'm'},      {"rw", 1, NULL, 'r'},
    {"seq", 0, NULL, 'q'},         {"random", 0, NULL, 'Q'},   {"seconds", 1, NULL, 't'},
    {"warmup", 1, NULL, 'w'},      {"spin", 0, NULL, 'S'},     {"sleep", 0, NULL, 'Z'},
    {"cpu", 1, NULL, 'c'},         {"threads", 1, NULL, 'T'},  {"digest", 1, NULL, 'D'},
    {"json", 0, NULL, 'j'},        {"verify", 0, NULL, 'v'},   {"copy", 0, NULL, 'C'},
    {"mrdsl", 1, NULL, 'M'},       {"pid", 1, NULL, 'p'},      {"span", 1, NULL, 'n'},
    {"first-burst", 1, NULL, 'F'}, {"idle", 0, NULL, 'I'},     {NULL, 0, NULL, 0},
};

static void
set_load(struct opts *o, int c, const char *v)
{
	switch (c) {
	case 's':
		o->sessions = (unsigned)number("sessions", v);
		break;
	case 'd':
		o->depth = (unsigned)number("depth", v);
		break;
	case 'b':
		o->bs = (uint32_t)number("bs", v);
		break;
	case 'm':
		o->read_pct = (unsigned)number("mix", v);
		break;
	case 'r':
		o->read_pct = strcmp(v, "read") == 0 ? 100 : strcmp(v, "write") == 0 ? 0 : 50;
		break;
	case 'q':
	case 'Q':
		o->seq = c == 'q';
		break;
	case 't':
		o->seconds = strtod(v, NULL);
		break;
	case 'w':
		o->warmup = strtod(v, NULL);
		break;
	case 'S':
	case 'Z':
		o->sleep = c == 'Z';
		break;
	case 'n':
		o->span = number("span", v);
		break;
	}
}

static void
set_option(struct opts *o, int c, const char *v)
{
	switch (c) {
	case 'u':
		parse_url(o, v);
		break;
	case 'c':
		parse_cpus(o, v);
		break;
	case 'T':
		o->threads = (unsigned)number("threads", v);
		break;
	case 'D':
		parse_digest(o, v);
		break;
	case 'j':
		o->json = true;
		break;
	case 'v':
		o->verify = true;
		break;
	case 'C':
		o->copy = true;
		break;
	case 'I':
		o->idle = true;
		break;
	case 'M':
		o->mrdsl = (uint32_t)number("mrdsl", v);
		break;
	case 'F':
		o->first_burst = (uint32_t)number("first-burst", v);
		break;
	case 'p':
		o->pid = (pid_t)number("pid", v);
		break;
	default:
		set_load(o, c, v);
	}
}

static void
check_options(const struct opts *o)
{
	if (!o->host[0])
		die("--url is needed; --help shows the rest");
	if (o->sessions == 0 || o->sessions > 65535 || o->depth == 0 || o->depth > 4096)
		die("1 to 65535 sessions, and a depth of 1 to 4096");
	if (o->threads == 0 || o->threads > LEAN_THREADS_MAX || o->threads > o->sessions)
		die("1 to %d threads, and at least one session for each", LEAN_THREADS_MAX);
	if (o->bs == 0 || o->bs % 512 || o->bs > 16u << 20)
		die("--bs is a multiple of 512, 16M at most");
	if (o->mrdsl < 512 || o->mrdsl > 0xffffff || o->first_burst < 512 ||
	    o->first_burst > 1u << 20)
		die("--mrdsl is 512 to 16M-1, --first-burst 512 to 1M");
	if (o->read_pct > 100 || o->seconds <= 0 || o->warmup < 0)
		die("--mix is 0 to 100, and --seconds is positive");
}

int
main(int argc, char **argv)
{
	static struct count sum;
	struct opts o = {.sessions = 1,
			 .depth = 1,
			 .threads = 1,
			 .read_pct = 100,
			 .bs = 4096,
			 .seconds = 3,
			 .warmup = 0.5,
			 .mrdsl = 1u << 20,
			 .first_burst = 1u << 18};
	double secs;
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h' || c == '?') {
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
		set_option(&o, c, optarg);
	}
	check_options(&o);
	run(&o, &sum);
	secs = (double)window.wall / 1e9;
	o.json ? report_json(&o, &sum, secs) : report_text(&o, &sum, secs);
	return sum.errors ? 1 : 0;
}
