/* SPDX-License-Identifier: BSD-3-Clause */
/* What leaves: headers in a ring, neighbours merged, data by reference, one sendmsg() for all of
 * it. */
#include "tests/bench/lean.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/base/crc32c.h"
#include "gateway/base/num.h"
#include "iscsi/proto.h"

void
out_init(struct out *q, uint32_t heads, uint32_t stride)
{
	q->heads = heads;
	q->stride = stride;
	/* A header and two pieces of data each (data, and its padding with the digest), twice. */
	q->iovs = heads * 6;
	q->head = calloc(heads, stride);
	q->iov = calloc(q->iovs, sizeof(*q->iov));
	if (!q->head || !q->iov)
		die("no memory for the send queue");
}

static void
push(struct out *q, const void *p, uint32_t len)
{
	struct iovec *last = q->last > q->first ? &q->iov[q->last - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
		last->iov_len += len;
		return;
	}
	if (q->last == q->iovs) {
		memmove(q->iov, q->iov + q->first, (q->last - q->first) * sizeof(*q->iov));
		q->last -= q->first;
		q->first = 0;
	}
	q->iov[q->last].iov_base = (void *)(uintptr_t)p;
	q->iov[q->last++].iov_len = len;
}

uint8_t *
out_head(struct out *q)
{
	uint8_t *head = q->head + (size_t)q->next * q->stride;

	q->next = q->next + 1 == q->heads ? 0 : q->next + 1;
	memset(head, 0, ISCSI_BHS_LEN);
	push(q, head, q->stride);
	return head;
}

void
out_seal(struct out *q, uint8_t *head)
{
	uint32_t crc;

	if (q->stride == ISCSI_BHS_LEN)
		return;
	crc = gw_crc32c(head, ISCSI_BHS_LEN);
	memcpy(head + ISCSI_BHS_LEN, &crc, sizeof(crc));
}

void
out_data(struct out *q, const void *p, uint32_t len)
{
	push(q, p, len);
}

static void
sent(struct out *q, size_t n)
{
	while (n > 0) {
		struct iovec *v = &q->iov[q->first];

		if (n < v->iov_len) {
			v->iov_base = (uint8_t *)v->iov_base + n;
			v->iov_len -= n;
			return;
		}
		n -= v->iov_len;
		q->first++;
	}
	if (q->first == q->last)
		q->first = q->last = 0;
}

bool
out_flush(struct out *q, int fd)
{
	while (q->first < q->last) {
		struct msghdr m = {.msg_iov = q->iov + q->first,
				   .msg_iovlen = GW_MIN(q->last - q->first, (uint32_t)IOV_MAX)};
		ssize_t n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0 && errno != EINTR)
			die("the target closed the connection while commands were sent: %s",
			    strerror(errno));
		if (n > 0)
			sent(q, (size_t)n);
	}
	return true;
}
