/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1000
#define WINDOW_SECONDS 10

static const struct {
	int priority; /* syslog(3), for the journal */
	const char *name;
} levels[] = {
    [GW_LOG_ERR] = {3, "error"},
    [GW_LOG_WARN] = {4, "warning"},
    [GW_LOG_INFO] = {6, "info"},
    [GW_LOG_DEBUG] = {7, "debug"},
};

static const char *program = "lichgate";
static bool journal;
static _Atomic int level_max = GW_LOG_INFO;

/* sd-daemon(3): the journal says by $JOURNAL_STREAM which stream is its own. */
static bool
stderr_is_journal(void)
{
	const char *s = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return s && sscanf(s, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

void
gw_log_init(const char *name)
{
	program = name;
	journal = stderr_is_journal();
}

void
gw_log_level_set(enum gw_log_level level)
{
	atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

bool
gw_log_debugging(void)
{
	return atomic_load_explicit(&level_max, memory_order_relaxed) >= GW_LOG_DEBUG;
}

static size_t
put_head(char *buf, size_t size, enum gw_log_level level)
{
	struct timespec ts;
	struct tm tm;
	int n;

	if (journal) {
		n = snprintf(buf, size, "<%d>", levels[level].priority);
		return (size_t)n;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = snprintf(buf, size, "%04d-%02d-%02d %02d:%02d:%02d.%03d %.32s: %s: ", tm.tm_year + 1900,
		     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		     (int)(ts.tv_nsec / 1000000), program, levels[level].name);
	return (size_t)n;
}

void
gw_log(enum gw_log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES + 1];
	int saved = errno;
	size_t head, len;
	ssize_t done;
	va_list ap;
	int n;

	if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
		return;
	head = put_head(line, LINE_MAX_BYTES, level);
	va_start(ap, fmt);
	n = vsnprintf(line + head, LINE_MAX_BYTES - head, fmt, ap);
	va_end(ap);
	len = head + (n > 0 ? (size_t)n : 0);
	if (len > LINE_MAX_BYTES - 1)
		len = LINE_MAX_BYTES - 1;
	for (size_t i = head; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || (unsigned char)line[i] >= 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	do
		done = write(STDERR_FILENO, line, len);
	while (done < 0 && errno == EINTR);
	errno = saved;
}

bool
gw_ratelimit_pass(struct gw_ratelimit *rl, unsigned burst)
{
	struct timespec ts;
	unsigned dropped;
	long window, was;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	window = ts.tv_sec / WINDOW_SECONDS + 1; /* 0 is a fresh static */
	was = atomic_load(&rl->window);
	if (was != window && atomic_compare_exchange_strong(&rl->window, &was, window)) {
		atomic_store(&rl->said, 0);
		dropped = atomic_exchange(&rl->dropped, 0);
		if (dropped)
			gw_warn("%u lines like the next were left out", dropped);
	}
	if (atomic_fetch_add(&rl->said, 1) < burst)
		return true;
	atomic_fetch_sub(&rl->said, 1);
	atomic_fetch_add(&rl->dropped, 1);
	return false;
}
