/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an LU's state changes: the home core edits a copy of the view, a tour shows it to each core,
 * and only then the change is done. Two views are enough, because changes run one at a time and
 * after the tour nobody knows the old one. Commands that change state run on the home core.
 */
#include <stdlib.h>

#include "gateway/scsi/scsi_priv.h"

void
scsi_view_defaults(struct scsi_view *v)
{
	if (!v->swap)
		v->wce = v->dev && v->dev->volatile_cache && v->conf.write_cache;
	v->d_sense = v->conf.descriptor_sense;
	v->swp = v->conf.swp;
	v->lbpere = v->conf.thin_threshold > 0;
}

static uint8_t
medium_of(const struct scsi_view *v)
{
	if (v->conf.kind == SCSI_KIND_CONTROLLER)
		return MEDIUM_READY;
	if (!v->conf.online || v->unfenced)
		return MEDIUM_OFFLINE;
	if (!v->dev)
		return v->conf.gone ? MEDIUM_GONE : MEDIUM_NONE;
	if (v->sanitize == SANITIZE_RUNS)
		return v->format ? MEDIUM_FORMATTING : MEDIUM_SANITIZING;
	if (v->sanitize == SANITIZE_FAILED)
		return v->format ? MEDIUM_UNFORMATTED : MEDIUM_UNSANITIZED;
	if (v->ejected)
		return MEDIUM_EJECTED;
	return v->nblk ? MEDIUM_READY : MEDIUM_NONE;
}

static uint8_t
physical_exponent(const struct scsi_view *v)
{
	uint8_t n = 0;

	if (v->conf.lbppbe != 0xff)
		return v->conf.lbppbe & 0x0f;
	while (v->dev && n < 15 && (uint64_t)v->conf.block_size << (n + 1) <= v->dev->phys_block)
		n++;
	return n;
}

void
scsi_view_derive(struct scsi_view *v, uint64_t bytes)
{
	if (v->swap) {
		v->medium = MEDIUM_SWAP;
		scsi_tokens_revoke(v);
		return;
	}
	v->shift = v->conf.block_size ? (uint8_t)__builtin_ctz(v->conf.block_size) : 9;
	v->nblk = v->dev ? bytes >> v->shift : 0;
	v->lbppbe = physical_exponent(v);
	v->lbpme = v->conf.thin && v->dev && v->dev->unmap_align > 0;
	v->lbprz = v->lbpme && v->dev->unmap_zeroes;
	v->unmap_blocks = v->lbpme ? GW_MAX(v->dev->unmap_align >> v->shift, 1u) : 0;
	v->counts_space = v->lbpme && v->dev->counts_space;
	v->conf.readonly |= v->dev && v->dev->ro;
	if (!v->dev || !v->dev->volatile_cache)
		v->wce = false;
	scsi_atomic_derive(v);
	scsi_sanitize_derive(v);
	v->medium = medium_of(v);
	if (v->medium != MEDIUM_READY)
		scsi_tokens_revoke(v);
}

/* Changes. */

static void pump(struct scsi_lu *lu);

/* The view that is not to be read any more takes its registrations along. */
static void
drop(const struct scsi_lu *lu, const struct scsi_view *dead)
{
	if (dead->pr != lu->view->pr)
		free((void *)(uintptr_t)dead->pr);
}

static void
shown(struct gw_tour *t)
{
	struct scsi_change *ch = gw_container(t, struct scsi_change, tour);
	struct scsi_lu *lu = ch->lu;

	drop(lu, &lu->views[lu->view == &lu->views[0]]);
	lu->changing = NULL;
	ch->done(ch);
	pump(lu);
}

static void
show(struct gw_core *on, struct gw_tour *t)
{
	struct scsi_change *ch = gw_container(t, struct scsi_change, tour);
	const struct scsi_view *was = ch->lu->core[on->id].view;

	ch->lu->core[on->id].view = ch->next;
	if (was->pr != ch->next->pr)
		scsi_pr_shown(on, ch);
	if (ch->next->ntoken && memcmp(was->token, ch->next->token, sizeof(was->token)) != 0)
		scsi_tokens_seen(on, ch->lu, ch->next);
	if (ch->ua)
		scsi_ua_raise_lu(on, ch->lu, ch->ua, ch->but);
	scsi_cd_changed(on, ch->lu, was, ch->next);
	gw_tour_next(t);
}

/* True if cores have to be told. */
static bool
apply(struct scsi_change *ch)
{
	struct scsi_lu *lu = ch->lu;
	struct scsi_view *next = &lu->views[lu->view == &lu->views[0]];

	*next = *lu->view;
	ch->next = next;
	return ch->edit(ch, next);
}

static void
publish(struct scsi_change *ch)
{
	struct scsi_lu *lu = ch->lu;

	lu->view = ch->next;
	atomic_store_explicit(&lu->bytes, ch->next->nblk << ch->next->shift, memory_order_relaxed);
	atomic_store_explicit(&lu->ejected, ch->next->ejected, memory_order_relaxed);
	gw_tour_start(&ch->tour, show, shown);
}

void
scsi_change_saved(struct scsi_change *ch, bool ok)
{
	struct scsi_lu *lu = ch->lu;

	if (ok) {
		publish(ch);
		return;
	}
	drop(lu, ch->next);
	lu->changing = NULL;
	ch->done(ch);
	pump(lu);
}

static void
pump(struct scsi_lu *lu)
{
	struct scsi_change *ch;

	while (!lu->changing && (ch = gw_list_first(&lu->changes, struct scsi_change, node))) {
		gw_list_del(&ch->node);
		if (!apply(ch)) {
			ch->done(ch);
			continue;
		}
		lu->changing = ch;
		if (ch->save)
			ch->save(ch);
		else
			publish(ch);
	}
}

void
scsi_change_start(struct scsi_change *ch)
{
	gw_list_add_tail(&ch->lu->changes, &ch->node);
	pump(ch->lu);
}

/* From the control thread. */

struct sync {
	struct gw_tour tour;
	struct scsi_change *ch;
};

static void
sync_done(struct scsi_change *ch)
{
	struct sync *s = ch->arg;

	gw_tour_next(&s->tour);
}

static void
sync_visit(struct gw_core *on, struct gw_tour *t)
{
	struct sync *s = gw_container(t, struct sync, tour);

	if (on == s->ch->lu->home)
		scsi_change_start(s->ch);
	else
		gw_tour_next(t);
}

void
scsi_change_sync(struct scsi_change *ch)
{
	struct sync s = {.ch = ch};

	ch->arg = &s;
	ch->done = sync_done;
	gw_tour_sync(&s.tour, sync_visit);
}

/* From commands. */

/* The message of a command carries the function in its scratch, which such commands do not use. */
static void
arrive(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_cmd *cmd = gw_container(msg, struct gw_cmd, msg);

	cmd->luc = &cmd->lu->core[on->id];
	((void (*)(struct gw_cmd *))(uintptr_t)cmd->scratch[0])(cmd);
}

static void
come_back(struct gw_core *on, struct gw_msg *msg)
{
	struct gw_cmd *cmd = gw_container(msg, struct gw_cmd, msg);

	cmd->luc = &cmd->lu->core[on->id];
	gw_cmd_complete(cmd);
}

void
scsi_home_begin(struct gw_cmd *cmd, void (*fn)(struct gw_cmd *cmd))
{
	cmd->scratch[0] = (uint64_t)(uintptr_t)fn;
	cmd->msg.fn = arrive;
	gw_send(cmd->lu->home, &cmd->msg);
}

void
scsi_home_end(struct gw_cmd *cmd)
{
	cmd->msg.fn = come_back;
	gw_send(cmd->nexus->core, &cmd->msg);
}

static void
command_changed(struct scsi_change *ch)
{
	struct gw_cmd *cmd = ch->arg;

	free(ch);
	scsi_home_end(cmd);
}

void
scsi_home_change(struct gw_cmd *cmd, bool (*edit)(struct scsi_change *, struct scsi_view *))
{
	struct scsi_change *ch = calloc(1, sizeof(*ch));

	cmd->status = ch ? SAM_GOOD : SAM_BUSY;
	if (!ch) {
		scsi_home_end(cmd);
		return;
	}
	ch->lu = cmd->lu;
	ch->edit = edit;
	ch->done = command_changed;
	ch->arg = cmd;
	scsi_change_start(ch);
}
