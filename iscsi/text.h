/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text format of login and text requests (RFC 7143 6.1): reading key=value pairs, writing answers,
 * and the encodings of values. Works on caller memory only.
 */
#ifndef ISCSI_TEXT_H
#define ISCSI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_TEXT_KEY_MAX   63	  /* bytes of a key name, 6.1 */
#define ISCSI_TEXT_VALUE_MAX 255  /* bytes of a value where nothing else is said, 6.1 */
#define ISCSI_TEXT_BIN_MAX   1024 /* bytes of a decoded binary value, 6.1 */

/* Reads pairs in place: '=' becomes NUL. buf[len] must be writable: it is set to NUL. */
struct iscsi_text_in {
	char *at, *end;
};

enum iscsi_text_next { ISCSI_TEXT_PAIR, ISCSI_TEXT_END, ISCSI_TEXT_BAD };

void iscsi_text_in_init(struct iscsi_text_in *in, char *buf, size_t len);

/*
 * The next pair. Key and value are NUL-terminated strings within the buffer. Empty strings between
 * pairs and a missing last NUL are forgiven. BAD: no '=', or a key that is too long or has a character
 * that 6.1 does not allow; *key is then undefined.
 */
enum iscsi_text_next iscsi_text_next(struct iscsi_text_in *in, const char **key,
				     const char **value);

/* Writes pairs into a fixed buffer. A pair that does not fit is not written at all and sets full. */
struct iscsi_text_out {
	char *buf;
	uint32_t size, len;
	bool full;
};

void iscsi_text_out_init(struct iscsi_text_out *out, char *buf, uint32_t size);
void iscsi_text_add(struct iscsi_text_out *out, const char *key, const char *value);
void iscsi_text_add_u32(struct iscsi_text_out *out, const char *key, uint32_t value);
/* As "0x..."; n <= ISCSI_TEXT_BIN_MAX. */
void iscsi_text_add_bin(struct iscsi_text_out *out, const char *key, const uint8_t *p, size_t n);

/* Number (6.1) within [min, max]; false on anything else. */
bool iscsi_text_u32(const char *value, uint32_t min, uint32_t max, uint32_t *out);
/* "Yes" or "No". */
bool iscsi_text_bool(const char *value, bool *out);
/* "Reject", "Irrelevant" or "NotUnderstood": an answer, never a value (6.2). */
bool iscsi_text_is_reply(const char *value);

/*
 * Walks a comma-separated list: *list moves on, *item is not NUL-terminated and has *n bytes. False at
 * the end.
 */
bool iscsi_text_item(const char **list, const char **item, size_t *n);
bool iscsi_text_item_is(const char *item, size_t n, const char *word);

/*
 * Decodes "0x" + hex or "0b" + base64 into at most max bytes. The length is known, and checked, before
 * anything is written. Returns the number of bytes, or -1: other prefix, odd or impossible number of
 * digits, a foreign character, wrong padding, empty, or longer than max.
 */
int iscsi_text_bin(const char *value, uint8_t *out, size_t max);

#endif
