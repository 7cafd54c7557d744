/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thin provisioning thresholds (SBC-4 4.7.3.7). The control thread looks now and then how full the
 * store of a thin LU is. LOG SENSE tells what it saw last; when less is left of the pool than the
 * administrator wants, all nexuses learn it, once until there is enough again.
 */
#include <inttypes.h>

#include "gateway/base/log.h"
#include "gateway/scsi/scsi_priv.h"

#define SET_SHIFT 20 /* a threshold set has 2^20 bytes, or more where the LU is huge */

uint8_t
scsi_lbp_exponent(const struct scsi_view *v)
{
	uint8_t n = SET_SHIFT - v->shift;

	/* SBC-4 6.6.7: the LU has less than 2^32 threshold sets. */
	while (v->nblk >> n > UINT32_MAX)
		n++;
	return n;
}

uint32_t
scsi_lbp_sets(const struct scsi_view *v, uint64_t bytes)
{
	uint64_t sets = bytes >> v->shift >> scsi_lbp_exponent(v);

	return (uint32_t)GW_MIN(sets, (uint64_t)UINT32_MAX);
}

/* Bytes that are left of the pool when it is that full, whole threshold sets. */
static uint64_t
left_at(uint64_t pool, unsigned percent)
{
	uint64_t rest = 100 - percent, bytes = pool / 100 * rest + pool % 100 * rest / 100;
	uint64_t sets = bytes >> SET_SHIFT;

	return GW_MAX(sets, (uint64_t)1) << SET_SHIFT;
}

uint32_t
scsi_lbp_threshold(const struct scsi_view *v)
{
	if (!v->counts_space || !v->pool || !v->conf.thin_threshold)
		return 0;
	return GW_MAX(scsi_lbp_sets(v, left_at(v->pool, v->conf.thin_threshold)), 1u);
}

/* The control thread. */

static bool
ask(struct scsi_lu *lu, struct be_space *s)
{
	struct be_dev *dev = lu->dev;

	if (!dev || !dev->counts_space || dev->ops->space(dev, s) != 0)
		return false;
	atomic_store_explicit(&lu->space_used, s->used, memory_order_relaxed);
	atomic_store_explicit(&lu->space_avail, s->avail, memory_order_relaxed);
	return true;
}

void
scsi_space_begin(struct scsi_lu *lu)
{
	struct be_space s;

	lu->pool = ask(lu, &s) ? s.total : 0;
	lu->cannot_count = false;
}

static bool
edit_pool(struct scsi_change *ch, struct scsi_view *next)
{
	uint32_t was = scsi_lbp_threshold(next);

	next->pool = ch->lu->pool;
	/* SBC-4 6.5.9: nobody has selected it. */
	if (scsi_lbp_threshold(next) != was)
		ch->ua = 1u << UA_MODE;
	return true;
}

/* What is lost or won by rounding, or by metadata, is not another pool. */
static void
follow_pool(struct scsi_lu *lu, uint64_t total)
{
	uint64_t by = total > lu->pool ? total - lu->pool : lu->pool - total;
	struct scsi_change ch = {.lu = lu, .edit = edit_pool};

	if (by <= lu->pool / 256)
		return;
	lu->pool = total;
	scsi_change_sync(&ch);
}

static bool
edit_crossed(struct scsi_change *ch, struct scsi_view *next)
{
	if (next->counts_space && next->lbpere)
		ch->ua = 1u << UA_THRESHOLD;
	return ch->ua != 0;
}

static void
say(const struct scsi_lu *lu, const struct be_space *s)
{
	gw_log(lu->low ? GW_LOG_WARN : GW_LOG_INFO,
	       "the pool of a thin LUN is %s its threshold: tid=%u lun=%" PRIu64
	       " thin_threshold=%u%% pool=%" PRIu64 " available=%" PRIu64 " used_by_lun=%" PRIu64,
	       lu->low ? "fuller than" : "below", lu->conf.tid, lu->conf.lun,
	       lu->conf.thin_threshold, s->total, s->avail, s->used);
}

/* Twice around the threshold, at a small distance, is one crossing. */
static void
follow_threshold(struct scsi_lu *lu, const struct be_space *s)
{
	uint64_t left = left_at(lu->pool, lu->conf.thin_threshold);
	uint64_t above = lu->pool > left ? lu->pool - left : 0;
	uint64_t margin = GW_MIN(lu->pool / 100, above / 2);
	struct scsi_change ch = {.lu = lu, .edit = edit_crossed};

	if (!lu->conf.thin_threshold) {
		lu->low = false;
	} else if (!lu->low && s->avail <= left) {
		lu->low = true;
		say(lu, s);
		scsi_change_sync(&ch);
	} else if (lu->low && s->avail > left + margin) {
		lu->low = false;
		say(lu, s);
	}
}

static void
say_in_vain(struct scsi_lu *lu)
{
	lu->cannot_count = true;
	gw_warn("thin_threshold has no effect, the backing store does not tell how full it is: "
		"tid=%u lun=%" PRIu64,
		lu->conf.tid, lu->conf.lun);
}

void
scsi_lu_look_at_space(struct scsi_lu *lu)
{
	struct be_space s;

	if (!lu->conf.thin || !lu->dev)
		return;
	if (ask(lu, &s)) {
		follow_pool(lu, s.total);
		follow_threshold(lu, &s);
	} else if (!lu->dev->counts_space && lu->conf.thin_threshold && !lu->cannot_count) {
		say_in_vain(lu);
	}
}
