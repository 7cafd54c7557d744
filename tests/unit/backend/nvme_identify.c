/* SPDX-License-Identifier: BSD-3-Clause */
/* Identify pages of honest and of hostile devices. */
#include <errno.h>
#include <string.h>

#include "backend/nvme_priv.h"
#include "gateway/base/num.h"
#include "tests/unit/base/suite.h"

static uint8_t ctrl[NVME_IDENTIFY_SIZE], ns[NVME_IDENTIFY_SIZE], nvm[NVME_IDENTIFY_SIZE];
static struct nvme_identity id;
static char err[256];

static void
put(uint8_t *p, uint64_t v, unsigned n)
{
	for (; n; n--, v >>= 8)
		*p++ = (uint8_t)v;
}

/* 1 GiB in blocks of 512 bytes, 512 KiB at once, a volatile cache, nothing optional. */
static void
plain(void)
{
	memset(ctrl, 0, sizeof(ctrl));
	memset(ns, 0, sizeof(ns));
	memset(nvm, 0, sizeof(nvm));
	memset(&id, 0xa5, sizeof(id));
	err[0] = 0;
	ctrl[77] = 7;
	ctrl[525] = 1;
	put(ns, 1u << 21, 8);
	ns[128 + 2] = 9;
}

static int
parse(const uint8_t *more)
{
	return nvme_identity_parse(ctrl, ns, more, "/dev/ng0n1", &id, err, sizeof(err));
}

static void
refused(const char *why)
{
	ck_assert_int_eq(parse(nvm), -EINVAL);
	ck_assert_msg(strstr(err, why), "%s", err);
}

START_TEST(test_plain)
{
	plain();
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.nblk, 1u << 21);
	ck_assert_uint_eq(id.shift, 9);
	ck_assert_uint_eq(id.xfer_max, 512u << 10);
	ck_assert(id.volatile_cache && id.flushes && !id.write_protected);
	ck_assert(!id.dsm && !id.zero && !id.zero_deallocates);
	ck_assert_uint_eq(id.phys_block, 512);
	ck_assert_uint_eq(id.unmap_align, 512);
	ck_assert_uint_eq(id.atomic_max, 512);
	ck_assert_uint_eq(id.atomic_boundary, 0);
	ck_assert_uint_eq(id.sanitize_kinds, 0);
}
END_TEST

START_TEST(test_formats)
{
	plain();
	ns[25] = 1;
	ns[26] = 1;
	put(ns + 132, 12u << 16, 4);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.shift, 12);
	put(ns + 132, 12u << 16 | 8, 4);
	refused("8 bytes of metadata");
	ns[26] = 2;
	refused("no known format");
	/* More than 16 formats: the upper bits of the index count. */
	plain();
	ns[25] = 20;
	ns[26] = 1 << 5 | 3;
	put(ns + 128 + 4 * 19, 12u << 16, 4);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.shift, 12);
	/* ... and otherwise not. */
	ns[25] = 3;
	put(ns + 128 + 4 * 3, 9u << 16, 4);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.shift, 9);
	ns[25] = 255;
	ns[26] = 0x6f;
	refused("blocks of 2^0");
}
END_TEST

START_TEST(test_sizes)
{
	plain();
	put(ns, 0, 8);
	refused("not attached");
	put(ns, UINT64_MAX, 8);
	refused("says that it has");
	put(ns, (uint64_t)INT64_MAX >> 9, 8);
	ck_assert_int_eq(parse(NULL), 0);
	for (unsigned shift = 0; shift < 256; shift++) {
		plain();
		ns[130] = (uint8_t)shift;
		ck_assert_int_eq(parse(NULL), shift >= 9 && shift <= 16 ? 0 : -EINVAL);
	}
	plain();
	ns[130] = 16;
	ctrl[77] = 1;
	refused("more than its controller moves");
}
END_TEST

START_TEST(test_transfer_limit)
{
	static const struct {
		uint8_t mdts;
		uint32_t max;
	} t[] = {{0, 1u << 30}, {1, 8192}, {5, 128u << 10}, {18, 1u << 30}, {255, 1u << 30}};

	for (unsigned i = 0; i < GW_ARRAY_LEN(t); i++) {
		plain();
		ctrl[77] = t[i].mdts;
		ck_assert_int_eq(parse(NULL), 0);
		ck_assert_uint_eq(id.xfer_max, t[i].max);
	}
}
END_TEST

START_TEST(test_atomicity)
{
	plain();
	put(ctrl + 526, 255, 2);
	put(ctrl + 528, 7, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.atomic_max, 4096);
	/* The namespace's own count only where NSFEAT says so. */
	put(ns + 36, 31, 2);
	put(ns + 44, 3, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.atomic_max, 4096);
	ns[24] = 2;
	put(ns + 44, 0, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.atomic_max, 16384);
	/* Boundaries: the smaller one, if the other is a multiple. */
	put(ns + 40, 63, 2);
	put(ns + 44, 15, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.atomic_boundary, 8192);
	ck_assert_uint_eq(id.atomic_max, 8192);
	put(ns + 44, 16, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.atomic_max, 0);
	put(ns + 44, 15, 2);
	put(ns + 42, 1, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.atomic_max, 0);
	/* The largest that can be said. */
	plain();
	ns[130] = 16;
	put(ctrl + 526, 0xffff, 2);
	put(ctrl + 528, 0xffff, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.atomic_max, 1u << 30);
}
END_TEST

START_TEST(test_deallocation)
{
	plain();
	put(ctrl + 520, 1 << 2 | 1 << 3, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert(id.dsm && id.zero && !id.zero_deallocates);
	ck_assert_uint_eq(id.zero_max, 65536);
	ck_assert_uint_eq(id.dsm_ranges, NVME_DSM_RANGES);
	ck_assert_uint_eq(id.dsm_range_max, UINT32_MAX);
	/* Zeroes without DEAC, DEAC without zeroes, both. */
	ns[33] = 1;
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert(!id.zero_deallocates);
	ns[33] = 8;
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert(!id.zero_deallocates);
	ns[33] = 9;
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert(id.zero_deallocates);
	put(ctrl + 520, 1 << 2, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert(!id.zero_deallocates);
	/* Limits. */
	nvm[1] = 5;
	nvm[2] = 3;
	put(nvm + 4, 1000, 4);
	put(nvm + 8, 2000, 8);
	ck_assert_int_eq(parse(nvm), 0);
	ck_assert_uint_eq(id.zero_max, 256);
	ck_assert_uint_eq(id.dsm_ranges, 3);
	ck_assert_uint_eq(id.dsm_range_max, 1000);
	ck_assert_uint_eq(id.dsm_max, 2000);
	nvm[1] = nvm[2] = 255;
	ck_assert_int_eq(parse(nvm), 0);
	ck_assert_uint_eq(id.zero_max, 65536);
	ck_assert_uint_eq(id.dsm_ranges, NVME_DSM_RANGES);
	/* Less than a block is a block. */
	ns[130] = 16;
	ctrl[77] = 0;
	nvm[1] = 1;
	ck_assert_int_eq(parse(nvm), 0);
	ck_assert_uint_eq(id.zero_max, 1);
}
END_TEST

START_TEST(test_granularity)
{
	plain();
	put(ns + 64, 7, 2);
	put(ns + 68, 31, 2);
	put(ctrl + 526, 7, 2);
	put(ctrl + 528, 7, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.phys_block, 512);
	ns[24] = 1 << 4;
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.phys_block, 4096);
	ck_assert_uint_eq(id.unmap_align, 16384);
	put(ctrl + 528, 3, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.phys_block, 2048);
	put(ns + 64, 6, 2);
	put(ns + 68, 0xfffe, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.phys_block, 512);
	ck_assert_uint_eq(id.unmap_align, 512);
}
END_TEST

START_TEST(test_sanitize)
{
	uint8_t list[8] = {5}, log[8] = {0x34, 0x12, 0xfa};
	uint16_t progress = 7;

	plain();
	put(ctrl + 328, 3, 4);
	ctrl[76] = 2;
	put(ctrl + 256, 8, 2);
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert_uint_eq(id.sanitize_kinds,
			  1 << BE_SANITIZE_BLOCK | 1 << BE_SANITIZE_CRYPTO | 1 << BE_SANITIZE_EXIT);
	ck_assert(id.shared_subsystem && id.lists_allocated);
	ck_assert(nvme_list_is_only(list, 5));
	ck_assert(!nvme_list_is_only(list, 6));
	list[4] = 6;
	ck_assert(!nvme_list_is_only(list, 5));
	memset(list, 0, sizeof(list));
	ck_assert(!nvme_list_is_only(list, 0));
	ck_assert_int_eq(nvme_sanitize_log(log, &progress), BE_SANITIZE_RUNS);
	ck_assert_uint_eq(progress, 0x1234);
	log[2] = 1;
	ck_assert_int_eq(nvme_sanitize_log(log, &progress), BE_SANITIZED);
	ck_assert_uint_eq(progress, 0);
	log[2] = 3;
	ck_assert_int_eq(nvme_sanitize_log(log, &progress), BE_SANITIZE_FAILED);
	log[2] = 7;
	ck_assert_int_eq(nvme_sanitize_log(log, &progress), BE_SANITIZED_NEVER);
}
END_TEST

START_TEST(test_status)
{
	static const struct {
		int res;
		enum be_st st;
		bool retry;
	} t[] = {
	    {0, BE_OK, false},
	    {0x4000, BE_OK, false},
	    {0x001, BE_ENOTSUP, false},
	    {0x006, BE_EMEDIUM, true},
	    {0x4006, BE_EMEDIUM, false},
	    {0x020, BE_EROFS, false},
	    {0x080, BE_ERANGE, false},
	    {0x4080, BE_ERANGE, false},
	    {0x081, BE_ENOSPC, false},
	    {0x082, BE_EGONE, true},
	    {0x281, BE_EMEDIUM, true},
	    {0x4281, BE_EMEDIUM, false},
	    {0x280, BE_EMEDIUM, true},
	    {0x287, BE_EMEDIUM, false},
	    {0x301, BE_EGONE, false},
	    {0x371, BE_EGONE, true},
	    {0x7ff, BE_EMEDIUM, true},
	    {0x2000 | 0x281, BE_EMEDIUM, true}, /* "more" */
	    {INT32_MAX, BE_EMEDIUM, false},
	    {-EINTR, BE_EGONE, true},
	    {-ENODEV, BE_EGONE, false},
	    {-EIO, BE_EMEDIUM, true},
	    {-EAGAIN, BE_EBUSY, true},
	    {-EINVAL, BE_EMEDIUM, false},
	};

	for (unsigned i = 0; i < GW_ARRAY_LEN(t); i++) {
		struct nvme_verdict v = nvme_verdict(t[i].res);

		ck_assert_msg(v.st == t[i].st && (v.retry != NVME_NO_RETRY) == t[i].retry,
			      "0x%x: st=%d retry=%d", (unsigned)t[i].res, v.st, v.retry);
	}
	/* Whatever the device says, it is one of ours, and tries come to an end within 10 s. */
	for (int res = 0; res < 0x8000; res++) {
		struct nvme_verdict v = nvme_verdict(res);
		uint32_t sum = 0, ms;
		unsigned tries = 0;

		ck_assert_int_lt(v.st, BE_ST_MAX);
		ck_assert((v.st == BE_OK) == !(res & 0x7ff));
		while ((ms = nvme_retry_ms(v.retry, tries++)))
			sum += ms;
		ck_assert_uint_le(sum, 10000);
		ck_assert(!(res & 0x4000) || !sum);
	}
}
END_TEST

SUITE("backend/nvme_identify", test_plain, test_formats, test_sizes, test_transfer_limit,
      test_atomicity, test_deallocation, test_granularity, test_sanitize, test_status)
