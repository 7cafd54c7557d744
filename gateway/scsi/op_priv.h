/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One row per command: what the CDB looks like and who runs it. A row drives dispatch, the check of
 * reserved bits, the LBA range, the reservation check and REPORT SUPPORTED OPERATION CODES.
 */
#ifndef GW_SCSI_OP_PRIV_H
#define GW_SCSI_OP_PRIV_H

#include "gateway/api/cmd.h"

struct scsi_view;

enum {
	OP_SA = 1 << 0,        /* has a service action: low 5 bits of byte 1 */
	OP_MEDIUM = 1 << 1,    /* refused while the LU is not ready */
	OP_WRITES = 1 << 2,    /* refused while the LU is write protected */
	OP_UA = 1 << 3,        /* runs although a unit attention is pending (SAM-5 5.14.1) */
	OP_ANY_LUN = 1 << 4,   /* runs on LUNs that do not exist (SPC-4 6.4.2) */
	OP_WLUN = 1 << 5,      /* runs on the REPORT LUNS well-known LU */
	OP_DISK = 1 << 6,      /* commands of direct access devices ... */
	OP_CTL = 1 << 7,       /* ... and of the controller */
	OP_THIN = 1 << 8,      /* only on LUs with LBPME */
	OP_REMOVABLE = 1 << 9, /* only with removable medium */
	OP_BLOCKS = 1 << 10,   /* moves nblk blocks */
	OP_ZERO_256 = 1 << 11, /* a transfer length of 0 means 256 blocks */
	OP_ATOMIC = 1 << 12,   /* only where the device promises atomic writes */
	OP_ERASE = 1 << 13,    /* only where BLOCK ERASE is possible ... */
	OP_CRYPTO = 1 << 14,   /* ... or CRYPTOGRAPHIC ERASE */
	OP_SANITIZE = 1 << 15, /* runs while a sanitize operation or format does or has failed */
	OP_CD = 1 << 16,       /* commands of CD/DVD drives */
};

/* How a command stands to reservations of others: res_matrix.c. */
enum scsi_res {
	RES_FREE,  /* always allowed */
	RES_QUERY, /* conflicts with RESERVE only, not with persistent reservations */
	RES_READ,
	RES_WRITE,
	RES_PR, /* PERSISTENT RESERVE IN, OUT: conflict with RESERVE, even the holder's */
	RES_RESERVE,
	RES_RELEASE,
	RES_CLASSES,
	/* By the CDB one of those above. */
	RES_PREVENT = RES_CLASSES,
	RES_START,
};

struct scsi_op {
	uint8_t opcode, sa, cdb_len;
	uint8_t dir; /* enum gw_dir */
	uint32_t flags;
	uint8_t lba_at, lba_sz, nblk_at, nblk_sz; /* bytes of the CDB; sz 0: has none */
	uint8_t len_at, len_sz;                   /* allocation length or parameter list length */
	uint8_t res_class;                        /* enum scsi_res */
	uint16_t seconds;                         /* recommended timeout */
	uint32_t in_max;   /* the largest answer, bytes: cap of the allocation length */
	uint8_t usage[16]; /* bits that the initiator may set */
	/* Checks beyond the table, and data_len where the table cannot tell; false: sense is set.
	 */
	bool (*prep)(struct gw_cmd *cmd);
	void (*exec)(struct gw_cmd *cmd);
	const char *name;
};

/* The rows of one opcode are neighbours; two of one service action are for different devices. */
extern const struct scsi_op scsi_ops[];
extern const unsigned scsi_nops;

/* Builds the index; before any other use. */
void scsi_ops_init(void);
/*
 * The row for a CDB. *known: the opcode exists, whatever the service action. NULL if there is none
 * or the LU (view NULL: none) does not have it.
 */
const struct scsi_op *scsi_op_find(const uint8_t *cdb, const struct scsi_view *v, bool *known);
/* As scsi_op_find() for REPORT SUPPORTED OPERATION CODES; opcodes without service action: sa is 0.
 */
const struct scsi_op *scsi_op_row(uint8_t opcode, uint16_t sa, const struct scsi_view *v);
/* True if the LU has the command. */
bool scsi_op_has(const struct scsi_op *op, const struct scsi_view *v);

bool scsi_lba_status_prep(struct gw_cmd *cmd);
bool scsi_caw_prep(struct gw_cmd *cmd);
bool scsi_verify_prep(struct gw_cmd *cmd);
bool scsi_write_same_prep(struct gw_cmd *cmd);
bool scsi_write_atomic_prep(struct gw_cmd *cmd);
bool scsi_sanitize_prep(struct gw_cmd *cmd);
bool scsi_format_prep(struct gw_cmd *cmd);
bool scsi_xcopy_prep(struct gw_cmd *cmd);
bool scsi_odx_prep(struct gw_cmd *cmd);
bool scsi_report_luns_prep(struct gw_cmd *cmd);
bool scsi_set_port_groups_prep(struct gw_cmd *cmd);
bool scsi_send_diagnostic_prep(struct gw_cmd *cmd);
bool scsi_set_timestamp_prep(struct gw_cmd *cmd);
bool scsi_pr_out_prep(struct gw_cmd *cmd);

void scsi_exec_tur(struct gw_cmd *cmd);
void scsi_exec_request_sense(struct gw_cmd *cmd);
void scsi_exec_inquiry(struct gw_cmd *cmd);
void scsi_exec_report_luns(struct gw_cmd *cmd);
void scsi_exec_read_capacity10(struct gw_cmd *cmd);
void scsi_exec_read_capacity16(struct gw_cmd *cmd);
void scsi_exec_log_sense(struct gw_cmd *cmd);
void scsi_exec_mode_sense(struct gw_cmd *cmd);
void scsi_exec_mode_select(struct gw_cmd *cmd);
void scsi_exec_read(struct gw_cmd *cmd);
void scsi_exec_write(struct gw_cmd *cmd);
void scsi_exec_caw(struct gw_cmd *cmd);
void scsi_exec_orwrite(struct gw_cmd *cmd);
void scsi_exec_verify(struct gw_cmd *cmd);
void scsi_exec_write_verify(struct gw_cmd *cmd);
void scsi_exec_flush(struct gw_cmd *cmd);
void scsi_exec_prefetch(struct gw_cmd *cmd);
void scsi_exec_read_defects(struct gw_cmd *cmd);
void scsi_exec_lba_status(struct gw_cmd *cmd);
void scsi_exec_unmap(struct gw_cmd *cmd);
void scsi_exec_write_same(struct gw_cmd *cmd);
void scsi_exec_write_atomic(struct gw_cmd *cmd);
void scsi_exec_sanitize(struct gw_cmd *cmd);
void scsi_exec_format(struct gw_cmd *cmd);
void scsi_exec_exit_failure(struct gw_cmd *cmd);
void scsi_exec_xcopy(struct gw_cmd *cmd);
void scsi_exec_populate_token(struct gw_cmd *cmd);
void scsi_exec_write_token(struct gw_cmd *cmd);
void scsi_exec_token_info(struct gw_cmd *cmd);
void scsi_exec_copy_status(struct gw_cmd *cmd);
void scsi_exec_copy_params(struct gw_cmd *cmd);
void scsi_exec_copy_failed(struct gw_cmd *cmd);
void scsi_exec_start_stop(struct gw_cmd *cmd);
void scsi_exec_receive_diagnostic(struct gw_cmd *cmd);
void scsi_exec_send_diagnostic(struct gw_cmd *cmd);
void scsi_exec_report_timestamp(struct gw_cmd *cmd);
void scsi_exec_set_timestamp(struct gw_cmd *cmd);
void scsi_exec_prevent(struct gw_cmd *cmd);
void scsi_exec_pr_read_keys(struct gw_cmd *cmd);
void scsi_exec_pr_read_reservation(struct gw_cmd *cmd);
void scsi_exec_pr_capabilities(struct gw_cmd *cmd);
void scsi_exec_pr_full_status(struct gw_cmd *cmd);
void scsi_exec_pr_out(struct gw_cmd *cmd);
void scsi_exec_reserve(struct gw_cmd *cmd);
void scsi_exec_release(struct gw_cmd *cmd);
void scsi_exec_report_port_groups(struct gw_cmd *cmd);
void scsi_exec_set_port_groups(struct gw_cmd *cmd);
void scsi_exec_rsoc(struct gw_cmd *cmd);
void scsi_exec_rstmf(struct gw_cmd *cmd);

bool scsi_read_cd_prep(struct gw_cmd *cmd);
bool scsi_seek_prep(struct gw_cmd *cmd);
void scsi_exec_nothing(struct gw_cmd *cmd);
void scsi_exec_read_toc(struct gw_cmd *cmd);
void scsi_exec_read_subchannel(struct gw_cmd *cmd);
void scsi_exec_get_configuration(struct gw_cmd *cmd);
void scsi_exec_get_event(struct gw_cmd *cmd);
void scsi_exec_disc_information(struct gw_cmd *cmd);
void scsi_exec_track_information(struct gw_cmd *cmd);
void scsi_exec_disc_structure(struct gw_cmd *cmd);
void scsi_exec_mechanism_status(struct gw_cmd *cmd);

#endif
