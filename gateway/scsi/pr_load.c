/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Persistent reservations that outlived the process (SPC-4 5.12.5). They are in the LU's first
 * view, so that no command comes before them. Where they cannot be read the LU is not ready, and is
 * looked at again until somebody has mended or removed the file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/base/log.h"
#include "gateway/scsi/pr_priv.h"

static int
order(const void *a, const void *b)
{
	return pr_cmp(a, b);
}

/* As a view has them; an I_T nexus is there once. */
static bool
sort(struct scsi_pr_saved *s)
{
	qsort(s->reg, s->nreg, sizeof(s->reg[0]), order);
	for (uint32_t i = 1; i < s->nreg; i++)
		if (order(&s->reg[i - 1], &s->reg[i]) == 0)
			return false;
	return true;
}

static void
lost(struct scsi_lu *lu, const char *why)
{
	if (lu->unfenced)
		return;
	gw_err("a LUN serves nobody: tid=%u lun=%" PRIu64 " why=\"%s\"", lu->conf.tid, lu->conf.lun,
	       why);
	lu->unfenced = true;
	lu->why_unfenced = strdup(why);
}

/* False: they are there, and unreadable. */
static bool
load(struct scsi_lu *lu, struct scsi_pr_saved **s)
{
	char why[300];

	if (pr_store_load(lu->conf.naa, s, why, sizeof(why)) != 0) {
		lost(lu, why);
		return false;
	}
	if (*s && ((*s)->nreg == 0 || !sort(*s))) {
		free(*s);
		*s = NULL;
		lost(lu, "the persistent reservations that were stored contradict themselves");
		return false;
	}
	return true;
}

void
scsi_pr_load(struct scsi_lu *lu, struct scsi_view *v)
{
	struct scsi_pr_saved *s;

	if (lu->conf.kind != SCSI_KIND_DISK || !pr_can_save(v))
		return;
	if (load(lu, &s))
		v->pr = s;
	else
		v->unfenced = true;
}

/* Once more. */

struct found {
	struct scsi_change ch;
	struct scsi_pr_saved *saved;
	uint64_t size;
};

static bool
edit_found(struct scsi_change *ch, struct scsi_view *next)
{
	struct found *f = gw_container(ch, struct found, ch);

	next->unfenced = false;
	next->pr = f->saved;
	scsi_view_derive(next, f->size);
	if (next->medium == MEDIUM_READY)
		ch->ua = 1u << UA_MEDIUM;
	return true;
}

void
scsi_pr_tick(struct scsi_lu *lu)
{
	struct found f = {.ch = {.lu = lu, .edit = edit_found}, .size = lu->size};

	if (!lu->unfenced || !load(lu, &f.saved))
		return;
	scsi_change_sync(&f.ch);
	lu->unfenced = false;
	free(lu->why_unfenced);
	lu->why_unfenced = NULL;
	gw_info("a LUN's persistent reservations are known again: tid=%u lun=%" PRIu64,
		lu->conf.tid, lu->conf.lun);
}

/* Another NAA. */

struct rename {
	struct scsi_change ch;
	struct pr_save save;
	struct scsi_pr_saved none;
};

static bool
edit_name(struct scsi_change *ch, struct scsi_view *next)
{
	const struct scsi_pr_saved *was = next->pr;
	size_t size = was ? sizeof(*was) + was->nreg * sizeof(was->reg[0]) : 0;
	struct scsi_pr_saved *now;

	if (!was)
		return true;
	now = malloc(size);
	if (!now) {
		gw_err("a LUN's persistent reservations are not kept under its new NAA: out of "
		       "memory: tid=%u lun=%" PRIu64,
		       next->conf.tid, next->conf.lun);
		return false;
	}
	memcpy(now, was, size);
	memcpy(now->naa, next->conf.naa, sizeof(now->naa));
	next->pr = now;
	return true;
}

/* If it could not be, the log says so; what is in force stays. */
static void
name_saved(struct pr_save *s)
{
	scsi_change_saved(&gw_container(s, struct rename, save)->ch, true);
}

/* Also where there is nothing to save: what was found by that name is another LU's. */
static void
save_name(struct scsi_change *ch)
{
	struct rename *r = gw_container(ch, struct rename, ch);

	memcpy(r->none.naa, ch->next->conf.naa, sizeof(r->none.naa));
	r->save.core = ch->lu->home;
	r->save.what = ch->next->pr ? ch->next->pr : &r->none;
	r->save.done = name_saved;
	pr_store_save(&r->save);
}

void
scsi_pr_rename(struct scsi_lu *lu)
{
	struct rename r = {.ch = {.lu = lu, .edit = edit_name, .save = save_name}};

	if (lu->conf.kind == SCSI_KIND_DISK && !lu->unfenced)
		scsi_change_sync(&r.ch);
}
