/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registrations of one LU as text:
 *
 *	lichgate-reservations 1
 *	naa 6...
 *	type 5
 *	reg KEY TPGT ISID ha NAME	one line each; h: holder, a: all target ports, else '-'
 *	crc CRC32C			of all bytes before this line
 *
 * There is one way to write a state, and nothing else is read: what was read is written again and
 * compared.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bytes.h"
#include "gateway/base/crc32c.h"
#include "gateway/base/num.h"
#include "gateway/base/str.h"
#include "gateway/scsi/pr_store.h"

#define HEAD     "lichgate-reservations 1\n"
#define CRC_LEN  13 /* "crc xxxxxxxx\n" */
#define HEAD_MAX 80 /* the lines that are always there, and a NUL */
#define REG_MAX  (sizeof("reg 0123456789abcdef 0123 0123456789ab ha \n") - 1 + GW_NAME_MAX)

/* SPC-4 6.15.3.4; 0: no reservation. */
#define TYPES       (1u << 0 | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8)
#define TYPE_ALL(t) ((t) == 7 || (t) == 8) /* whoever is registered is a holder */

static bool
name_ok(const char *name)
{
	size_t n = strnlen(name, GW_NAME_MAX + 1);

	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f)
			return false;
	return n > 0 && n <= GW_NAME_MAX;
}

bool
pr_text_ok(const struct scsi_pr_saved *s)
{
	uint32_t holders = 0;

	if (s->type > 8 || !(TYPES & 1u << s->type) || s->nreg > PR_STORE_REGS_MAX)
		return false;
	for (uint32_t i = 0; i < s->nreg; i++) {
		if (!name_ok(s->reg[i].initiator) || !s->reg[i].key)
			return false;
		holders += s->reg[i].holder;
	}
	return TYPE_ALL(s->type) ? s->nreg > 0 : holders == (s->type ? 1 : 0);
}

size_t
pr_text_max(uint32_t nreg)
{
	return HEAD_MAX + CRC_LEN + nreg * REG_MAX;
}

size_t
pr_text_write(const struct scsi_pr_saved *s, char *buf)
{
	size_t room = pr_text_max(s->nreg), n;
	char hex[33];

	gw_str_hex(hex, s->naa, sizeof(s->naa));
	n = (size_t)snprintf(buf, room, HEAD "naa %s\ntype %u\n", hex, s->type);
	for (uint32_t i = 0; i < s->nreg; i++) {
		const struct scsi_pr_reg *r = &s->reg[i];

		gw_str_hex(hex, r->isid, sizeof(r->isid));
		n += (size_t)snprintf(buf + n, room - n, "reg %016" PRIx64 " %04x %s %c%c %s\n",
				      r->key, r->tpgt, hex, r->holder ? 'h' : '-',
				      r->all_tg_pt ? 'a' : '-', r->initiator);
	}
	n += (size_t)snprintf(buf + n, room - n, "crc %08x\n", gw_crc32c(buf, n));
	return n;
}

/* The line at *p without its end, as a string; false if there is none. */
static bool
next_line(char **p, char **line)
{
	char *end = strchr(*p, '\n');

	if (!end)
		return false;
	*end = '\0';
	*line = *p;
	*p = end + 1;
	return true;
}

static bool
read_head(char **p, struct scsi_pr_saved *s)
{
	char *line;

	if (!next_line(p, &line) || strncmp(line, HEAD, sizeof(HEAD) - 2) != 0)
		return false;
	if (!next_line(p, &line) || strncmp(line, "naa ", 4) != 0 ||
	    !gw_str_unhex(s->naa, sizeof(s->naa), line + 4))
		return false;
	if (!next_line(p, &line) || strncmp(line, "type ", 5) != 0)
		return false;
	s->type = (uint8_t)(line[5] - '0');
	return true;
}

/* Fields have their places; how they look is checked by writing them again. */
static bool
read_reg(char *line, struct scsi_pr_reg *r)
{
	uint8_t key[8], tpgt[2];

	if (strlen(line) <= 42 || !gw_str_copy(r->initiator, sizeof(r->initiator), line + 42))
		return false;
	line[20] = line[25] = line[38] = '\0';
	if (!gw_str_unhex(key, 8, line + 4) || !gw_str_unhex(tpgt, 2, line + 21) ||
	    !gw_str_unhex(r->isid, 6, line + 26))
		return false;
	r->key = gw_be64(key);
	r->tpgt = gw_be16(tpgt);
	r->holder = line[39] == 'h';
	r->all_tg_pt = line[40] == 'a';
	return true;
}

static bool
read_all(char *p, struct scsi_pr_saved *s)
{
	char *line;

	if (!read_head(&p, s))
		return false;
	s->aptpl = true;
	while (next_line(&p, &line)) {
		if (strncmp(line, "crc ", 4) == 0)
			return !*p;
		if (strncmp(line, "reg ", 4) != 0 || !read_reg(line, &s->reg[s->nreg]))
			return false;
		s->nreg++;
	}
	return false;
}

static uint32_t
count_lines(const char *text, size_t size)
{
	uint32_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

static bool
same_text(const struct scsi_pr_saved *s, const char *text, size_t size, char *buf)
{
	return pr_text_ok(s) && pr_text_write(s, buf) == size && memcmp(buf, text, size) == 0;
}

int
pr_text_read(const char *text, size_t size, struct scsi_pr_saved **out)
{
	uint32_t lines = count_lines(text, size);
	struct scsi_pr_saved *s;
	char *copy;
	bool ok;

	*out = NULL;
	if (size > pr_text_max(PR_STORE_REGS_MAX) || lines > PR_STORE_REGS_MAX + 4)
		return -EBADMSG;
	s = calloc(1, sizeof(*s) + (lines + 1) * sizeof(s->reg[0]));
	copy = malloc(GW_MAX(size + 1, pr_text_max(lines)));
	if (!s || !copy) {
		free(s);
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, text, size);
	copy[size] = '\0';
	ok = read_all(copy, s) && same_text(s, text, size, copy);
	free(copy);
	if (!ok) {
		free(s);
		return -EBADMSG;
	}
	*out = s;
	return 0;
}
