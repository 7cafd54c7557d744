/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/login.h"
#include "tests/unit/iscsi/dialogue.h"

#define OURS "TargetPortalGroupTag=1 MaxRecvDataSegmentLength=262144"

enum setup {
	PLAIN,
	CHAP = 1,      /* the target has accounts */
	DISC_CHAP = 2, /* discovery has */
	NO_ACL = 4,
	OFFLINE = 8,
	SYSTEM_OFFLINE = 16,
	MUST_DIGEST = 32, /* the target demands a header digest */
	ISER = 64,
	ALIAS = 128,
	GROUP_7 = 256, /* the portal's tag */
};

static const struct {
	const char *name;
	unsigned setup;
	const char *line[12];
} dialogues[] = {
    {"the shortest login", PLAIN, {"> O-F " NAMES, "< O-F " OURS}},
    {"the tag is the portal's", GROUP_7, {"> S-O " NAMES, "< S-O TargetPortalGroupTag=7"}},
    {"names in upper case",
     PLAIN,
     {"> O-F InitiatorName=IQN.2026-01.org.Example:HOST TargetName=IQN.2026-01.ORG.example:Disk",
      "< O-F " OURS}},
    {"security without authentication, straight to full feature phase",
     PLAIN,
     {"> S-F " NAMES " AuthMethod=None", "< S-F AuthMethod=None TargetPortalGroupTag=1"}},
    {"no AuthMethod at all in security negotiation",
     PLAIN,
     {"> S-O " NAMES, "< S-O TargetPortalGroupTag=1", "> O-F InitialR2T=No",
      "< O-F InitialR2T=No MaxRecvDataSegmentLength=262144"}},
    {"open-iscsi without CHAP",
     PLAIN,
     {"> S-O InitiatorName=iqn.2026-01.org.example:host InitiatorAlias=host TargetName=" IQN
      " SessionType=Normal AuthMethod=None",
      "< S-O AuthMethod=None TargetPortalGroupTag=1",
      "> O-F HeaderDigest=None DataDigest=None DefaultTime2Wait=2 DefaultTime2Retain=0 "
      "IFMarker=No OFMarker=No ErrorRecoveryLevel=0 InitialR2T=No ImmediateData=Yes "
      "MaxBurstLength=16776192 FirstBurstLength=262144 MaxOutstandingR2T=1 MaxConnections=1 "
      "DataPDUInOrder=Yes DataSequenceInOrder=Yes MaxRecvDataSegmentLength=262144",
      "< O-F HeaderDigest=None DataDigest=None MaxConnections=1 InitialR2T=No "
      "ImmediateData=Yes MaxBurstLength=262144 FirstBurstLength=65536 DefaultTime2Wait=2 "
      "DefaultTime2Retain=0 MaxOutstandingR2T=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes "
      "ErrorRecoveryLevel=0 IFMarker=No OFMarker=No MaxRecvDataSegmentLength=262144"}},
    {"stages that take several requests",
     PLAIN,
     {"> S " NAMES " AuthMethod=CHAP,None", "< S AuthMethod=None TargetPortalGroupTag=1", "> S",
      "< S", "> S-O", "< S-O", "> O ImmediateData=No",
      "< O ImmediateData=No MaxRecvDataSegmentLength=262144", "> O-F", "< O-F"}},
    {"an alias is told", ALIAS, {"> S-O " NAMES, "< S-O TargetPortalGroupTag=1 TargetAlias=blue"}},
    {"the initiator comments on what we told it",
     PLAIN,
     {"> S-O " NAMES, "< S-O TargetPortalGroupTag=1",
      "> O-F TargetPortalGroupTag=NotUnderstood MaxRecvDataSegmentLength=Irrelevant",
      "< O-F MaxRecvDataSegmentLength=262144"}},
    {"discovery",
     PLAIN,
     {"> S-O " DISC " AuthMethod=None", "< S-O AuthMethod=None",
      "> O-F MaxRecvDataSegmentLength=32768 InitialR2T=No",
      "< O-F InitialR2T=Irrelevant MaxRecvDataSegmentLength=262144"}},
    {"discovery with a target name",
     PLAIN,
     {"> O-F " DISC " TargetName=iqn.x", "< O-F MaxRecvDataSegmentLength=262144"}},
    {"discovery while targets want CHAP", CHAP, {"> S-F " DISC, "< S-F"}},
    {"discovery that wants CHAP",
     DISC_CHAP,
     {"> S-F " DISC " AuthMethod=None", "< !0201 CHAP is required for discovery"}},
    {"discovery that wants CHAP, security left out",
     DISC_CHAP,
     {"> O-F " DISC, "< !0201 CHAP is required for discovery"}},
    {"the digest that the target demands is offered, and taken",
     MUST_DIGEST,
     {"> O-F " NAMES, "< O HeaderDigest=CRC32C " OURS, "> O-F HeaderDigest=CRC32C", "< O-F"}},
    {"… and refused",
     MUST_DIGEST,
     {"> O-F " NAMES, "< O HeaderDigest=CRC32C " OURS, "> O-F HeaderDigest=None",
      "< !0200 answered our HeaderDigest with None"}},
    {"… and passed over",
     MUST_DIGEST,
     {"> O-F " NAMES, "< O HeaderDigest=CRC32C " OURS, "> O-F",
      "< !0200 the target demands HeaderDigest=CRC32C"}},
    {"… and the other is insisted on",
     MUST_DIGEST,
     {"> O-F " NAMES " HeaderDigest=None", "< !0200 the target demands HeaderDigest=CRC32C"}},
    {"… and operational negotiation left out",
     MUST_DIGEST,
     {"> S-F " NAMES, "< !0200 the target demands HeaderDigest=CRC32C"}},
    {"iSER",
     ISER,
     {"> O-F " NAMES " RDMAExtensions=Yes InitiatorRecvDataSegmentLength=65536 "
      "HeaderDigest=None",
      "< O-F RDMAExtensions=Yes HeaderDigest=None InitiatorRecvDataSegmentLength=65536 "
      "TargetPortalGroupTag=1"}},
    {"keys cut anywhere by the C bit",
     PLAIN,
     {"> S+ Initia", "< S", "> S+ torName=iqn.2026-01.org.example:ho", "< S",
      "> S+ st TargetName=" IQN " Auth", "< S", "> S-O Method=None",
      "< S-O AuthMethod=None TargetPortalGroupTag=1"}},
    {"an unknown key",
     PLAIN,
     {"> O-F " NAMES " X-org.example.q=1", "< O-F X-org.example.q=NotUnderstood " OURS}},

    {"no InitiatorName",
     PLAIN,
     {"> S-O TargetName=" IQN, "< !0207 no InitiatorName", "> S", "< drop"}},
    {"nothing at all", PLAIN, {"> S", "< !0207"}},
    {"no TargetName",
     PLAIN,
     {"> S-O InitiatorName=iqn.2026-01.org.example:host",
      "< !0207 iqn.2026-01.org.example:host asks for a normal session without TargetName"}},
    {"a name of no type",
     PLAIN,
     {"> S-O InitiatorName=host TargetName=" IQN, "< !0200 host is not an iSCSI name"}},
    {"a foreign target",
     PLAIN,
     {"> S-O InitiatorName=iqn.h TargetName=iqn.other",
      "< !0203 iqn.h asks for target iqn.other, which is not here"}},
    {"a target name that cannot be one",
     PLAIN,
     {"> S-O InitiatorName=iqn.h TargetName=a,b", "< !0203 a,b is not an iSCSI name"}},
    {"no rule admits it",
     NO_ACL,
     {"> S-O " NAMES, "< !0202 no access rule of target " IQN
		      " admits iqn.2026-01.org.example:host from 192.0.2.5"}},
    {"target offline", OFFLINE, {"> S-O " NAMES, "< !0301 target " IQN " is offline"}},
    {"system offline", SYSTEM_OFFLINE, {"> S-O " NAMES, "< !0301 system is offline"}},
    {"an unknown session type", PLAIN, {"> S-O " NAMES "x", "< !0203"}},
    {"SessionType=Boot",
     PLAIN,
     {"> S-O InitiatorName=iqn.h SessionType=Boot", "< !0209 SessionType Boot"}},
    {"CHAP wanted, None offered",
     CHAP,
     {"> S-O " NAMES " AuthMethod=None",
      "< !0201 CHAP is required for " IQN ", and iqn.2026-01.org.example:host offers only None"}},
    {"CHAP wanted, nothing offered", CHAP, {"> S-O " NAMES, "< !0201 CHAP is required for " IQN}},
    {"CHAP wanted, security left out",
     CHAP,
     {"> O-F " NAMES, "< !0201 did not authenticate itself"}},
    {"CHAP insisted on, no account",
     PLAIN,
     {"> S-O " NAMES " AuthMethod=KRB5,CHAP", "< !0201 no account is set for " IQN}},
    {"CHAP keys without AuthMethod",
     CHAP,
     {"> S " NAMES " CHAP_A=5", "< !0200 CHAP_A came without AuthMethod=CHAP"}},

    {"a key twice",
     PLAIN,
     {"> O " NAMES " InitialR2T=No InitialR2T=Yes", "< !0200 InitialR2T came twice"}},
    {"a key again, a request later",
     PLAIN,
     {"> O " NAMES " InitialR2T=No", "< O InitialR2T=No " OURS, "> O InitialR2T=No",
      "< !0200 InitialR2T came twice"}},
    {"InitiatorName again",
     PLAIN,
     {"> S " NAMES, "< S TargetPortalGroupTag=1", "> S InitiatorName=iqn.h",
      "< !0200 InitiatorName came twice"}},
    {"an operational key in security negotiation",
     PLAIN,
     {"> S " NAMES " InitialR2T=No", "< !0200 InitialR2T has no place in security"}},
    {"AuthMethod in operational negotiation",
     PLAIN,
     {"> O " NAMES " AuthMethod=None", "< !0200 AuthMethod has no place in operational"}},
    {"SendTargets during login",
     PLAIN,
     {"> O " DISC " SendTargets=All", "< !0200 SendTargets has no place"}},
    {"a key of the target",
     PLAIN,
     {"> S " NAMES " TargetPortalGroupTag=1", "< !0200 not the initiator's to send"}},
    {"text that is none", PLAIN, {"> S " NAMES " Auth", "< !0200 malformed"}},
    {"a burst agreed too early",
     PLAIN,
     {"> O " NAMES " FirstBurstLength=65536", "< O FirstBurstLength=65536 " OURS,
      "> O MaxBurstLength=512",
      "< !0200 FirstBurstLength 65536 was agreed before a smaller MaxBurstLength 512"}},

    {"a stage that was not agreed",
     PLAIN,
     {"> S " NAMES, "< S TargetPortalGroupTag=1", "> O",
      "< !0200 of stage 1, the login of stage 0"}},
    {"back to security",
     PLAIN,
     {"> S-O " NAMES, "< S-O TargetPortalGroupTag=1", "> S", "< !0200 of stage 0"}},
    {"to the same stage", PLAIN, {"> O-O " NAMES, "< !0200 transition from stage 1 to stage 1"}},
};

static void
set_up(struct talk *t, unsigned setup)
{
	t->w.target.nin = setup & CHAP ? 2 : 0;
	t->w.model.ndisc_in = setup & DISC_CHAP ? 2 : 0;
	if (setup & NO_ACL)
		t->w.target.nacl = 0;
	t->w.target.ready = !(setup & OFFLINE);
	t->w.model.ready = !(setup & SYSTEM_OFFLINE);
	if (setup & MUST_DIGEST)
		t->w.target.params.header_digest = 2;
	if (setup & ALIAS)
		strcpy(t->w.target.alias, "blue");
	if (setup & GROUP_7)
		t->w.portal.tpgt = 7;
	talk_open(t);
	t->l.env.iser = setup & ISER;
}

START_TEST(test_dialogues)
{
	for (unsigned i = 0; i < sizeof(dialogues) / sizeof(dialogues[0]); i++) {
		struct talk *t = talk_new();

		set_up(t, dialogues[i].setup);
		talk_run(t, dialogues[i].name, dialogues[i].line);
		talk_free(t);
	}
}
END_TEST

START_TEST(test_outcome)
{
	struct talk *t = talk_new();
	const struct iscsi_login *l = &t->l;

	talk_open(t);
	talk_send(t, 0x87,
		  "InitiatorAlias=me " NAMES " MaxRecvDataSegmentLength=200000 MaxBurstLength=4096 "
		  "HeaderDigest=CRC32C,None InitialR2T=No MaxOutstandingR2T=3");
	ck_assert_int_eq(t->next, ISCSI_LOGIN_GRANT);
	ck_assert_str_eq(l->initiator, "iqn.2026-01.org.example:host");
	ck_assert_str_eq(l->alias, "me");
	ck_assert_str_eq(l->target_name, IQN);
	ck_assert_ptr_eq(l->target, &t->w.target);
	ck_assert(!l->discovery);
	ck_assert_mem_eq(l->isid, "\x80\x12\x34\x56\x78\x9a", 6);
	ck_assert_uint_eq(l->cid, 3);
	ck_assert_uint_eq(l->tsih, 0);
	ck_assert_uint_eq(l->cmd_sn, 0xfffffffe);
	ck_assert_uint_eq(l->stat_sn, 78);
	ck_assert_uint_eq(l->params.max_recv_dsl, 262144);
	ck_assert_uint_eq(l->params.max_xmit_dsl, 131072); /* the target's limit */
	ck_assert_uint_eq(l->params.max_burst, 4096);
	ck_assert_uint_eq(l->params.first_burst, 4096); /* the default, cut: 13.14 */
	ck_assert_uint_eq(l->params.max_outstanding_r2t, 3);
	ck_assert(l->params.header_digest && !l->params.data_digest);
	ck_assert(!l->params.initial_r2t && l->params.immediate_data);
	talk_send(t, 0x87, "");
	ck_assert_int_eq(t->next, ISCSI_LOGIN_DROP);
	talk_free(t);

	/* Without operational negotiation the defaults hold on both sides. */
	t = talk_new();
	talk_open(t);
	talk_send(t, 0x83, NAMES);
	ck_assert_int_eq(t->next, ISCSI_LOGIN_GRANT);
	ck_assert_uint_eq(t->l.params.max_recv_dsl, 8192);
	ck_assert_uint_eq(t->l.params.max_xmit_dsl, 8192);
	ck_assert(t->l.params.initial_r2t);
	talk_free(t);
}
END_TEST

/* The session could not be made. */
START_TEST(test_grant_refused)
{
	struct talk *t = talk_new();

	talk_open(t);
	memcpy(t->bhs + ISCSI_AT_TSIH, "\x00\x09", 2);
	t->bhs[ISCSI_AT_FLAGS] = 0x83;
	ck_assert_int_eq(iscsi_login_rx(&t->l, t->bhs, (const uint8_t *)"", 0), ISCSI_LOGIN_REFUSE);
	iscsi_login_fini(&t->l);
	talk_open(t);
	ck_assert_int_eq(iscsi_login_rx(&t->l, t->bhs,
					(const uint8_t *)"InitiatorName=iqn.h\0TargetName=" IQN,
					sizeof("InitiatorName=iqn.h\0TargetName=" IQN)),
			 ISCSI_LOGIN_GRANT);
	ck_assert_uint_eq(t->l.tsih, 9); /* as asked: the caller's to judge */
	ck_assert_int_eq(iscsi_login_granted(&t->l, ISCSI_LOGIN_NO_SESSION, 0, 0),
			 ISCSI_LOGIN_REFUSE);
	ck_assert_uint_eq(gw_be16(t->l.bhs + ISCSI_AT_LOGIN_STATUS), 0x020a);
	ck_assert(strstr(t->l.why, "none of the TSIH asked for"));
	ck_assert_uint_eq(t->l.data_len, 0);
	ck_assert_uint_eq(t->l.bhs[ISCSI_AT_FLAGS] & ISCSI_LOGIN_T, 0);
	talk_free(t);
}
END_TEST

/* Keys of the leading login do not hide that the session asked for is gone. */
START_TEST(test_old_tsih)
{
	static const char keys[] =
	    "InitiatorName=iqn.h\0TargetName=" IQN "\0SessionType=Normal\0InitialR2T=No";
	struct talk *t = talk_new();

	talk_open(t);
	memcpy(t->bhs + ISCSI_AT_TSIH, "\x00\x09", 2);
	t->bhs[ISCSI_AT_FLAGS] = 0x87;
	ck_assert_int_eq(iscsi_login_rx(&t->l, t->bhs, (const uint8_t *)keys, sizeof(keys)),
			 ISCSI_LOGIN_GRANT);
	ck_assert_str_eq(t->l.data, "InitialR2T=Irrelevant");
	ck_assert(t->l.params.initial_r2t);
	talk_free(t);
}
END_TEST

/* Header fields, each wrong in turn: on the first request, or changed on the second. */
START_TEST(test_headers)
{
	static const struct {
		unsigned at;
		uint8_t value;
		bool second;
		uint16_t status; /* 0: harmless; 1: dropped */
	} rows[] = {
	    {ISCSI_AT_VERMIN, 1, false, 0x0205},
	    {ISCSI_AT_VERMAX, 9, false, 0},
	    {ISCSI_AT_OPCODE, ISCSI_OP_LOGIN_REQ, false, 0}, /* without the I bit */
	    {ISCSI_AT_OPCODE, ISCSI_OP_TEXT_REQ | 0x40, false, 1},
	    {ISCSI_AT_OPCODE, ISCSI_OP_SCSI_CMD, false, 1},
	    {ISCSI_AT_OPCODE, 0xff, false, 1},
	    {ISCSI_AT_OPCODE, ISCSI_OP_SCSI_CMD, true, 0x020b},
	    {ISCSI_AT_ISID, 1, true, 0x0200},
	    {ISCSI_AT_TSIH, 1, true, 0x0200},
	    {ISCSI_AT_CID, 1, true, 0x0200},
	    {ISCSI_AT_ITT, 1, true, 0x0200},
	    {ISCSI_AT_CMDSN, 1, true, 0},
	    {ISCSI_AT_EXPSTATSN, 1, true, 0},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk *t = talk_new();
		const char *text = NAMES;
		enum iscsi_login_next next;
		char keys[sizeof(NAMES)];

		talk_open(t);
		for (unsigned j = 0; j < sizeof(keys); j++)
			keys[j] = text[j] == ' ' ? '\0' : text[j];
		if (!rows[i].second)
			t->bhs[rows[i].at] = rows[i].value;
		next = iscsi_login_rx(&t->l, t->bhs, (const uint8_t *)keys, sizeof(keys));
		if (rows[i].second) {
			ck_assert_int_eq(next, ISCSI_LOGIN_MORE);
			t->bhs[rows[i].at] = rows[i].value;
			next = iscsi_login_rx(&t->l, t->bhs, NULL, 0);
		}
		ck_assert_msg(next == (rows[i].status == 0   ? ISCSI_LOGIN_MORE
				       : rows[i].status == 1 ? ISCSI_LOGIN_DROP
							     : ISCSI_LOGIN_REFUSE),
			      "row %u", i);
		if (rows[i].status != 1)
			ck_assert_uint_eq(gw_be16(t->l.bhs + ISCSI_AT_LOGIN_STATUS),
					  rows[i].status);
		talk_free(t);
	}
}
END_TEST

/* All 256 values of the flags: only those that 11.12.1 to 11.12.3 allow get on. */
START_TEST(test_flags)
{
	for (unsigned f = 0; f < 256; f++) {
		struct talk *t = talk_new();
		unsigned csg = f >> 2 & 3, nsg = f & 3;
		bool trans = f & 0x80, cont = f & 0x40;
		bool legal = csg < 2 && !(trans && cont) && (!trans || (nsg > csg && nsg != 2));

		talk_open(t);
		talk_send(t, (uint8_t)f, NAMES);
		ck_assert_msg((t->next != ISCSI_LOGIN_REFUSE) == legal, "flags %02x", f);
		if (!legal)
			ck_assert_uint_eq(t->status, 0x0200);
		else
			ck_assert_int_eq(t->next == ISCSI_LOGIN_GRANT, trans && nsg == 3);
		talk_free(t);
	}
}
END_TEST

/* The login text cut into two requests at every byte comes out the same. */
START_TEST(test_cut_everywhere)
{
	static const char text[] = "InitiatorName=iqn.h\0TargetName=" IQN "\0InitialR2T=No\0a=b";

	for (uint32_t cut = 0; cut <= sizeof(text); cut++) {
		struct talk *t = talk_new();

		talk_open(t);
		talk_send_raw(t, 0x44, text, cut);
		ck_assert_int_eq(t->next, ISCSI_LOGIN_MORE);
		ck_assert_uint_eq(t->flags, 0x04);
		ck_assert_str_eq(t->answer, "");
		talk_send_raw(t, 0x87, text + cut, (uint32_t)sizeof(text) - cut);
		ck_assert_int_eq(t->next, ISCSI_LOGIN_GRANT);
		ck_assert_str_eq(t->answer, "a=NotUnderstood InitialR2T=No " OURS);
		talk_free(t);
	}
}
END_TEST

/* n times "kN=v" into buf, each of 8 bytes with its NUL. */
static uint32_t
many_keys(char *buf, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sprintf(buf + 8 * i, "k%04u=v", i);
	return 8 * n;
}

/* Our answer is longer than a PDU: it goes out in pieces, with the C bit, 11.13.7. */
START_TEST(test_long_answer)
{
	struct talk *t = talk_new();
	char *keys = malloc(16384), *all = calloc(1, 3 * 8192), *expected = calloc(1, 32768);
	uint32_t n;

	talk_open(t);
	talk_send(t, 0x04, NAMES);
	n = many_keys(keys, 700);
	for (unsigned i = 0; i < 700; i++)
		sprintf(expected + strlen(expected), "%sk%04u=NotUnderstood", i ? " " : "", i);
	talk_send_raw(t, 0x87, keys, n);
	ck_assert_int_eq(t->next, ISCSI_LOGIN_MORE);
	ck_assert_uint_eq(t->flags, 0x44); /* C, and no transition yet */
	ck_assert_uint_eq(t->l.data_len, 8192);
	memcpy(all, t->l.data, t->l.data_len);
	n = t->l.data_len;
	talk_send(t, 0x87, "");
	ck_assert_int_eq(t->next, ISCSI_LOGIN_GRANT);
	ck_assert_uint_eq(t->flags, 0x87);
	memcpy(all + n, t->l.data, t->l.data_len);
	n += t->l.data_len;
	ck_assert_uint_eq(n, 700 * 20);
	for (uint32_t i = 0; i + 1 < n; i++) {
		if (!all[i])
			all[i] = ' ';
	}
	ck_assert_str_eq(all, expected);
	talk_free(t);

	/* Keys while we are not finished are a mistake. */
	t = talk_new();
	talk_open(t);
	talk_send(t, 0x04, NAMES);
	talk_send_raw(t, 0x87, keys, many_keys(keys, 700));
	talk_send(t, 0x87, "InitialR2T=No");
	ck_assert_uint_eq(t->status, 0x0200);
	talk_free(t);

	/* More answers than we hold. */
	t = talk_new();
	talk_open(t);
	talk_send(t, 0x04, NAMES);
	talk_send_raw(t, 0x87, keys, many_keys(keys, 1000));
	ck_assert_int_eq(t->next, ISCSI_LOGIN_REFUSE);
	ck_assert_uint_eq(t->status, 0x0200);
	talk_free(t);
	free(keys);
	free(all);
	free(expected);
}
END_TEST

START_TEST(test_limits)
{
	struct talk *t = talk_new();
	char *big = calloc(1, 8193);
	unsigned n;

	talk_open(t); /* requests without end */
	talk_send(t, 0x00, NAMES);
	for (n = 1; t->next == ISCSI_LOGIN_MORE; n++)
		talk_send(t, 0x00, "");
	ck_assert_uint_eq(n, ISCSI_LOGIN_PDU_MAX + 1);
	ck_assert_uint_eq(t->status, 0x0200);
	talk_free(t);

	t = talk_new(); /* keys without end: exactly the limit, then one byte more */
	talk_open(t);
	memset(big, 'x', 8192);
	talk_send_raw(t, 0x40, big, 8192);
	talk_send_raw(t, 0x40, big, 8192);
	ck_assert_int_eq(t->next, ISCSI_LOGIN_MORE);
	talk_send_raw(t, 0x40, big, 1);
	ck_assert_uint_eq(t->status, 0x0200);
	talk_free(t);

	t = talk_new(); /* one PDU too long */
	talk_open(t);
	talk_send_raw(t, 0x00, big, 8193);
	ck_assert_uint_eq(t->status, 0x0200);
	talk_free(t);
	free(big);
}
END_TEST

/* The configuration changes between two requests: the new one counts. */
START_TEST(test_model_changes)
{
	struct talk *t = talk_new();
	struct world *now = malloc(sizeof(*now));

	talk_open(t);
	talk_send(t, 0x81, NAMES);
	ck_assert_int_eq(t->next, ISCSI_LOGIN_MORE);
	*now = t->w;
	now->targets[0] = &now->target;
	now->model.target = now->targets;
	t->l.env.model = &now->model;
	memset(&t->w.target, 0xee, sizeof(t->w.target));
	talk_send(t, 0x04, "InitialR2T=No");
	ck_assert_int_eq(t->next, ISCSI_LOGIN_MORE);
	ck_assert_ptr_eq(t->l.target, &now->target);
	now->target.nin = 1;
	now->target.in = now->in;
	talk_send(t, 0x87, "");
	ck_assert_uint_eq(t->status, 0x0201);
	talk_free(t);
	free(now);
}
END_TEST

SUITE("iscsi login", test_dialogues, test_outcome, test_grant_refused, test_old_tsih, test_headers,
      test_flags, test_cut_everywhere, test_long_answer, test_limits, test_model_changes)
