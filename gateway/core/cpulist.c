/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/core/core_priv.h"

/* Decimal digits at *s, which moves behind them. */
static bool
number(const char **s, unsigned *out)
{
	unsigned v = 0;
	const char *p;

	for (p = *s; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned)(*p - '0');
		if (v >= CPU_SETSIZE)
			return false;
	}
	if (p == *s)
		return false;
	*s = p;
	*out = v;
	return true;
}

/* "3", "2-5" or "0-8:2" at *s, which moves behind it. */
static bool
range(const char **s, unsigned *first, unsigned *last, unsigned *step)
{
	*step = 1;
	if (!number(s, first))
		return false;
	*last = *first;
	if (**s != '-')
		return true;
	(*s)++;
	if (!number(s, last) || *last < *first)
		return false;
	if (**s != ':')
		return true;
	(*s)++;
	return number(s, step) && *step > 0;
}

static int
all_allowed(const cpu_set_t *allowed, int *cpu, unsigned max)
{
	unsigned n = 0;

	for (int i = 0; i < CPU_SETSIZE && n < max; i++) {
		if (CPU_ISSET(i, allowed))
			cpu[n++] = i;
	}
	return (int)n;
}

int
gw_cpulist_parse(const char *list, int *cpu, unsigned max, char *err, unsigned err_size)
{
	unsigned first, last, step, n = 0;
	const char *s = list;
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0) {
		snprintf(err, err_size, "cannot find out which CPUs may be used");
		return -errno;
	}
	if (!list)
		return all_allowed(&allowed, cpu, max);
	do {
		if (!range(&s, &first, &last, &step) || (*s && *s != ',')) {
			snprintf(err, err_size,
				 "'%s' is not a list of CPUs such as 0,2-3 (at '%s')", list, s);
			return -EINVAL;
		}
		for (unsigned i = first; i <= last; i += step) {
			if (!CPU_ISSET(i, &allowed)) {
				snprintf(err, err_size, "CPU %u does not exist or may not be used",
					 i);
				return -EINVAL;
			}
			if (n == max) {
				snprintf(err, err_size, "more than %u cores are not supported",
					 max);
				return -EINVAL;
			}
			cpu[n++] = (int)i;
		}
	} while (*s++ == ',');
	return (int)n;
}
