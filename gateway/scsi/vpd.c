/* SPDX-License-Identifier: BSD-3-Clause */
/* Vital product data (SPC-4 7.8, SBC-4 6.6): one row per page, in order. */
#include <stdio.h>

#include "gateway/base/str.h"
#include "gateway/scsi/scsi_priv.h"

/* Each fills what follows the 4-byte header and returns its length. */
struct vpd {
	uint8_t code;
	bool disk_only;
	unsigned (*fill)(const struct gw_cmd *cmd, uint8_t *b);
};

static unsigned fill_supported(const struct gw_cmd *cmd, uint8_t *b);

static unsigned
fill_serial(const struct gw_cmd *cmd, uint8_t *b)
{
	const char *serial = scsi_view_of(cmd)->conf.serial;
	size_t n = strnlen(serial, sizeof(scsi_view_of(cmd)->conf.serial));

	memcpy(b, serial, n);
	return (unsigned)n;
}

/* A designator: code set, association, type (SPC-4 7.8.6.2); n bytes of it follow at the result. */
static uint8_t *
designator(uint8_t **b, uint8_t code_set, uint8_t assoc, uint8_t type, size_t n)
{
	uint8_t *d = *b;

	d[0] = code_set;
	if (assoc) {
		d[0] |= 0x50; /* PROTOCOL IDENTIFIER iSCSI */
		d[1] = 0x80;  /* PIV */
	}
	d[1] |= (uint8_t)(assoc << 4 | type);
	d[3] = (uint8_t)n;
	*b = d + 4 + n;
	return d + 4;
}

/* SCSI name string: UTF-8, NUL-terminated, padded to a multiple of four (SPC-4 7.8.6.11). */
static void
name_string(uint8_t **b, uint8_t assoc, const char *name)
{
	size_t len = strlen(name);

	memcpy(designator(b, 3, assoc, 8, gw_round_up(len + 1, 4)), name, len);
}

enum {
	ASSOC_LU,
	ASSOC_PORT,
	ASSOC_TARGET
};

#define PORT_NAME_MAX (GW_NAME_MAX + 16)

/* The name of an iSCSI target port is "name,t,0xTPGT" (SAM-5 A.2). */
static void
port_name(const struct gw_cmd *cmd, uint16_t tag, char port[PORT_NAME_MAX])
{
	snprintf(port, PORT_NAME_MAX, "%s,t,0x%04x", cmd->nexus->target->iqn, tag);
}

static unsigned
fill_ids(const struct gw_cmd *cmd, uint8_t *start)
{
	const struct scsi_lu_conf *conf = &scsi_view_of(cmd)->conf;
	const struct gw_target *t = cmd->nexus->target;
	size_t n = strnlen(conf->scsi_id, sizeof(conf->scsi_id));
	char port[PORT_NAME_MAX];
	uint8_t *b = start, *d;

	memcpy(designator(&b, 1, ASSOC_LU, 3, 16), conf->naa, 16);
	d = designator(&b, 2, ASSOC_LU, 1, 8 + n);
	gw_str_pad(d, 8, conf->vendor);
	memcpy(d + 8, conf->scsi_id, n);
	port_name(cmd, cmd->nexus->tpgt, port);
	name_string(&b, ASSOC_PORT, port);
	gw_put_be16(designator(&b, 1, ASSOC_PORT, 4, 4) + 2, cmd->nexus->tpgt);
	gw_put_be16(designator(&b, 1, ASSOC_PORT, 5, 4) + 2, cmd->nexus->tpgt);
	name_string(&b, ASSOC_TARGET, t->iqn);
	return (unsigned)(b - start);
}

/* Extended INQUIRY data, SPC-4 7.8.7. Offsets count from byte 4 of the page. */
static unsigned
fill_extended(const struct gw_cmd *cmd, uint8_t *b)
{
	const struct scsi_view *v = scsi_view_of(cmd);

	b[1] = 0x04 | 0x02 | 0x01;                       /* HEADSUP, ORDSUP, SIMPSUP */
	b[2] = v->dev && v->dev->volatile_cache ? 1 : 0; /* V_SUP */
	b[9] = SCSI_SENSE_MAX;
	return 0x3c;
}

/* Mode page policy, SPC-4 7.8.9: all of them are shared by all initiators. */
static unsigned
fill_policy(const struct gw_cmd *cmd, uint8_t *b)
{
	b[0] = 0x3f;
	b[1] = 0xff;
	return 4;
}

/* SCSI ports, SPC-4 7.8.14. */
static unsigned
fill_ports(const struct gw_cmd *cmd, uint8_t *start)
{
	uint16_t tag[SCSI_PORTS_MAX];
	unsigned n = scsi_ports(cmd->nexus, tag);
	char port[PORT_NAME_MAX];
	uint8_t *b = start;

	_Static_assert(4 + SCSI_PORTS_MAX * (12 + 4 + PORT_NAME_MAX) <= SCSI_INQUIRY_MAX,
		       "the page has room for all ports");
	for (unsigned i = 0; i < n; i++) {
		uint8_t *d = b + 12;

		gw_put_be16(b + 2, tag[i]);
		port_name(cmd, tag[i], port);
		name_string(&d, ASSOC_PORT, port);
		gw_put_be16(b + 10, (uint16_t)(d - b - 12));
		b = d;
	}
	return (unsigned)(b - start);
}

/* Block limits, SBC-4 6.6.4. Offsets count from byte 4 of the page. */
static unsigned
fill_limits(const struct gw_cmd *cmd, uint8_t *b)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint32_t gran = v->conf.opt_xfer_gran ? v->conf.opt_xfer_gran : 1u << v->lbppbe;
	uint32_t max = GW_XFER_MAX >> v->shift;
	uint32_t opt = v->conf.opt_xfer_len ? v->conf.opt_xfer_len : GW_SEG_MAX >> v->shift;

	b[1] = (uint8_t)scsi_caw_max(v->shift);
	gw_put_be16(b + 2, (uint16_t)GW_MIN(gran, 0xffffu));
	gw_put_be32(b + 4, max);
	gw_put_be32(b + 8, GW_MIN(opt, max));
	if (v->lbpme) {
		gw_put_be32(b + 16, UINT32_MAX);
		gw_put_be32(b + 20, SCSI_UNMAP_DESC_MAX);
		gw_put_be32(b + 24, v->unmap_blocks);
		gw_put_be32(b + 28, 0x80000000); /* UGAVALID, alignment 0 */
	}
	gw_put_be64(b + 32, SCSI_WS_BLOCKS_MAX);
	/* Without boundaries: one WRITE ATOMIC is one atomic write. 0: no restriction. */
	gw_put_be32(b + 40, v->atomic_max);
	gw_put_be32(b + 44, v->atomic_align > 1 ? v->atomic_align : 0);
	gw_put_be32(b + 48, v->atomic_gran > 1 ? v->atomic_gran : 0);
	return 0x3c;
}

/* Block device characteristics, SBC-4 6.6.2. */
static unsigned
fill_characteristics(const struct gw_cmd *cmd, uint8_t *b)
{
	const struct scsi_view *v = scsi_view_of(cmd);

	gw_put_be16(b, v->conf.rotation_rate);
	/* WABEREQ, WACEREQ: after the erasure reads end without an error. */
	b[3] = (uint8_t)((v->erase ? 0x40 : 0) | (v->crypto ? 0x10 : 0));
	return 0x3c;
}

/* Logical block provisioning, SBC-4 6.6.7. */
static unsigned
fill_provisioning(const struct gw_cmd *cmd, uint8_t *b)
{
	const struct scsi_view *v = scsi_view_of(cmd);

	if (v->lbpme) {
		b[1] = 0x80 | 0x40 | 0x20 | (v->lbprz ? 0x04 : 0); /* LBPU, LBPWS, LBPWS10 */
		b[2] = 0x02;                                       /* thin provisioned */
	}
	if (v->counts_space)
		b[0] = scsi_lbp_exponent(v);
	return 4;
}

static const struct vpd pages[] = {
    {0x00, false, fill_supported},
    {0x80, false, fill_serial},
    {0x83, false, fill_ids},
    {0x86, false, fill_extended},
    {0x87, false, fill_policy},
    {0x88, false, fill_ports},
    {0x8f, true, scsi_copy_vpd},
    {0xb0, true, fill_limits},
    {0xb1, true, fill_characteristics},
    {0xb2, true, fill_provisioning},
};

static bool
has_page(const struct gw_cmd *cmd, const struct vpd *p)
{
	if (!cmd->lu)
		return p->code == 0x00;
	return !p->disk_only || scsi_view_of(cmd)->conf.kind == SCSI_KIND_DISK;
}

static unsigned
fill_supported(const struct gw_cmd *cmd, uint8_t *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GW_ARRAY_LEN(pages); i++)
		if (has_page(cmd, &pages[i]))
			b[n++] = pages[i].code;
	return n;
}

unsigned
scsi_vpd_page(const struct gw_cmd *cmd, uint8_t code, uint8_t *page)
{
	unsigned n;

	for (unsigned i = 0; i < GW_ARRAY_LEN(pages); i++) {
		if (pages[i].code != code || !has_page(cmd, &pages[i]))
			continue;
		n = pages[i].fill(cmd, page + 4);
		page[0] = scsi_peripheral(cmd);
		page[1] = code;
		gw_put_be16(page + 2, (uint16_t)n);
		return 4 + n;
	}
	return 0;
}
