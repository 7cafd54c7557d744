/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a namespace says it is. The pages come from a device, which may be anything: whatever it
 * says, what is made of it is in range.
 */
#include <errno.h>
#include <string.h>

#include "backend/nvme_identify.h"

#include "backend/backend_priv.h"
#include "gateway/base/num.h"

#define PAGE           4096u /* CAP.MPSMIN is at least that, and not to be had from here */
#define XFER_MAX       (1u << 30)
#define ZERO_BYTES_MAX (64u << 20) /* a device may have to write them */
#define SHIFT_MIN      9
#define SHIFT_MAX      16
#define PHYS_MAX       (64u << 10)
#define UNMAP_MAX      (1u << 30)

static uint32_t
le16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t
le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static uint64_t
le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static bool
is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* A power of two of memory pages, as MDTS and WZSL have it; 0 is no limit. */
static uint32_t
pages(uint8_t exponent)
{
	return exponent == 0 || exponent > 18 ? XFER_MAX : PAGE << exponent;
}

/* Blocks, 0's based, in bytes; `otherwise` unless a power of two up to max. */
static uint32_t
granule(const uint8_t *p, uint8_t shift, uint32_t max, uint32_t otherwise)
{
	uint64_t v = (uint64_t)(le16(p) + 1) << shift;

	return is_pow2(v) && v <= max ? (uint32_t)v : otherwise;
}

/* NVM 4.1.5.1: FLBAS names one of the formats. */
static int
parse_format(const uint8_t *ns, const char *path, struct nvme_identity *id, char *err,
	     unsigned err_size)
{
	unsigned flbas = ns[26], nformats = ns[25] + 1u, at = flbas & 0xf;
	const uint8_t *format;

	if (nformats > 16)
		at |= (flbas >> 1) & 0x30;
	if (at >= nformats || at >= 64)
		return be_refuse(err, err_size, -EINVAL, "%s has no known format", path);
	format = ns + 128 + 4 * at;
	if (le16(format))
		return be_refuse(
		    err, err_size, -EINVAL,
		    "%s has %u bytes of metadata with each block: it must be formatted "
		    "without",
		    path, le16(format));
	if (format[2] < SHIFT_MIN || format[2] > SHIFT_MAX)
		return be_refuse(err, err_size, -EINVAL, "%s has blocks of 2^%u bytes", path,
				 format[2]);
	id->shift = format[2];
	id->nblk = le64(ns);
	if (!id->nblk)
		return be_refuse(err, err_size, -EINVAL, "%s is not attached or empty", path);
	if (id->nblk > (uint64_t)INT64_MAX >> id->shift)
		return be_refuse(err, err_size, -EINVAL, "%s says that it has %llu blocks", path,
				 (unsigned long long)id->nblk);
	return 0;
}

/*
 * NVM 2.1.4: what is atomic both beside other commands and in a power failure. A boundary is a
 * multiple of its size counted from NABO; one that does not begin at 0 is more than BE_ATOMIC can
 * say.
 */
static void
parse_atomic(const uint8_t *ctrl, const uint8_t *ns, struct nvme_identity *id)
{
	uint64_t normal = le16(ctrl + 526), power = le16(ctrl + 528), boundary[2] = {0}, small, big;
	uint64_t bytes;

	if (ns[24] & 1 << 1) {
		normal = le16(ns + 34) ? le16(ns + 34) : normal;
		power = le16(ns + 36) ? le16(ns + 36) : power;
		for (unsigned i = 0; i < 2; i++)
			boundary[i] = le16(ns + 40 + 4 * i);
	}
	bytes = (GW_MIN(normal, power) + 1) << id->shift;
	id->atomic_max = (uint32_t)GW_MIN(bytes, (uint64_t)XFER_MAX);
	if (!boundary[0] && !boundary[1])
		return;
	for (unsigned i = 0; i < 2; i++)
		boundary[i] = boundary[i] ? (boundary[i] + 1) << id->shift : 0;
	small = boundary[0] && boundary[1] ? GW_MIN(boundary[0], boundary[1])
					   : GW_MAX(boundary[0], boundary[1]);
	big = GW_MAX(boundary[0], boundary[1]);
	if (le16(ns + 42) || big % small || small > XFER_MAX) {
		id->atomic_max = 0;
		return;
	}
	id->atomic_boundary = (uint32_t)small;
	id->atomic_max = GW_MIN(id->atomic_max, id->atomic_boundary);
}

/* 5.17.2.1: ONCS; NVM 4.1.5.2: the limits of what it announces. */
static void
parse_ranges(const uint8_t *ctrl, const uint8_t *ns, const uint8_t *nvm, struct nvme_identity *id)
{
	uint32_t oncs = le16(ctrl + 520), blocks = ZERO_BYTES_MAX >> id->shift;

	id->dsm = oncs & 1 << 2;
	id->zero = oncs & 1 << 3;
	/* DLFEAT: what is deallocated reads as zeroes (001b), and DEAC is known (bit 3). */
	id->zero_deallocates = id->zero && (ns[33] & 0xf) == 0x9;
	id->zero_max = GW_MIN(blocks, 65536u);
	id->dsm_ranges = NVME_DSM_RANGES;
	id->dsm_range_max = UINT32_MAX;
	id->dsm_max = UINT64_MAX;
	if (!nvm)
		return;
	if (nvm[1]) {
		blocks = GW_MAX(pages(nvm[1]) >> id->shift, 1u);
		id->zero_max = GW_MIN(id->zero_max, blocks);
	}
	if (nvm[2])
		id->dsm_ranges = GW_MIN((uint32_t)nvm[2], id->dsm_ranges);
	if (le32(nvm + 4))
		id->dsm_range_max = le32(nvm + 4);
	if (le64(nvm + 8))
		id->dsm_max = le64(nvm + 8);
}

static void
parse_granularity(const uint8_t *ns, struct nvme_identity *id)
{
	uint32_t block = 1u << id->shift;

	id->phys_block = id->unmap_align = block;
	if (!(ns[24] & 1 << 4))
		return;
	id->phys_block = granule(ns + 64, id->shift, PHYS_MAX, block);
	/* A physical block is what a power failure leaves whole. */
	while (id->phys_block > block && id->phys_block > id->atomic_max)
		id->phys_block /= 2;
	id->unmap_align = granule(ns + 68, id->shift, UNMAP_MAX, block);
}

static uint32_t
parse_sanitize(const uint8_t *ctrl)
{
	uint32_t cap = le32(ctrl + 328), kinds = 0;

	if (cap & 1 << 0)
		kinds |= 1 << BE_SANITIZE_CRYPTO;
	if (cap & 1 << 1)
		kinds |= 1 << BE_SANITIZE_BLOCK;
	if (cap & 1 << 2)
		kinds |= 1 << BE_SANITIZE_OVERWRITE;
	return kinds ? kinds | 1 << BE_SANITIZE_EXIT : 0;
}

int
nvme_identity_parse(const uint8_t *ctrl, const uint8_t *ns, const uint8_t *nvm, const char *path,
		    struct nvme_identity *id, char *err, unsigned err_size)
{
	int rc;

	memset(id, 0, sizeof(*id));
	rc = parse_format(ns, path, id, err, err_size);
	if (rc)
		return rc;
	id->xfer_max = pages(ctrl[77]);
	if (id->xfer_max < 1u << id->shift)
		return be_refuse(
		    err, err_size, -EINVAL,
		    "%s has blocks of %u bytes, more than its controller moves at once", path,
		    1u << id->shift);
	id->volatile_cache = id->flushes = ctrl[525] & 1;
	id->write_protected = ns[99] & 1;
	parse_atomic(ctrl, ns, id);
	parse_ranges(ctrl, ns, nvm, id);
	parse_granularity(ns, id);
	id->sanitize_kinds = parse_sanitize(ctrl);
	id->shared_subsystem = ctrl[76] & 1 << 1;
	id->lists_allocated = le16(ctrl + 256) & 1 << 3;
	return 0;
}

bool
nvme_list_is_only(const uint8_t *list, uint32_t nsid)
{
	return nsid && le32(list) == nsid && le32(list + 4) == 0;
}

enum be_sanitize_state
nvme_sanitize_log(const uint8_t *log, uint16_t *progress)
{
	*progress = 0;
	switch (log[2] & 7) {
	case 1:
	case 4:
		return BE_SANITIZED;
	case 2:
		*progress = (uint16_t)le16(log);
		return BE_SANITIZE_RUNS;
	case 3:
		return BE_SANITIZE_FAILED;
	default:
		return BE_SANITIZED_NEVER;
	}
}
