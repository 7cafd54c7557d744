/* SPDX-License-Identifier: BSD-3-Clause */
/* A position in the memory of an I/O. */
#include <string.h>

#include "backend/backend_priv.h"
#include "gateway/base/bug.h"
#include "gateway/base/num.h"

struct iovec
be_cursor_piece(const struct be_io *io, struct be_cursor *c, size_t max)
{
	const struct iovec *v = &io->iov[c->seg];

	BUG(c->seg >= io->niov);
	while (c->off == v->iov_len) {
		c->seg++;
		c->off = 0;
		BUG(c->seg >= io->niov);
		v++;
	}
	return (struct iovec){(uint8_t *)v->iov_base + c->off, GW_MIN(v->iov_len - c->off, max)};
}

void
be_cursor_move(const struct be_io *io, struct be_cursor *c, size_t n)
{
	while (n) {
		size_t piece = be_cursor_piece(io, c, n).iov_len;

		c->off += piece;
		n -= piece;
	}
}

void
be_cursor_gather(const struct be_io *io, struct be_cursor c, void *to, size_t n)
{
	for (uint8_t *p = to; n;) {
		struct iovec v = be_cursor_piece(io, &c, n);

		memcpy(p, v.iov_base, v.iov_len);
		c.off += v.iov_len;
		p += v.iov_len;
		n -= v.iov_len;
	}
}

void
be_cursor_scatter(const struct be_io *io, struct be_cursor c, const void *from, size_t n)
{
	for (const uint8_t *p = from; n;) {
		struct iovec v = be_cursor_piece(io, &c, n);

		memcpy(v.iov_base, p, v.iov_len);
		c.off += v.iov_len;
		p += v.iov_len;
		n -= v.iov_len;
	}
}
