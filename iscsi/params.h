/* SPDX-License-Identifier: BSD-3-Clause */
/* What a login has negotiated (RFC 7143 13): the values in force on this connection. */
#ifndef ISCSI_PARAMS_H
#define ISCSI_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

struct iscsi_params {
	uint32_t max_recv_dsl; /* what we accept in one PDU */
	uint32_t max_xmit_dsl; /* what the initiator accepts in one PDU */
	uint32_t max_burst, first_burst;
	uint32_t max_outstanding_r2t;
	uint32_t max_connections, erl;
	uint32_t time2wait, time2retain;
	uint32_t protocol_level; /* iSCSIProtocolLevel, RFC 7144 7.1.1 */
	bool header_digest, data_digest;
	bool initial_r2t, immediate_data;
	bool data_pdu_in_order, data_sequence_in_order;
	/* iSER, RFC 7145 6 */
	bool rdma_extensions, iser_hello;
	uint32_t initiator_recv_dsl, target_recv_dsl, max_unexpected_pdus;
};

#endif
