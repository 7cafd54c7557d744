/* SPDX-License-Identifier: BSD-3-Clause */
/* Sense data in both formats (SPC-4 4.5), and which error of the backend becomes which sense. */
#include "gateway/scsi/scsi_priv.h"

#define POINTER_CDB 0x40
#define POINTER_BIT 0x08

struct sense {
	uint32_t code; /* SENSE() */
	bool has_info;
	uint64_t info;
	uint8_t specific[3]; /* sense key specific: field pointer, progress; [0] == 0: none */
	bool has_segment;    /* of an EXTENDED COPY ... */
	uint16_t segment;
	const struct gw_cmd *from; /* ... whose status is of one of its CSCDs, NULL: it is not */
	bool by_dst;
};

#define FIXED_LEN 18

/* SPC-4 5.16.7.3: COMMAND-SPECIFIC INFORMATION says where the CSCD's status and sense begin. */
static uint8_t
fixed_segment(uint8_t *b, const struct sense *s)
{
	const struct gw_cmd *from = s->from;

	gw_put_be16(b + 10, s->segment);
	if (!from)
		return FIXED_LEN;
	b[s->by_dst ? 9 : 8] = FIXED_LEN;
	b[7] = (uint8_t)(10 + 1 + from->sense_len);
	b[FIXED_LEN] = from->status;
	memcpy(b + FIXED_LEN + 1, from->sense, from->sense_len);
	return (uint8_t)(FIXED_LEN + 1 + from->sense_len);
}

static uint8_t
build_fixed(uint8_t *b, const struct sense *s)
{
	memset(b, 0, FIXED_LEN);
	b[0] = 0x70;
	b[2] = (uint8_t)(s->code >> 16);
	if (s->has_info && s->info <= UINT32_MAX) {
		b[0] |= 0x80;
		gw_put_be32(b + 3, (uint32_t)s->info);
	}
	b[7] = 10;
	gw_put_be16(b + 12, (uint16_t)s->code);
	memcpy(b + 15, s->specific, 3);
	return s->has_segment ? fixed_segment(b, s) : FIXED_LEN;
}

/* Command-specific information, and forwarded sense data (SPC-4 4.5.2.3, 4.5.2.8). */
static uint8_t *
descriptor_segment(uint8_t *d, const struct sense *s)
{
	const struct gw_cmd *from = s->from;

	d[0] = 1;
	d[1] = 10;
	gw_put_be16(d + 6, s->segment);
	d += 12;
	if (!from)
		return d;
	d[0] = 0x0c;
	d[1] = (uint8_t)(2 + from->sense_len);
	d[2] = s->by_dst ? 2 : 1;
	d[3] = from->status;
	memcpy(d + 4, from->sense, from->sense_len);
	return d + 4 + from->sense_len;
}

static uint8_t
build_descriptor(uint8_t *b, const struct sense *s)
{
	uint8_t *d = b + 8;

	memset(b, 0, 32);
	b[0] = 0x72;
	b[1] = (uint8_t)(s->code >> 16);
	gw_put_be16(b + 2, (uint16_t)s->code);
	if (s->has_info) {
		d[1] = 10;
		d[2] = 0x80;
		gw_put_be64(d + 4, s->info);
		d += 12;
	}
	if (s->specific[0]) {
		d[0] = 2;
		d[1] = 6;
		memcpy(d + 4, s->specific, 3);
		d += 8;
	}
	if (s->has_segment)
		d = descriptor_segment(d, s);
	b[7] = (uint8_t)(d - b - 8);
	return (uint8_t)(d - b);
}

/* SPC-4 4.5.2.4.4: of 65536. */
static void
put_progress(struct sense *s, int progress)
{
	if (progress < 0)
		return;
	s->specific[0] = 0x80;
	gw_put_be16(s->specific + 1, (uint16_t)progress);
}

/* SBC-4 4.7.3.7.6: INFORMATION says which threshold it was. */
static struct sense
plain(uint32_t code)
{
	return (struct sense){
	    .code = code, .has_info = code == SENSE_THRESHOLD, .info = SCSI_LBP_DESCRIPTOR};
}

uint8_t
scsi_sense_build(uint8_t *buf, bool descriptor, uint32_t sense, int progress)
{
	struct sense s = plain(sense);

	put_progress(&s, progress);
	return descriptor ? build_descriptor(buf, &s) : build_fixed(buf, &s);
}

static void
check(struct gw_cmd *cmd, const struct sense *s)
{
	bool descriptor = cmd->luc && scsi_view_of(cmd)->d_sense;

	cmd->status = SAM_CHECK_CONDITION;
	cmd->sense_len = descriptor ? build_descriptor(cmd->sense, s) : build_fixed(cmd->sense, s);
	cmd->in_len = 0;
	cmd->moved = 0;
}

bool
scsi_check(struct gw_cmd *cmd, uint32_t sense)
{
	struct sense s = plain(sense);

	check(cmd, &s);
	return false;
}

void
scsi_check_info(struct gw_cmd *cmd, uint32_t sense, uint64_t info)
{
	check(cmd, &(struct sense){.code = sense, .has_info = true, .info = info});
}

static void
check_field(struct gw_cmd *cmd, uint32_t code, uint8_t where, unsigned byte, int bit)
{
	struct sense s = {.code = code, .specific = {(uint8_t)(0x80 | where)}};

	if (bit >= 0)
		s.specific[0] |= (uint8_t)(POINTER_BIT | bit);
	gw_put_be16(s.specific + 1, (uint16_t)byte);
	check(cmd, &s);
}

bool
scsi_check_cdb(struct gw_cmd *cmd, unsigned byte, int bit)
{
	check_field(cmd, SENSE_CDB_FIELD, POINTER_CDB, byte, bit);
	return false;
}

bool
scsi_check_param(struct gw_cmd *cmd, unsigned byte, int bit)
{
	check_field(cmd, SENSE_PARAM_FIELD, 0, byte, bit);
	return false;
}

bool
scsi_check_param_bits(struct gw_cmd *cmd, unsigned byte, uint8_t wrong)
{
	return scsi_check_param(cmd, byte, 31 - __builtin_clz(wrong));
}

/* SD: the pointer counts from the segment descriptor's first byte (SPC-4 4.5.2.4.5). */
void
scsi_check_segment(struct gw_cmd *cmd, uint32_t sense, uint16_t segment, unsigned byte)
{
	struct sense s = {.code = sense, .has_segment = true, .segment = segment};

	s.specific[0] = 0x80 | 0x20;
	gw_put_be16(s.specific + 1, (uint16_t)byte);
	check(cmd, &s);
}

void
scsi_check_copied(struct gw_cmd *cmd, uint32_t sense, uint16_t segment, bool by_dst)
{
	const struct gw_cmd from = *cmd;

	check(cmd, &(struct sense){.code = sense,
				   .has_segment = true,
				   .segment = segment,
				   .from = &from,
				   .by_dst = by_dst});
}

void
scsi_check_be(struct gw_cmd *cmd, uint8_t be_op, uint8_t st, uint64_t lba)
{
	static const uint32_t codes[BE_ST_MAX] = {
	    [BE_ENOSPC] = SENSE_NO_SPACE,       [BE_ERANGE] = SENSE_LBA_RANGE,
	    [BE_EROFS] = SENSE_WRITE_PROTECTED, [BE_ENOTSUP] = SENSE_INVALID_OPCODE,
	    [BE_EGONE] = SENSE_NOT_READY,
	};
	bool reads = be_op == BE_READ || be_op == BE_EXTENT;

	if (st == BE_EBUSY) {
		cmd->status = SAM_BUSY;
		cmd->in_len = cmd->moved = 0;
	} else if (st < BE_ST_MAX && codes[st]) {
		scsi_check(cmd, codes[st]);
	} else if (be_op == BE_FLUSH) {
		scsi_check(cmd, SENSE_WRITE_ERROR);
	} else {
		scsi_check_info(cmd, reads ? SENSE_READ_ERROR : SENSE_WRITE_ERROR, lba);
	}
}

int
scsi_progress(const struct scsi_lu *lu, uint32_t sense)
{
	if (sense != SENSE_SANITIZING && sense != SENSE_FORMATTING)
		return -1;
	return (int)atomic_load_explicit(&lu->progress, memory_order_relaxed);
}

bool
scsi_check_view(struct gw_cmd *cmd, const struct scsi_view *v)
{
	struct sense s = {0};

	if (v->medium == MEDIUM_READY)
		return true;
	if (v->medium == MEDIUM_SWAP) {
		cmd->status = SAM_BUSY;
		cmd->in_len = cmd->moved = 0;
		return false;
	}
	s.code = scsi_medium_sense(v);
	put_progress(&s, scsi_progress(cmd->lu, s.code));
	check(cmd, &s);
	return false;
}

bool
scsi_check_medium(struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);

	return v->medium == MEDIUM_READY || scsi_check_view(cmd, v);
}

bool
scsi_check_sanitize(struct gw_cmd *cmd)
{
	uint8_t medium = scsi_view_of(cmd)->medium;

	/* Those that run before unit attentions are those that always run. */
	if ((medium != MEDIUM_SANITIZING && medium != MEDIUM_UNSANITIZED &&
	     medium != MEDIUM_FORMATTING) ||
	    (cmd->op->flags & (OP_UA | OP_SANITIZE)))
		return true;
	return scsi_check_medium(cmd);
}

uint32_t
scsi_medium_sense(const struct scsi_view *v)
{
	/* A drive knows that its tray is closed. */
	uint32_t none = v->conf.kind == SCSI_KIND_CD ? SENSE_NO_DISC : SENSE_NO_MEDIUM;

	switch (v->medium) {
	case MEDIUM_READY:
	case MEDIUM_SWAP:
		return 0;
	case MEDIUM_EJECTED:
		return SENSE_TRAY_OPEN;
	case MEDIUM_OFFLINE:
		return v->conf.removable ? none : SENSE_MANUAL;
	case MEDIUM_GONE:
		return SENSE_NOT_READY;
	case MEDIUM_SANITIZING:
		return SENSE_SANITIZING;
	case MEDIUM_UNSANITIZED:
		return SENSE_UNSANITIZED;
	case MEDIUM_FORMATTING:
		return SENSE_FORMATTING;
	case MEDIUM_UNFORMATTED:
		return SENSE_UNFORMATTED;
	default:
		return none;
	}
}
