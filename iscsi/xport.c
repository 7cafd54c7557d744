/* SPDX-License-Identifier: BSD-3-Clause */
/* A session as the layers above see it through its transport, whichever that is. */
#include "iscsi/xport.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "iscsi/session.h"

static const char *
why_text(enum gw_why why)
{
	switch (why) {
	case GW_WHY_ADMIN:
		return "the administrator closed it";
	case GW_WHY_TARGET_GONE:
		return "its target was deleted";
	case GW_WHY_REINSTATED:
		return "a new login took its place";
	case GW_WHY_COLD_RESET:
		return "its target was reset";
	case GW_WHY_ACL:
		return "the access rules no longer admit it";
	case GW_WHY_SHUTDOWN:
		return "the gateway shuts down";
	}
	return "closed from above";
}

void
iscsi_xport_close(struct gw_nexus *n, enum gw_why why)
{
	struct iscsi_session *s = iscsi_session_of(n);

	if (s->conn)
		iscsi_conn_end(s->conn, why_text(why));
}

void
iscsi_xport_ask_logout(struct gw_nexus *n)
{
	struct iscsi_session *s = iscsi_session_of(n);

	if (s->conn && !s->conn->dying && s->conn->full)
		iscsi_async_logout(s->conn);
}

/* Keys as in 13; whole lines only. */
void
iscsi_xport_params(const struct gw_nexus *n, char *buf, unsigned size)
{
	static const struct iscsi_params none;
	const struct iscsi_params *now = iscsi_session_params(n), *p = now ? now : &none;
	const struct {
		const char *key;
		uint32_t value;
		enum {
			NUMBER,
			YES_NO,
			DIGEST
		} kind;
	} row[] = {
	    {"HeaderDigest", p->header_digest, DIGEST},
	    {"DataDigest", p->data_digest, DIGEST},
	    {"MaxRecvDataSegmentLength", p->max_recv_dsl, NUMBER},
	    {"MaxXmitDataSegmentLength", p->max_xmit_dsl, NUMBER},
	    {"InitialR2T", p->initial_r2t, YES_NO},
	    {"ImmediateData", p->immediate_data, YES_NO},
	    {"MaxOutstandingR2T", p->max_outstanding_r2t, NUMBER},
	    {"FirstBurstLength", p->first_burst, NUMBER},
	    {"MaxBurstLength", p->max_burst, NUMBER},
	    {"DefaultTime2Wait", p->time2wait, NUMBER},
	    {"DefaultTime2Retain", p->time2retain, NUMBER},
	    {"MaxConnections", p->max_connections, NUMBER},
	    {"ErrorRecoveryLevel", p->erl, NUMBER},
	    {"DataPDUInOrder", p->data_pdu_in_order, YES_NO},
	    {"DataSequenceInOrder", p->data_sequence_in_order, YES_NO},
	    {"iSCSIProtocolLevel", p->protocol_level, NUMBER},
	    {"RDMAExtensions", p->rdma_extensions, YES_NO},
	};
	unsigned at = 0;

	if (size == 0)
		return;
	buf[0] = 0;
	for (unsigned i = 0; now && i < GW_ARRAY_LEN(row); i++) {
		char line[64];
		int len;

		if (row[i].kind == NUMBER)
			len = snprintf(line, sizeof(line), "%s=%u\n", row[i].key, row[i].value);
		else if (row[i].kind == YES_NO)
			len = snprintf(line, sizeof(line), "%s=%s\n", row[i].key,
				       row[i].value ? "Yes" : "No");
		else
			len = snprintf(line, sizeof(line), "%s=%s\n", row[i].key,
				       row[i].value ? "CRC32C" : "None");
		if (at + (unsigned)len >= size)
			return;
		memcpy(buf + at, line, (size_t)len + 1);
		at += (unsigned)len;
	}
}

int
iscsi_portal_address(const struct gw_portal *p, struct sockaddr_storage *addr, char *err,
		     unsigned err_size)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *ai = NULL;
	char port[8];
	int len;

	snprintf(port, sizeof(port), "%u", p->port);
	if (getaddrinfo(p->host, port, &hints, &ai) != 0) {
		snprintf(err, err_size,
			 "portal address \"%s\" is not a numeric IPv4 or IPv6 address", p->host);
		return -EINVAL;
	}
	len = (int)ai->ai_addrlen;
	memcpy(addr, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	return len;
}
