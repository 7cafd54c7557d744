/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "iscsi/keys.h"
#include "iscsi/nego.h"
#include "tests/unit/base/suite.h"

#define BIT(k) (1ull << (k))

START_TEST(test_table_is_whole)
{
	for (unsigned k = 0; k < ISCSI_KEY_MAX; k++) {
		const struct iscsi_key_def *d = &iscsi_keys[k];

		ck_assert_msg(d->name && d->rfc, "row %u", k);
		ck_assert_msg(iscsi_key_find(d->name) == k, "%s is there twice", d->name);
		ck_assert(strlen(d->name) <= ISCSI_TEXT_KEY_MAX);
		ck_assert(d->use & (ISCSI_USE_LOGIN | ISCSI_USE_FULL));
		ck_assert(d->value_max > 0);
		if (d->off != ISCSI_KEY_NOWHERE) {
			ck_assert(d->off < sizeof(struct iscsi_params));
			ck_assert(d->min <= d->def && d->def <= d->max);
		}
	}
	ck_assert_int_eq(iscsi_key_find("maxburstlength"), ISCSI_KEY_MAX);
	ck_assert_int_eq(iscsi_key_find(""), ISCSI_KEY_MAX);
}
END_TEST

/* RFC 7143 13: the defaults hold where nothing is negotiated. */
START_TEST(test_defaults)
{
	struct iscsi_params p;

	iscsi_params_default(&p);
	ck_assert_uint_eq(p.max_recv_dsl, 8192);
	ck_assert_uint_eq(p.max_xmit_dsl, 8192);
	ck_assert_uint_eq(p.max_burst, 262144);
	ck_assert_uint_eq(p.first_burst, 65536);
	ck_assert_uint_eq(p.max_outstanding_r2t, 1);
	ck_assert_uint_eq(p.max_connections, 1);
	ck_assert_uint_eq(p.erl, 0);
	ck_assert_uint_eq(p.time2wait, 2);
	ck_assert_uint_eq(p.time2retain, 20);
	ck_assert_uint_eq(p.protocol_level, 1);
	ck_assert(p.initial_r2t && p.immediate_data);
	ck_assert(p.data_pdu_in_order && p.data_sequence_in_order);
	ck_assert(!p.header_digest && !p.data_digest && !p.rdma_extensions);
}
END_TEST

static const struct gw_target_params want = {
    .max_recv_dsl = 65536,
    .max_xmit_dsl = 131072,
    .first_burst = 32768,
    .max_burst = 131072,
    .max_outstanding_r2t = 8,
    .default_time2wait = 5,
    .default_time2retain = 10,
    .immediate_data = true,
    .header_digest = 3,
    .data_digest = 1,
};

/* What is answered to one key offered alone; "" for nothing, NULL if the login ends. */
static const char *
ask(const struct gw_target_params *target, bool iser, const char *offer)
{
	static char answer[1024];
	char in[256];
	struct iscsi_nego nego;
	struct iscsi_params active;
	struct iscsi_keyset set;
	struct iscsi_text_out out;
	uint64_t seen = 0;
	char why[160] = "";
	size_t n = strlen(offer);

	memcpy(in, offer, n);
	for (size_t i = 0; i < n; i++) {
		if (in[i] == ' ')
			in[i] = '\0';
	}
	iscsi_nego_init(&nego, target, 262144, iser, true, &active);
	iscsi_text_out_init(&out, answer, sizeof(answer) - 1);
	ck_assert(
	    iscsi_keys_read(in, n, ISCSI_STAGE_OPERATIONAL, &seen, &set, &out, why, sizeof(why)));
	if (!iscsi_nego_step(&nego, &set, seen, &active, &out, why, sizeof(why))) {
		ck_assert(why[0]);
		return NULL;
	}
	for (uint32_t i = 0; i + 1 < out.len; i++) {
		if (!answer[i])
			answer[i] = ' ';
	}
	answer[out.len] = '\0';
	return answer;
}

/* Every negotiated key at the ends of its range and beyond; what the target wants is in `want`. */
START_TEST(test_answers)
{
	static const char *const rows[][2] = {
	    {"MaxConnections=0", "Reject"},
	    {"MaxConnections=1", "1"},
	    {"MaxConnections=65535", "1"},
	    {"MaxConnections=65536", "Reject"},
	    {"MaxConnections=Yes", "Reject"},
	    {"InitialR2T=Yes", "Yes"},
	    {"InitialR2T=No", "No"},
	    {"InitialR2T=no", "Reject"},
	    {"ImmediateData=Yes", "Yes"},
	    {"ImmediateData=No", "No"},
	    {"ImmediateData=", "Reject"},
	    {"MaxRecvDataSegmentLength=511", "Reject"},
	    {"MaxRecvDataSegmentLength=512", ""},
	    {"MaxRecvDataSegmentLength=16777215", ""},
	    {"MaxRecvDataSegmentLength=16777216", "Reject"},
	    {"MaxBurstLength=511", "Reject"},
	    {"MaxBurstLength=512", "512"},
	    {"MaxBurstLength=0x20001", "131072"},
	    {"MaxBurstLength=16777215", "131072"},
	    {"MaxBurstLength=16777216", "Reject"},
	    {"FirstBurstLength=511", "Reject"},
	    {"FirstBurstLength=512", "512"},
	    {"FirstBurstLength=16777215", "32768"},
	    {"FirstBurstLength=16777216", "Reject"},
	    {"DefaultTime2Wait=0", "5"},
	    {"DefaultTime2Wait=3600", "3600"},
	    {"DefaultTime2Wait=3601", "Reject"},
	    {"DefaultTime2Retain=0", "0"},
	    {"DefaultTime2Retain=3600", "10"},
	    {"DefaultTime2Retain=3601", "Reject"},
	    {"MaxOutstandingR2T=0", "Reject"},
	    {"MaxOutstandingR2T=1", "1"},
	    {"MaxOutstandingR2T=65535", "8"},
	    {"MaxOutstandingR2T=65536", "Reject"},
	    {"DataPDUInOrder=No", "Yes"},
	    {"DataSequenceInOrder=No", "Yes"},
	    {"ErrorRecoveryLevel=0", "0"},
	    {"ErrorRecoveryLevel=2", "0"},
	    {"ErrorRecoveryLevel=3", "Reject"},
	    {"HeaderDigest=None", "None"},
	    {"HeaderDigest=CRC32C", "CRC32C"},
	    {"HeaderDigest=CRC32C,None", "CRC32C"},
	    {"HeaderDigest=None,CRC32C", "None"},
	    {"HeaderDigest=CRC64,X,CRC32C", "CRC32C"},
	    {"HeaderDigest=crc32c", "Reject"},
	    {"DataDigest=CRC32C,None", "None"},
	    {"DataDigest=CRC32C", "Reject"},
	    {"TaskReporting=FastAbort,ResponseFence,RFC3720", "ResponseFence"},
	    {"TaskReporting=FastAbort", "Reject"},
	    {"iSCSIProtocolLevel=2", "1"},
	    {"iSCSIProtocolLevel=0", "0"},
	    {"iSCSIProtocolLevel=32", "Reject"},
	    {"IFMarker=Yes", "No"},
	    {"OFMarker=No", "No"},
	    {"IFMarkInt=2048~8192", "Reject"},
	    {"OFMarkInt=1~65535", "Reject"},
	    {"X#NodeArchitecture=Linux,x86_64", ""},
	    {"X-com.example.key=1", "NotUnderstood"},
	    {"Frobnicate=NotUnderstood", ""},
	    {"RDMAExtensions=Yes", "No"},
	    {"InitiatorRecvDataSegmentLength=8192", "Irrelevant"},
	    {"MaxOutstandingUnexpectedPDUs=0", "Irrelevant"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char expected[128] = "";

		if (rows[i][1][0])
			snprintf(expected, sizeof(expected), "%.*s=%s",
				 (int)strcspn(rows[i][0], "="), rows[i][0], rows[i][1]);
		ck_assert_str_eq(ask(&want, false, rows[i][0]), expected);
	}
}
END_TEST

START_TEST(test_together)
{
	/* FirstBurstLength is cut to MaxBurstLength in whatever order they come, 13.14. */
	ck_assert_str_eq(ask(&want, false, "FirstBurstLength=32768 MaxBurstLength=4096"),
			 "MaxBurstLength=4096 FirstBurstLength=4096");
	/* Irrelevant where 13 says so, when SessionType is Discovery. */
	ck_assert_str_eq(ask(NULL, false, "MaxBurstLength=4096 InitialR2T=No ErrorRecoveryLevel=1"),
			 "InitialR2T=Irrelevant MaxBurstLength=Irrelevant ErrorRecoveryLevel=0");
	/* RFC 7145 6.1, 6.3 to 6.7; nothing comes unasked but with its command. */
	ck_assert_str_eq(ask(&want, true,
			     "InitiatorRecvDataSegmentLength=16384 HeaderDigest=CRC32C,None "
			     "RDMAExtensions=Yes TargetRecvDataSegmentLength=512 "
			     "MaxOutstandingUnexpectedPDUs=9 iSERHelloRequired=No InitialR2T=No"),
			 "RDMAExtensions=Yes HeaderDigest=None InitialR2T=Yes "
			 "TargetRecvDataSegmentLength=512 InitiatorRecvDataSegmentLength=16384 "
			 "MaxOutstandingUnexpectedPDUs=16");
}
END_TEST

START_TEST(test_read_rules)
{
	static const struct {
		const char *in;
		enum iscsi_stage stage;
		uint64_t seen;
		const char *why;
	} rows[] = {
	    {"HeaderDigest=None", ISCSI_STAGE_SECURITY, 0, "has no place in security"},
	    {"AuthMethod=None", ISCSI_STAGE_OPERATIONAL, 0, "has no place in operational"},
	    {"SendTargets=All", ISCSI_STAGE_OPERATIONAL, 0, "has no place in operational"},
	    {"InitialR2T=No", ISCSI_STAGE_FULL, 0, "has no place in full feature phase"},
	    {"CHAP_A=5", ISCSI_STAGE_FULL, 0, "has no place in full feature phase"},
	    {"InitialR2T=No InitialR2T=No", ISCSI_STAGE_OPERATIONAL, 0, "came twice"},
	    {"InitialR2T=No", ISCSI_STAGE_OPERATIONAL, BIT(ISCSI_KEY_INITIAL_R2T), "came twice"},
	    {"InitialR2T", ISCSI_STAGE_OPERATIONAL, 0, "malformed"},
	    {"InitialR2T=N\x01o", ISCSI_STAGE_OPERATIONAL, 0, "control character"},
	};
	char buf[20000], answer[8192], why[160];
	struct iscsi_keyset set;
	struct iscsi_text_out out;
	uint64_t seen;
	size_t n;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strcpy(buf, rows[i].in);
		n = strlen(buf);
		if (strchr(buf, ' '))
			*strchr(buf, ' ') = '\0';
		seen = rows[i].seen;
		why[0] = '\0';
		iscsi_text_out_init(&out, answer, sizeof(answer));
		ck_assert(
		    !iscsi_keys_read(buf, n, rows[i].stage, &seen, &set, &out, why, sizeof(why)));
		ck_assert_msg(strstr(why, rows[i].why) != NULL, "%s: %s", rows[i].in, why);
	}

	/* The longest legal value, and one byte more. */
	strcpy(buf, "InitiatorName=");
	memset(buf + 14, 'a', 224);
	for (unsigned extra = 0; extra < 2; extra++) {
		seen = 0;
		ck_assert(iscsi_keys_read(buf, 14 + 223 + extra, ISCSI_STAGE_SECURITY, &seen, &set,
					  &out, why, sizeof(why)) == !extra);
		buf[13] = '=';
		buf[14 + 223] = 'a';
	}

	/* 2,048 tiny unknown keys would be answered with 32 KiB. */
	for (n = 0; n < 8192; n += 4)
		memcpy(buf + n, "a=b", 4);
	seen = 0;
	iscsi_text_out_init(&out, answer, sizeof(answer));
	ck_assert(
	    !iscsi_keys_read(buf, 8192, ISCSI_STAGE_SECURITY, &seen, &set, &out, why, sizeof(why)));
	ck_assert(out.len <= sizeof(answer));
	ck_assert_str_eq(answer + out.len - 16, "a=NotUnderstood");
}
END_TEST

/* Wishes out of range, as a broken configuration would have them, are brought into it. */
START_TEST(test_wishes_are_clamped)
{
	const struct gw_target_params odd = {.max_burst = UINT32_MAX, .default_time2wait = 99999};

	ck_assert_str_eq(ask(&odd, false,
			     "MaxBurstLength=16777215 FirstBurstLength=65536 "
			     "MaxOutstandingR2T=7 DefaultTime2Wait=0 HeaderDigest=CRC32C"),
			 "HeaderDigest=CRC32C MaxBurstLength=16777215 FirstBurstLength=512 "
			 "DefaultTime2Wait=3600 MaxOutstandingR2T=1");
}
END_TEST

SUITE("iscsi keys", test_table_is_whole, test_defaults, test_answers, test_together,
      test_read_rules, test_wishes_are_clamped)
