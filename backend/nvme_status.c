/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one translation of an NVMe command's end. The kernel hands out the completion's status field
 * without its phase bit: status code in bits 7:0, its type in 10:8, "do not retry" in 14
 * (Base 4.2.3), or -errno where the command never came to an end of its own.
 */
#include <errno.h>

#include "backend/nvme_priv.h"
#include "gateway/base/num.h"

#define STATUS_DNR 0x4000
#define STATUS     0x07ff

static const struct {
	uint16_t status; /* type << 8 | code */
	struct nvme_verdict verdict;
} verdicts[] = {
    /* generic */
    {0x001, {BE_ENOTSUP, NVME_NO_RETRY}},  /* invalid opcode */
    {0x002, {BE_ENOTSUP, NVME_NO_RETRY}},  /* invalid field */
    {0x004, {BE_EMEDIUM, NVME_RETRY_FEW}}, /* data transfer error */
    {0x005, {BE_EGONE, NVME_RETRY_LONG}},  /* aborted: power loss */
    {0x006, {BE_EMEDIUM, NVME_RETRY_FEW}}, /* internal error */
    {0x007, {BE_EBUSY, NVME_RETRY_LONG}},  /* aborted on request */
    {0x008, {BE_EGONE, NVME_RETRY_LONG}},  /* aborted: queue deleted */
    {0x00b, {BE_EGONE, NVME_NO_RETRY}},    /* invalid namespace or format */
    {0x014, {BE_ENOTSUP, NVME_NO_RETRY}},  /* atomic write unit exceeded */
    {0x015, {BE_EROFS, NVME_NO_RETRY}},    /* operation denied */
    {0x01c, {BE_EMEDIUM, NVME_NO_RETRY}},  /* sanitize failed */
    {0x01d, {BE_EBUSY, NVME_NO_RETRY}},    /* sanitize in progress */
    {0x020, {BE_EROFS, NVME_NO_RETRY}},    /* namespace is write protected */
    {0x021, {BE_EBUSY, NVME_RETRY_LONG}},  /* command interrupted */
    {0x022, {BE_EGONE, NVME_RETRY_LONG}},  /* transient transport error */
    {0x023, {BE_EROFS, NVME_NO_RETRY}},    /* prohibited by lockdown */
    {0x080, {BE_ERANGE, NVME_NO_RETRY}},   /* LBA out of range */
    {0x081, {BE_ENOSPC, NVME_NO_RETRY}},   /* capacity exceeded: a thin namespace is full */
    {0x082, {BE_EGONE, NVME_RETRY_LONG}},  /* namespace not ready */
    {0x083, {BE_EGONE, NVME_NO_RETRY}},    /* reservation conflict: another host has it */
    {0x084, {BE_EBUSY, NVME_NO_RETRY}},    /* format in progress */
    /* command specific */
    {0x182, {BE_EROFS, NVME_NO_RETRY}},   /* write to a read-only range */
    {0x183, {BE_ENOTSUP, NVME_NO_RETRY}}, /* command size limit exceeded */
    /* media and data integrity */
    {0x285, {BE_EMEDIUM, NVME_NO_RETRY}}, /* compare failure */
    {0x286, {BE_EROFS, NVME_NO_RETRY}},   /* access denied */
    {0x287, {BE_EMEDIUM, NVME_NO_RETRY}}, /* deallocated or unwritten block */
    /* path, most of them the host's own words */
    {0x301, {BE_EGONE, NVME_NO_RETRY}}, /* asymmetric access: persistent loss */
};

/* What is not in the table, by its type. */
static struct nvme_verdict
by_type(unsigned status)
{
	if (status >> 8 == 3)
		return (struct nvme_verdict){BE_EGONE, NVME_RETRY_LONG};
	return (struct nvme_verdict){BE_EMEDIUM, NVME_RETRY_FEW};
}

/* EINTR: the driver took the command back, because it resets the controller or has lost it. */
static struct nvme_verdict
of_errno(int e)
{
	switch (e) {
	case EINTR:
		return (struct nvme_verdict){BE_EGONE, NVME_RETRY_LONG};
	case EAGAIN:
	case ENOMEM:
	case EBUSY:
		return (struct nvme_verdict){BE_EBUSY, NVME_RETRY_LONG};
	case EIO:
		return (struct nvme_verdict){BE_EMEDIUM, NVME_RETRY_FEW};
	default:
		return (struct nvme_verdict){be_st_of_errno(e), NVME_NO_RETRY};
	}
}

struct nvme_verdict
nvme_verdict(int res)
{
	unsigned status = (unsigned)res & STATUS;
	struct nvme_verdict v;

	if (res < 0)
		return of_errno(-res);
	if (!status)
		return (struct nvme_verdict){BE_OK, NVME_NO_RETRY};
	v = by_type(status);
	for (unsigned i = 0; i < GW_ARRAY_LEN(verdicts); i++) {
		if (verdicts[i].status == status)
			v = verdicts[i].verdict;
	}
	if (res & STATUS_DNR)
		v.retry = NVME_NO_RETRY;
	return v;
}

uint32_t
nvme_retry_ms(enum nvme_retry retry, unsigned tries)
{
	/* About as long as a controller's reset takes, and well before an initiator gives up. */
	static const uint16_t few[] = {1, 10, 50};
	static const uint16_t many[] = {1, 10, 20, 50, 100, 200, 500, 1000, 1000, 1000, 1000, 1000};

	switch (retry) {
	case NVME_NO_RETRY:
		break;
	case NVME_RETRY_FEW:
		return tries < GW_ARRAY_LEN(few) ? few[tries] : 0;
	case NVME_RETRY_LONG:
		return tries < GW_ARRAY_LEN(many) ? many[tries] : 0;
	}
	return 0;
}
