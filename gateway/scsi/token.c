/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens and the LU that they stand for. A token is in the LU's view from a change on until another
 * that drops it; its memory goes when no core has the view any more that lists it.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "gateway/scsi/copy_priv.h"
#include "gateway/scsi/token_priv.h"

#define NS     1000000000ull
#define SECRET 64 /* bytes at the end that nobody guesses */

/* SPC-4 5.16.6.4: type, length, creator, what it stands for, and what makes it ours. */
static bool
make_key(struct scsi_token *t, const struct scsi_lu_conf *conf)
{
	uint8_t *d = t->key + 16;

	gw_put_be32(t->key, TOKEN_TYPE_PIT_VULN);
	gw_put_be16(t->key + 6, TOKEN_LEN - 8);
	d[0] = XCOPY_IDENT;
	d[4] = 1;
	d[5] = 3;
	d[7] = sizeof(conf->naa);
	memcpy(d + 8, conf->naa, sizeof(conf->naa));
	gw_put_be32(d + 28, conf->block_size);
	gw_put_be64(t->key + 56, t->bytes);
	gw_put_be32(t->key + 96, conf->block_size);
	if (getrandom(t->key + TOKEN_LEN - SECRET, SECRET, 0) != SECRET)
		return false;
	memcpy(t->key + 8, t->key + TOKEN_LEN - 8, 8);
	return true;
}

struct scsi_token *
scsi_token_new(const struct gw_cmd *cmd, const struct odx_list *list)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	struct scsi_token *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->shift = list->shift;
	t->bytes = list->bytes;
	t->timeout = list->timeout * NS;
	atomic_init(&t->used, cmd->nexus->core->now);
	t->nrange = list->nrange;
	for (unsigned i = 0; i < list->nrange; i++)
		t->range[i] = scsi_odx_range(cmd, list, i);
	if (make_key(t, &v->conf))
		return t;
	free(t);
	return NULL;
}

static void
free_chain(struct scsi_token *t)
{
	while (t) {
		struct scsi_token *next = t->dropped;

		free(t);
		t = next;
	}
}

static bool
is_expired(const struct scsi_token *t, uint64_t now)
{
	uint64_t used = atomic_load_explicit(&t->used, memory_order_relaxed);

	return now > used && now - used > t->timeout;
}

static void
barrier(void)
{
#if !defined(__SANITIZE_THREAD__) /* which knows no fences */
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Not before what was read until now. */
static bool
is_revoked(const struct scsi_token *t)
{
	barrier();
	return atomic_load(&t->revoked);
}

/* Not after what is written from now on. */
static void
revoke(struct scsi_token *t)
{
	atomic_store(&t->revoked, true);
	barrier();
}

uint32_t
scsi_token_sense(const struct scsi_token *t, uint64_t now)
{
	if (atomic_load_explicit(&t->deleted, memory_order_relaxed))
		return SENSE_TOKEN_DELETED;
	if (is_revoked(t))
		return SENSE_TOKEN_REVOKED;
	return is_expired(t, now) ? SENSE_TOKEN_EXPIRED : 0;
}

/* It leaves the view with those that are of no use any more. */
void
scsi_token_delete(struct scsi_token *t)
{
	atomic_store_explicit(&t->deleted, true, memory_order_relaxed);
}

struct scsi_token *
scsi_token_find(const struct scsi_view *v, const struct gw_cmd *cmd, uint64_t at)
{
	for (unsigned i = 0; i < v->ntoken; i++)
		if (scsi_out_compare(cmd, at, v->token[i]->key, TOKEN_LEN) == TOKEN_LEN)
			return v->token[i];
	return NULL;
}

/* The list of a view. */

static void
drop(struct scsi_view *next, unsigned i, struct scsi_token **chain)
{
	struct scsi_token *t = next->token[i];

	/* The first of a chain is never in another: it leaves the view once. */
	t->dropped = *chain;
	*chain = t;
	next->token[i] = next->token[--next->ntoken];
	/* The next one may have its address, and is another for whoever compares. */
	next->token[next->ntoken] = NULL;
}

static void
drop_useless(struct scsi_view *next, uint64_t now, struct scsi_token **chain)
{
	for (unsigned i = next->ntoken; i-- > 0;)
		if (scsi_token_sense(next->token[i], now))
			drop(next, i, chain);
}

static void
drop_oldest(struct scsi_view *next, struct scsi_token **chain)
{
	unsigned oldest = 0;

	for (unsigned i = 1; i < next->ntoken; i++)
		if (atomic_load(&next->token[i]->used) < atomic_load(&next->token[oldest]->used))
			oldest = i;
	drop(next, oldest, chain);
}

static void
tell(struct scsi_lu *lu, const struct scsi_view *next)
{
	atomic_store_explicit(&lu->ntoken, next->ntoken, memory_order_relaxed);
}

static bool
edit_add(struct scsi_change *ch, struct scsi_view *next)
{
	struct scsi_token *t = gw_container(ch, struct scsi_token, ch);

	drop_useless(next, ch->lu->home->now, &t->dropped);
	if (next->ntoken == SCSI_TOKENS)
		drop_oldest(next, &t->dropped);
	if (next->medium != MEDIUM_READY)
		revoke(t);
	next->token[next->ntoken++] = t;
	tell(ch->lu, next);
	return true;
}

void
scsi_token_show(struct scsi_token *t, struct gw_cmd *cmd, void (*done)(struct scsi_change *))
{
	t->ch = (struct scsi_change){.lu = cmd->lu, .edit = edit_add, .done = done, .arg = cmd};
	scsi_change_start(&t->ch);
}

void
scsi_token_shown(struct scsi_token *t)
{
	struct scsi_token *chain = t->dropped;

	t->dropped = NULL;
	free_chain(chain);
}

struct purge {
	struct scsi_change ch;
	struct scsi_token *chain;
};

static bool
edit_purge(struct scsi_change *ch, struct scsi_view *next)
{
	struct purge *p = gw_container(ch, struct purge, ch);

	drop_useless(next, ch->lu->home->now, &p->chain);
	tell(ch->lu, next);
	return p->chain != NULL;
}

void
scsi_tokens_tick(struct scsi_lu *lu)
{
	struct purge p = {.ch = {.lu = lu, .edit = edit_purge}};

	if (!atomic_load_explicit(&lu->ntoken, memory_order_relaxed))
		return;
	scsi_change_sync(&p.ch);
	free_chain(p.chain);
}

void
scsi_tokens_free(struct scsi_lu *lu)
{
	for (unsigned i = 0; i < lu->view->ntoken; i++)
		free(lu->view->token[i]);
}

/* Writes. */

static bool
touches(const struct scsi_token *t, uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < t->nrange; i++)
		if (off < t->range[i].off + t->range[i].len && t->range[i].off < off + len)
			return true;
	return false;
}

/* Before the write begins: who has read what it wrote sees that the token is revoked. */
void
scsi_tokens_touched(const struct scsi_view *v, uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < v->ntoken; i++)
		if (!is_revoked(v->token[i]) && touches(v->token[i], off, len))
			revoke(v->token[i]);
}

void
scsi_tokens_revoke(const struct scsi_view *v)
{
	for (unsigned i = 0; i < v->ntoken; i++)
		revoke(v->token[i]);
}

static void
check_command(const struct scsi_view *v, const struct gw_cmd *cmd)
{
	/* Copies are looked at by what they are writing just now. */
	if (cmd->state != GW_CMD_EXEC || !(cmd->op->flags & OP_WRITES) || cmd->cdb[0] == 0x83)
		return;
	if (cmd->op->lba_sz)
		scsi_tokens_touched(v, cmd->lba << cmd->blk_shift, cmd->nblk << cmd->blk_shift);
	else
		scsi_tokens_revoke(v);
}

/*
 * A core sees the list for the first time: what it was writing just then may reach the medium
 * before or after the token's data is read.
 */
void
scsi_tokens_seen(struct gw_core *on, const struct scsi_lu *lu, const struct scsi_view *v)
{
	gw_list_each (n, &scsi_core_of(on)->nexuses, struct gw_nexus, node)
		gw_list_each (cmd, &n->cmds, struct gw_cmd, on_nexus)
			if (cmd->lu == lu)
				check_command(v, cmd);
	gw_list_each (c, &scsi_core_of(on)->copy->active, struct scsi_copy, active)
		if (c->side[COPY_DST].luc == &lu->core[on->id])
			scsi_tokens_touched(v, c->side[COPY_DST].off, c->len);
}
