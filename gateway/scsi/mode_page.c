/* SPDX-License-Identifier: BSD-3-Clause */
/* The mode pages (SPC-4 7.5, SBC-4 6.5): one row each, in the order in which they are reported. */
#include "gateway/scsi/mode_priv.h"

/* Offsets count from the page's header. */
#define CACHING_WCE     0x04 /* byte 2 */
#define RECOVERY_LBPERE 0x80 /* byte 7 */
#define CONTROL_TST     0x20 /* byte 2: one task set a nexus */
#define CONTROL_DSENSE  0x04 /* byte 2 */
#define CONTROL_SWP     0x08 /* byte 4 */

#define CD_SPEED 8800 /* kB/s, 50 times that of an audio CD */

static void
fill_zero(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
}

static void
fill_recovery(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	bool has = v->counts_space && v->conf.thin_threshold;

	if (has && (pc != MODE_CURRENT || v->lbpere))
		b[7] = RECOVERY_LBPERE;
	if (pc != MODE_CHANGEABLE && v->conf.kind == SCSI_KIND_DISK)
		b[2] = 0x80; /* AWRE: where defects are reassigned, it is done without asking */
}

static void
apply_recovery(struct scsi_view *v, const uint8_t *b)
{
	if (v->counts_space && v->conf.thin_threshold)
		v->lbpere = b[7] & RECOVERY_LBPERE;
}

/* The cache can only be switched where there is one. */
static void
fill_caching(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	bool has = v->dev && v->dev->volatile_cache;
	bool set =
	    pc == MODE_CURRENT ? v->wce : has && (pc == MODE_CHANGEABLE || v->conf.write_cache);

	b[2] = set ? CACHING_WCE : 0;
}

static void
apply_caching(struct scsi_view *v, const uint8_t *b)
{
	v->wce = b[2] & CACHING_WCE;
}

static void
fill_control(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	if (pc == MODE_CHANGEABLE) {
		b[2] = CONTROL_DSENSE;
		b[4] = CONTROL_SWP;
		return;
	}
	b[2] = CONTROL_TST;
	if (pc == MODE_CURRENT ? v->d_sense : v->conf.descriptor_sense)
		b[2] |= CONTROL_DSENSE;
	if (pc == MODE_CURRENT ? v->swp : v->conf.swp)
		b[4] |= CONTROL_SWP;
	b[3] = 0x10;                /* QUEUE ALGORITHM MODIFIER: unrestricted reordering */
	gw_put_be16(b + 8, 0xffff); /* BUSY TIMEOUT PERIOD: unlimited */
}

static void
apply_control(struct scsi_view *v, const uint8_t *b)
{
	v->d_sense = b[2] & CONTROL_DSENSE;
	v->swp = b[4] & CONTROL_SWP;
}

static void
fill_exceptions(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	if (pc != MODE_CHANGEABLE)
		b[2] = 0x08; /* DEXCPT: no informational exceptions are reported */
}

/*
 * Logical block provisioning (SBC-4 6.5.9): one threshold, which is the administrator's, of what is
 * available while it decreases. SITUA is 0: every nexus is told.
 */
static void
fill_provisioning(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	uint32_t count = scsi_lbp_threshold(v);
	uint8_t *d = b + SCSI_LBP_DESCRIPTOR;

	if (pc == MODE_CHANGEABLE)
		return;
	d[0] = count ? 0x80 : 0; /* ENABLED */
	d[1] = 0x01;             /* THRESHOLD RESOURCE: available */
	gw_put_be32(d + 4, count);
}

/* How seconds and frames make a minute (MMC-3 5.5.4): the rest of the page is a timer not had. */
static void
fill_cd_parameters(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	if (pc == MODE_CHANGEABLE)
		return;
	gw_put_be16(b + 4, 60);
	gw_put_be16(b + 6, 75);
}

/* MM capabilities (MMC-3 5.5.10), from which drivers still learn what the drive is. */
static void
fill_capabilities(const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	if (pc == MODE_CHANGEABLE)
		return;
	b[2] = 0x08;                  /* DVD-ROM READ; of the kinds of CD: pressed ones */
	b[6] = 0x20 | 0x08 | 0x01;    /* a tray; EJECT, LOCK */
	gw_put_be16(b + 8, CD_SPEED); /* maximum, current: nothing slows it down */
	gw_put_be16(b + 14, CD_SPEED);
}

#define DISK (1u << SCSI_KIND_DISK)
#define CD   (1u << SCSI_KIND_CD)

const struct mode_page scsi_mode_pages[] = {
    {0x01, 0, 0x0a, DISK | CD, fill_recovery, apply_recovery},
    {0x02, 0, 0x0e, 0, fill_zero, NULL},
    {0x08, 0, 0x12, DISK, fill_caching, apply_caching},
    {0x0a, 0, 0x0a, 0, fill_control, apply_control},
    {0x0d, 0, 0x06, CD, fill_cd_parameters, NULL},
    {0x1a, 0, 0x0a, CD, fill_zero, NULL},
    {0x1c, 0, 0x0a, DISK, fill_exceptions, NULL},
    {0x1c, 0x02, 0x14, DISK, fill_provisioning, NULL, .lbp = true},
    {0x2a, 0, 0x14, CD, fill_capabilities, NULL},
};
const unsigned scsi_nmode_pages = GW_ARRAY_LEN(scsi_mode_pages);

unsigned
scsi_mode_page(const struct mode_page *p, const struct scsi_view *v, enum mode_pc pc, uint8_t *b)
{
	memset(b, 0, MODE_PAGE_MAX);
	b[0] = p->code;
	b[1] = p->len;
	if (p->subpage) {
		b[0] |= MODE_SPF;
		b[1] = p->subpage;
		gw_put_be16(b + 2, p->len);
	}
	p->fill(v, pc, b);
	return p->len + scsi_mode_header(p);
}

bool
scsi_mode_has(const struct mode_page *p, const struct scsi_view *v)
{
	if (p->lbp && !v->counts_space)
		return false;
	return !p->kinds || (p->kinds & 1u << v->conf.kind);
}
