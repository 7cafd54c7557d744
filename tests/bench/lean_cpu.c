/* SPDX-License-Identifier: BSD-3-Clause */
/* Who used the CPUs: the target's process to the nanosecond, the machine by its ticks. */
#include "tests/bench/lean.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* First line of /proc/stat: user nice system idle iowait irq softirq steal, in ticks, proc(5). */
static void
machine(struct cpu *c)
{
	unsigned long long v[8] = {0};
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	char line[512];
	ssize_t n;
	int fd;

	fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	line[n] = '\0';
	if (sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
		   &v[4], &v[5], &v[6], &v[7]) != 8)
		return;
	c->busy = (v[0] + v[1] + v[2] + v[5] + v[6]) * tick;
	c->softirq = (v[5] + v[6]) * tick;
	c->steal = v[7] * tick;
}

static uint64_t
resident(pid_t target)
{
	unsigned long long all, rss = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)target);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &all, &rss) != 2)
		rss = 0;
	fclose(f);
	return rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
cpu_sample(struct cpu *c, pid_t target)
{
	clockid_t id;

	memset(c, 0, sizeof(*c));
	machine(c);
	/* The sum over all threads, those that have ended and io_uring's workers included. */
	if (target > 0 && clock_getcpuclockid(target, &id) == 0) {
		c->target = clock_ns(id);
		c->have_target = c->target != 0;
	}
	if (target > 0)
		c->rss = resident(target);
	c->self = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	c->wall = now_ns();
}

/* c, sampled later, becomes the difference. */
void
cpu_since(struct cpu *c, const struct cpu *begin)
{
	c->wall -= begin->wall;
	c->self -= begin->self;
	c->target -= begin->target;
	c->busy -= begin->busy;
	c->softirq -= begin->softirq;
	c->steal -= begin->steal;
}
