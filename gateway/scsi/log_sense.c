/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LOG SENSE (SPC-4 6.8, 7.3): one row per page, in order. Nothing here is a counter that could have
 * a threshold or be saved: all parameters are lists of current values, for which the page control
 * field means nothing (SPC-4 7.3.2.2.2.3).
 */
#include "gateway/scsi/scsi_priv.h"

#define ALL_SUBS 0xff
#define PAGE_MAX 256
#define LIST_BIN 0x03 /* FORMAT AND LINKING of a parameter: a list of binary data */

/* FFh is "unknown" on the wire as well (SPC-4 7.3.8, 7.3.20). */
_Static_assert(BE_CELSIUS_UNKNOWN == 0xff && BE_CELSIUS_MAX < 0xff, "as in the pages");

struct log_page {
	uint8_t code, subpage;
	bool warm;     /* scratch[0] is the temperature, degrees Celsius */
	uint16_t last; /* the largest parameter code */
	/* Writes the parameters with that code or a larger one; their length. */
	unsigned (*fill)(const struct gw_cmd *cmd, uint16_t from, uint8_t *b);
	bool lbp; /* only where an LU knows how full its pool is */
};

static unsigned fill_pages(const struct gw_cmd *cmd, uint16_t from, uint8_t *b);
static unsigned fill_subpages(const struct gw_cmd *cmd, uint16_t from, uint8_t *b);

/* SPC-4 7.3.20: of now, and none for reference. */
static unsigned
fill_temperature(const struct gw_cmd *cmd, uint16_t from, uint8_t *b)
{
	const uint8_t celsius[] = {(uint8_t)cmd->scratch[0], BE_CELSIUS_UNKNOWN};
	unsigned n = 0;

	for (; from < sizeof(celsius); from++, n += 6) {
		gw_put_be16(b + n, from);
		b[n + 2] = LIST_BIN;
		b[n + 3] = 2;
		b[n + 5] = celsius[from];
	}
	return n;
}

/* Informational exceptions, SPC-4 7.3.8: there are none. */
static unsigned
fill_exceptions(const struct gw_cmd *cmd, uint16_t from, uint8_t *b)
{
	b[2] = LIST_BIN;
	b[3] = 4;
	b[6] = (uint8_t)cmd->scratch[0];
	return 8;
}

/* SBC-4 6.4.5. SCOPE: what is available others may take, what is used is the LU's own. */
static unsigned
fill_provisioning(const struct gw_cmd *cmd, uint16_t from, uint8_t *b)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	const uint64_t bytes[] = {atomic_load_explicit(&cmd->lu->space_avail, memory_order_relaxed),
				  atomic_load_explicit(&cmd->lu->space_used, memory_order_relaxed)};
	unsigned n = 0;

	for (uint16_t code = 1; code <= GW_ARRAY_LEN(bytes); code++) {
		if (code < from)
			continue;
		gw_put_be16(b + n, code);
		b[n + 2] = LIST_BIN;
		b[n + 3] = 8;
		gw_put_be32(b + n + 4, scsi_lbp_sets(v, bytes[code - 1]));
		b[n + 8] = code == 1 ? 0x02 : 0x01;
		n += 12;
	}
	return n;
}

static const struct log_page pages[] = {
    {0x00, 0x00, false, 0, fill_pages},
    {0x00, ALL_SUBS, false, 0, fill_subpages},
    {0x0c, 0x00, false, 2, fill_provisioning, .lbp = true},
    {0x0d, 0x00, true, 1, fill_temperature},
    {0x2f, 0x00, true, 0, fill_exceptions},
};

static bool
has_page(const struct gw_cmd *cmd, const struct log_page *p)
{
	return !p->lbp || scsi_view_of(cmd)->counts_space;
}

static unsigned
fill_pages(const struct gw_cmd *cmd, uint16_t from, uint8_t *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GW_ARRAY_LEN(pages); i++)
		if (!pages[i].subpage && has_page(cmd, &pages[i]))
			b[n++] = pages[i].code;
	return n;
}

static unsigned
fill_subpages(const struct gw_cmd *cmd, uint16_t from, uint8_t *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GW_ARRAY_LEN(pages); i++) {
		if (!has_page(cmd, &pages[i]))
			continue;
		b[n++] = pages[i].code;
		b[n++] = pages[i].subpage;
	}
	return n;
}

/* The page that the CDB names; NULL with the status set. */
static const struct log_page *
find(struct gw_cmd *cmd)
{
	uint8_t code = cmd->cdb[2] & 0x3f, subpage = cmd->cdb[3];
	bool known = false;

	for (unsigned i = 0; i < GW_ARRAY_LEN(pages); i++) {
		if (pages[i].code != code || !has_page(cmd, &pages[i]))
			continue;
		if (pages[i].subpage == subpage)
			return &pages[i];
		known = true;
	}
	if (known)
		scsi_check_cdb(cmd, 3, 7);
	else
		scsi_check_cdb(cmd, 2, 5);
	return NULL;
}

static void
answer(struct gw_cmd *cmd, const struct log_page *p)
{
	uint8_t b[PAGE_MAX] = {0};
	unsigned n = p->fill(cmd, gw_be16(cmd->cdb + 5), b + 4);

	b[0] = p->lbp ? p->code | 0x80 : p->code; /* DS, as SBC-4 6.4.5.1 has it */
	if (p->subpage)
		b[0] |= 0x40; /* SPF */
	b[1] = p->subpage;
	gw_put_be16(b + 2, (uint16_t)n);
	scsi_in(cmd, b, 4 + n);
}

static void
measured(struct be_io *io)
{
	struct gw_cmd *cmd = scsi_cmd_of_io(io);

	if (scsi_io_failed(cmd))
		return;
	cmd->scratch[0] = io->celsius;
	answer(cmd, find(cmd));
}

void
scsi_exec_log_sense(struct gw_cmd *cmd)
{
	const struct log_page *p = find(cmd);

	if (p && gw_be16(cmd->cdb + 5) > p->last) {
		scsi_check_cdb(cmd, 5, 7);
		p = NULL;
	}
	if (!p) {
		gw_cmd_complete(cmd);
		return;
	}
	cmd->scratch[0] = BE_CELSIUS_UNKNOWN;
	if (!p->warm || !scsi_io_temperature(cmd, measured))
		answer(cmd, p);
}
