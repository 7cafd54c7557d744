/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the control thread looks after about once a second: backing stores, LUNs and
 * portals that wait for theirs, old snapshots that a slow session still holds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "gateway/model/model_priv.h"

#define SIZES_PER_TICK 2048 /* of 65,536 LUNs at most: each is looked at twice a minute or more */
#define RETRY_TICKS    3
#define RETRIES_MAX    256 /* per round: an open may take its time */

/* True if the text has changed. */
static bool
note(char *trouble, size_t size, const char *why)
{
	char now[512];

	snprintf(now, GW_MIN(sizeof(now), size), "%s", why ? why : "");
	if (strcmp(trouble, now) == 0)
		return false;
	gw_conf_now.ndegraded += now[0] && !trouble[0];
	gw_conf_now.ndegraded -= !now[0] && trouble[0];
	memcpy(trouble, now, strlen(now) + 1);
	return true;
}

void
lun_trouble(struct m_lun *l, const char *why)
{
	bool was = l->conf.scsi.gone;

	if (!note(l->trouble, sizeof(l->trouble), why))
		return;
	l->conf.scsi.gone = l->trouble[0] != '\0';
	if (l->trouble[0])
		gw_err("a LUN has no backing store: tid=%u lun=%" PRIu64 " why=\"%s\"", l->conf.tid,
		       l->conf.lun, l->trouble);
	else
		gw_info("a LUN has its backing store again: tid=%u lun=%" PRIu64, l->conf.tid,
			l->conf.lun);
	if (was != l->conf.scsi.gone && scsi_lu_update(l->lu, &l->conf.scsi) != 0)
		gw_err("a LUN's new state is not in force: tid=%u lun=%" PRIu64, l->conf.tid,
		       l->conf.lun);
}

void
portal_trouble(struct m_portal *p, const char *why)
{
	char key[CONF_KEY_MAX];

	if (!note(p->trouble, sizeof(p->trouble), why))
		return;
	m_portal_key(&p->p, key, sizeof(key));
	if (p->trouble[0])
		gw_err("%s does not listen: why=\"%s\"", key, p->trouble);
	else
		gw_info("%s listens", key);
}

static void
retry_portal(struct m_portal *p)
{
	char why[256] = "";

	if (p->p.xport->listen(&p->p, why, sizeof(why)) == 0) {
		p->p.xport->accept(&p->p);
		p->listening = true;
		portal_trouble(p, NULL);
	} else {
		portal_trouble(p, why[0] ? why : "cannot listen");
	}
}

static void
retry_lun(struct m_lun *l)
{
	struct be_dev *dev = NULL;
	char why[512] = "";

	if (lun_store_open(l, false, &dev, why, sizeof(why)) != 0) {
		lun_trouble(l, why);
	} else if (scsi_lu_set_dev(l->lu, dev) != 0) {
		be_dev_close(dev);
		lun_trouble(l, "the logical unit does not take the backing store");
	} else {
		lun_trouble(l, NULL);
	}
}

static void
retry_all(void)
{
	const struct conf_state *st = &gw_conf_now.state;
	uint32_t budget = RETRIES_MAX;

	for (uint32_t i = 0; i < st->portal.n && gw_conf_now.ndegraded; i++) {
		struct m_portal *p = st->portal.at[i];

		if (p->trouble[0])
			retry_portal(p);
	}
	for (uint32_t i = 0; i < st->lun.n && gw_conf_now.ndegraded && budget; i++) {
		struct m_lun *l = st->lun.at[i];

		if (l->trouble[0]) {
			retry_lun(l);
			budget--;
		}
	}
}

static void
watch_size(struct m_lun *l)
{
	struct be_dev *dev = scsi_lu_dev(l->lu);
	uint64_t bytes, was;

	if (!dev)
		return;
	was = be_dev_size(dev);
	bytes = be_dev_poll_size(dev);
	if (bytes == 0) {
		if (scsi_lu_set_dev(l->lu, NULL) == 0)
			lun_trouble(l, "the backing store is gone");
		return;
	}
	if (bytes == was)
		return;
	gw_info("a backing store has another size: tid=%u lun=%" PRIu64 " from=%" PRIu64
		" to=%" PRIu64,
		l->conf.tid, l->conf.lun, was, bytes);
	scsi_lu_resize(l->lu, bytes);
}

static void
watch_store(struct m_lun *l)
{
	watch_size(l);
	scsi_lu_look_at_space(l->lu);
}

static void
watch_stores(void)
{
	const struct gw_index *ix = &gw_conf_now.state.lun;
	uint32_t n = GW_MIN(ix->n, (uint32_t)SIZES_PER_TICK);

	for (uint32_t i = 0; i < n; i++) {
		if (gw_conf_now.size_at >= ix->n)
			gw_conf_now.size_at = 0;
		watch_store(ix->at[gw_conf_now.size_at++]);
	}
}

void
gw_conf_tick(void)
{
	const struct gw_index *luns = &gw_conf_now.state.lun;

	watch_stores();
	for (uint32_t i = 0; i < luns->n; i++) {
		const struct m_lun *l = luns->at[i];

		scsi_lu_tick(l->lu);
	}
	grave_sweep();
	if (gw_conf_now.ndegraded && ++gw_conf_now.tick % RETRY_TICKS == 0)
		retry_all();
}
