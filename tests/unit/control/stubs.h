/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway behind the control socket, reduced to what the methods call. No cores run. */
#ifndef TESTS_UNIT_CONTROL_STUBS_H
#define TESTS_UNIT_CONTROL_STUBS_H

#include <stdio.h>
#include <string.h>

#include "gateway/api/config.h"
#include "gateway/core/usage.h"

static unsigned stub_applied;
static int stub_refuse; /* tgt_err of the next apply */

int
gw_conf_apply(const struct gw_conf_change *chg, struct gw_conf_err *err)
{
	if (stub_refuse) {
		*err = (struct gw_conf_err){
		    .tgt_err = stub_refuse, .key = "lun:1/1", .text = "no \xff such"};
		return -1;
	}
	stub_applied++;
	return 0;
}

int
gw_conf_check(const struct gw_conf_change *chg, struct gw_conf_err *err)
{
	return 0;
}

uint64_t
gw_conf_generation(void)
{
	return stub_applied;
}

void
gw_conf_each_degraded(void (*fn)(const char *, const char *, void *), void *arg)
{
	fn("lun:1/9", "gone", arg);
}

void
gw_conf_each_lun(void (*fn)(const struct gw_conf_lun *, struct scsi_lu *, void *), void *arg)
{
	struct gw_conf_lun l = {.tid = 1, .lun = 1, .scsi.online = true};

	fn(&l, NULL, arg);
	l.tid = 2;
	fn(&l, NULL, arg);
}

const char *
gw_conf_lun_trouble(uint32_t tid, uint64_t lun)
{
	return tid == 2 ? "no such \xff file" : NULL;
}

bool
gw_acl_parse_addr(struct gw_acl *acl, const char *text)
{
	return strcmp(text, "ALL") == 0;
}

uint64_t
scsi_lu_size(const struct scsi_lu *lu)
{
	return 4096;
}

struct be_dev *
scsi_lu_dev(const struct scsi_lu *lu)
{
	return NULL;
}

bool
scsi_lu_ejected(const struct scsi_lu *lu)
{
	return false;
}

bool
scsi_lu_prevented(const struct scsi_lu *lu)
{
	return false;
}

void
scsi_lu_stats(const struct scsi_lu *lu, struct scsi_lu_stats *out)
{
	memset(out, 0, sizeof(*out));
}

const char *const *
be_names(void)
{
	static const char *const names[] = {"mem", NULL};

	return names;
}

unsigned
gw_ncores(void)
{
	return 0;
}

struct gw_core *
gw_core_at(unsigned id)
{
	return NULL;
}

void
gw_tour_sync(struct gw_tour *t, void (*visit)(struct gw_core *, struct gw_tour *))
{
}

void
gw_tour_next(struct gw_tour *t)
{
}

uint32_t
gw_core_busy(const struct gw_core *core, uint64_t now_ns)
{
	return 0;
}

unsigned
gw_usages(void)
{
	return 0;
}

const char *
gw_usage_name(unsigned i)
{
	return NULL;
}

struct gw_usage
gw_usage_get(struct gw_core *core, unsigned i)
{
	return (struct gw_usage){0};
}

unsigned
gw_device_counters(const struct gw_core *core, unsigned i, const char **device,
		   struct gw_counter *out)
{
	return 0;
}

struct gw_list *
gw_nexus_list(struct gw_core *core)
{
	return NULL;
}

#endif
