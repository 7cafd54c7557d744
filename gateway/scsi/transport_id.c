/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/scsi/transport_id.h"

#include <string.h>

#include "gateway/base/bug.h"
#include "gateway/base/bytes.h"
#include "gateway/base/num.h"
#include "gateway/base/str.h"

#define HEAD      4
#define PROTOCOL  5 /* iSCSI */
#define FORMAT_1  0x40
#define NAME_MIN  20 /* ADDITIONAL LENGTH at least */
#define ISID_HEX  12
#define SEPARATOR ",i,0x"
#define SEP_LEN   (sizeof(SEPARATOR) - 1)

/* Those that can log in: iscsi/name.c. */
static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr(".-:_+@/", c));
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Bytes of the name at s, which ends in front of `end`; past those that a name may have. */
static size_t
read_name(const char *s, size_t end, char name[GW_NAME_MAX + 1])
{
	size_t n = 0;

	for (; n < end && n < GW_NAME_MAX && name_char(lower(s[n])); n++)
		name[n] = lower(s[n]);
	name[n] = '\0';
	return n;
}

/* One to twelve digits: a number, so that leading zeros may be missing. The digits read. */
static size_t
read_isid(const char *s, size_t end, uint8_t isid[6])
{
	size_t n = 0;
	char hex[ISID_HEX + 1];

	while (n < end && n < ISID_HEX && s[n] && strchr("0123456789abcdefABCDEF", s[n]))
		n++;
	memset(hex, '0', ISID_HEX);
	memcpy(hex + ISID_HEX - n, s, n);
	hex[ISID_HEX] = '\0';
	return gw_str_unhex(isid, 6, hex) ? n : 0;
}

/* The text of `len` bytes: false, and *bad is where it goes wrong. */
static bool
read_text(const char *s, size_t len, struct transport_id *id, size_t *bad)
{
	size_t n = read_name(s, len, id->initiator), digits;

	*bad = n;
	if (n == 0)
		return false;
	if (id->port) {
		if (len - n < SEP_LEN || memcmp(s + n, SEPARATOR, SEP_LEN) != 0)
			return false;
		digits = read_isid(s + n + SEP_LEN, len - n - SEP_LEN, id->isid);
		n += SEP_LEN + digits;
		*bad = n;
		if (!digits)
			return false;
	}
	/* It ends in a NUL, and NULs fill it up. */
	*bad = n;
	for (size_t i = n; i < len; i++) {
		*bad = i;
		if (s[i])
			return false;
	}
	return n < len;
}

size_t
transport_id_read(const uint8_t *p, size_t n, struct transport_id *id, size_t *bad)
{
	size_t len;

	memset(id, 0, sizeof(*id));
	*bad = 0;
	if (n < HEAD + NAME_MIN || (p[0] & 0x3f) != PROTOCOL || (p[0] & 0x80))
		return 0;
	id->port = p[0] & FORMAT_1;
	len = gw_be16(p + 2);
	*bad = 2;
	if (len < NAME_MIN || len % 4 || len > n - HEAD)
		return 0;
	if (read_text((const char *)p + HEAD, len, id, bad))
		return HEAD + len;
	/* Where it ends too early, the last byte is wrong. */
	*bad = HEAD + GW_MIN(*bad, len - 1);
	return 0;
}

size_t
transport_id_write(uint8_t buf[TRANSPORT_ID_MAX], const char *initiator, const uint8_t isid[6])
{
	size_t n = strnlen(initiator, GW_NAME_MAX + 1), len;
	char hex[ISID_HEX + 1];

	BUG(n > GW_NAME_MAX);
	len = GW_MAX(gw_round_up(n + SEP_LEN + ISID_HEX + 1, 4), (uint64_t)NAME_MIN);
	memset(buf, 0, HEAD + len);
	buf[0] = FORMAT_1 | PROTOCOL;
	gw_put_be16(buf + 2, (uint16_t)len);
	gw_str_hex(hex, isid, 6);
	memcpy(buf + HEAD, initiator, n);
	memcpy(buf + HEAD + n, SEPARATOR, SEP_LEN);
	memcpy(buf + HEAD + n + SEP_LEN, hex, ISID_HEX);
	return HEAD + len;
}
