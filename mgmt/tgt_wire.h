/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tgtadm and its daemon say to each other: raw structs in native byte order over a UNIX stream
 * socket, one request a connection. Shared by lichgate-mgmtd and lgtadm; the layout may never
 * change.
 */
#ifndef MGMT_TGT_WIRE_H
#define MGMT_TGT_WIRE_H

#include <stdint.h>

enum tgt_mode {
	TGT_SYSTEM,
	TGT_TARGET,
	TGT_LUN,
	TGT_PORTAL,
	TGT_LLD,
	TGT_SESSION,
	TGT_CONN,
	TGT_ACCOUNT,
	TGT_MODE_MAX
};

enum tgt_op {
	TGT_NEW,
	TGT_DELETE,
	TGT_SHOW,
	TGT_BIND,
	TGT_UNBIND,
	TGT_UPDATE,
	TGT_STAT,
	TGT_START,
	TGT_STOP,
	TGT_OP_MAX
};

enum tgt_err {
	TGT_OK,
	TGT_E_UNKNOWN,
	TGT_E_NOMEM,
	TGT_E_NO_DRIVER,
	TGT_E_NO_TARGET,
	TGT_E_NO_LUN,
	TGT_E_NO_SESSION,
	TGT_E_NO_CONN,
	TGT_E_NO_BINDING,
	TGT_E_TARGET_EXIST,
	TGT_E_LUN_EXIST,
	TGT_E_BINDING_EXIST,
	TGT_E_ACL_EXIST,
	TGT_E_ACL_NOEXIST,
	TGT_E_USER_EXIST,
	TGT_E_NO_USER,
	TGT_E_TOO_MANY_USER,
	TGT_E_INVALID,
	TGT_E_OUTACCOUNT_EXIST,
	TGT_E_TARGET_ACTIVE,
	TGT_E_LUN_ACTIVE,
	TGT_E_DRIVER_ACTIVE,
	TGT_E_UNSUPPORTED,
	TGT_E_UNKNOWN_PARAM,
	TGT_E_PREVENT_REMOVAL,
	TGT_E_MAX
};

#define TGT_LLD_NAME     64
#define TGT_REQ_MAX      8192 /* bytes of a request with its payload */
#define TGT_NO_TID       (-1)
#define TGT_NO_LUN       UINT64_MAX
#define TGT_TYPE_DISK    0x00
#define TGT_TYPE_TAPE    0x01
#define TGT_TYPE_CD      0x05
#define TGT_TYPE_CHANGER 0x08
#define TGT_TYPE_OSD     0x11
#define TGT_TYPE_PT      0xff

struct tgt_req {
	uint32_t mode;
	uint32_t op;
	char lld[TGT_LLD_NAME];
	uint32_t len; /* of the request, header included */
	int32_t tid;  /* TGT_NO_TID: none, or "discovery" in account mode */
	uint64_t sid;
	uint64_t lun;
	uint32_t cid;
	uint32_t host_no;
	uint32_t device_type;
	uint32_t ac_dir; /* 1: outgoing account */
	uint32_t pack;
	uint32_t force;
};
_Static_assert(sizeof(struct tgt_req) == 120, "the layout of tgtadm's request");

/* With err != 0 the payload is one sentence that tgtadm ignores and lgtadm prints. */
struct tgt_rsp {
	uint32_t err;
	uint32_t len; /* of the response, header included */
};
_Static_assert(sizeof(struct tgt_rsp) == 8, "the layout of tgtadm's response");

/* The text that tgtadm prints for an error number. */
const char *tgt_err_text(uint32_t err);
/* "target", "update": for messages; "?" out of range. */
const char *tgt_mode_name(uint32_t mode);
const char *tgt_op_name(uint32_t op);
/* Number of a mode or op word with its short forms ("sys", "tgt", "lu" ...), -1 if unknown. */
int tgt_mode_by_name(const char *s);
int tgt_op_by_name(const char *s);
/* SCSI device type of "disk", "tape", "cd", "dvd", "changer", "osd", "pt"; -1 if unknown. */
int tgt_type_by_name(const char *s);

#endif
