/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of RFC 7143 (and 7144, 7145): opcodes, bits and offsets of the basic header segment (BHS). */
#ifndef ISCSI_PROTO_H
#define ISCSI_PROTO_H

#include <stdint.h>

#define ISCSI_BHS_LEN	     48
#define ISCSI_AHS_MAX	     (255 * 4) /* TotalAHSLength counts words, 11.2.1.5 */
#define ISCSI_DIGEST_LEN     4
#define ISCSI_DSL_MAX	     0xffffffu /* DataSegmentLength is 24 bits, 11.2.1.6 */
#define ISCSI_RESERVED_TAG   0xffffffffu /* 11.2.1.8 */
#define ISCSI_LOGIN_DSL	     8192	 /* default MaxRecvDataSegmentLength, 13.12 */
#define ISCSI_PORT	     3260

enum iscsi_opcode { /* 11.2.1.2 */
	ISCSI_OP_NOP_OUT = 0x00,
	ISCSI_OP_SCSI_CMD = 0x01,
	ISCSI_OP_TMF_REQ = 0x02,
	ISCSI_OP_LOGIN_REQ = 0x03,
	ISCSI_OP_TEXT_REQ = 0x04,
	ISCSI_OP_DATA_OUT = 0x05,
	ISCSI_OP_LOGOUT_REQ = 0x06,
	ISCSI_OP_SNACK = 0x10,
	ISCSI_OP_NOP_IN = 0x20,
	ISCSI_OP_SCSI_RSP = 0x21,
	ISCSI_OP_TMF_RSP = 0x22,
	ISCSI_OP_LOGIN_RSP = 0x23,
	ISCSI_OP_TEXT_RSP = 0x24,
	ISCSI_OP_DATA_IN = 0x25,
	ISCSI_OP_LOGOUT_RSP = 0x26,
	ISCSI_OP_R2T = 0x31,
	ISCSI_OP_ASYNC = 0x32,
	ISCSI_OP_REJECT = 0x3f,
};

#define ISCSI_OP_MASK	   0x3f
#define ISCSI_OP_IMMEDIATE 0x40

/* Offsets within the BHS. The same offset serves several names where PDUs share the layout. */
enum {
	ISCSI_AT_OPCODE = 0,
	ISCSI_AT_FLAGS = 1,
	ISCSI_AT_AHSLEN = 4,
	ISCSI_AT_DSL = 5, /* 3 bytes */
	ISCSI_AT_LUN = 8, /* 8 bytes */
	ISCSI_AT_ITT = 16,
	/* requests */
	ISCSI_AT_TTT = 20,	/* Data-Out, NOP, Text, R2T, Data-In, SNACK */
	ISCSI_AT_EDTL = 20,	/* SCSI Command */
	ISCSI_AT_REF_TASK = 20, /* Task Management */
	ISCSI_AT_CMDSN = 24,
	ISCSI_AT_EXPSTATSN = 28,
	ISCSI_AT_CDB = 32, /* 16 bytes */
	ISCSI_AT_REF_CMDSN = 32,
	ISCSI_AT_EXPDATASN_REQ = 36,
	/* responses */
	ISCSI_AT_STATSN = 24,
	ISCSI_AT_EXPCMDSN = 28,
	ISCSI_AT_MAXCMDSN = 32,
	/* data */
	ISCSI_AT_DATASN = 36, /* Data-Out, Data-In; R2TSN; ExpDataSN of the SCSI Response */
	ISCSI_AT_BUFOFF = 40,
	ISCSI_AT_DDTL = 44,   /* R2T: desired data transfer length */
	ISCSI_AT_RESIDUAL = 44, /* SCSI Response, Data-In */
	/* login: CSG/NSG in FLAGS */
	ISCSI_AT_VERMAX = 2,
	ISCSI_AT_VERMIN = 3, /* response: version active */
	ISCSI_AT_ISID = 8,   /* 6 bytes */
	ISCSI_AT_TSIH = 14,
	ISCSI_AT_CID = 20,
	ISCSI_AT_LOGIN_STATUS = 36, /* class, detail */
	ISCSI_AT_RSP = 2,	    /* response code: SCSI Response, TMF, Logout; Reject reason */
	ISCSI_AT_STATUS = 3,	    /* SCSI status: SCSI Response, Data-In with S */
};

enum {
	ISCSI_FLAG_F = 0x80, /* final, everywhere */
	/* SCSI Command, 11.3.1 */
	ISCSI_CMD_R = 0x40,
	ISCSI_CMD_W = 0x20,
	ISCSI_CMD_ATTR = 0x07,
	/* SCSI Response and Data-In, 11.4.1, 11.7.1 */
	ISCSI_RSP_BIDI_O = 0x10,
	ISCSI_RSP_BIDI_U = 0x08,
	ISCSI_RSP_O = 0x04,
	ISCSI_RSP_U = 0x02,
	ISCSI_DATAIN_S = 0x01,
	ISCSI_DATAIN_A = 0x40,
	/* Login and Text, 11.12, 11.10 */
	ISCSI_LOGIN_T = 0x80,
	ISCSI_TEXT_C = 0x40,
	ISCSI_LOGIN_CSG = 0x0c,
	ISCSI_LOGIN_NSG = 0x03,
};

enum iscsi_stage { ISCSI_STAGE_SECURITY = 0, ISCSI_STAGE_OPERATIONAL = 1, ISCSI_STAGE_FULL = 3 };

/* Login status, class << 8 | detail, 11.13.5. */
enum iscsi_login_status {
	ISCSI_LOGIN_OK = 0x0000,
	ISCSI_LOGIN_MOVED_TEMP = 0x0101,
	ISCSI_LOGIN_MOVED_PERM = 0x0102,
	ISCSI_LOGIN_INITIATOR_ERROR = 0x0200,
	ISCSI_LOGIN_AUTH_FAILED = 0x0201,
	ISCSI_LOGIN_FORBIDDEN = 0x0202,
	ISCSI_LOGIN_NOT_FOUND = 0x0203,
	ISCSI_LOGIN_TARGET_REMOVED = 0x0204,
	ISCSI_LOGIN_BAD_VERSION = 0x0205,
	ISCSI_LOGIN_TOO_MANY_CONNS = 0x0206,
	ISCSI_LOGIN_MISSING_PARAM = 0x0207,
	ISCSI_LOGIN_CANT_INCLUDE = 0x0208,
	ISCSI_LOGIN_BAD_SESSION_TYPE = 0x0209,
	ISCSI_LOGIN_NO_SESSION = 0x020a,
	ISCSI_LOGIN_INVALID_REQUEST = 0x020b,
	ISCSI_LOGIN_TARGET_ERROR = 0x0300,
	ISCSI_LOGIN_UNAVAILABLE = 0x0301,
	ISCSI_LOGIN_NO_RESOURCES = 0x0302,
};

enum iscsi_reject { /* 11.17.1 */
	ISCSI_REJECT_DATA_DIGEST = 0x02,
	ISCSI_REJECT_SNACK = 0x03,
	ISCSI_REJECT_PROTOCOL = 0x04,
	ISCSI_REJECT_UNSUPPORTED = 0x05,
	ISCSI_REJECT_IMMEDIATE = 0x06,
	ISCSI_REJECT_IN_PROGRESS = 0x07,
	ISCSI_REJECT_BAD_DACK = 0x08,
	ISCSI_REJECT_INVALID_FIELD = 0x09,
	ISCSI_REJECT_LONG_OP = 0x0a,
	ISCSI_REJECT_NEGO_RESET = 0x0b,
	ISCSI_REJECT_LOGOUT = 0x0c,
};

enum iscsi_async { /* 11.9.1 */
	ISCSI_ASYNC_SCSI = 0,
	ISCSI_ASYNC_LOGOUT = 1,
	ISCSI_ASYNC_DROP_CONN = 2,
	ISCSI_ASYNC_DROP_ALL = 3,
	ISCSI_ASYNC_NEGOTIATE = 4,
};

/* Bytes of padding after a segment of n bytes, 11.2.3. */
static inline uint32_t
iscsi_pad(uint32_t n)
{
	return -n & 3;
}

#endif
