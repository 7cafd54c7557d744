/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands. A new one is a row here and a function. */
#include "gateway/base/bug.h"
#include "gateway/base/num.h"
#include "gateway/scsi/scsi_priv.h"

#define B2 0xff, 0xff
#define B4 B2, B2
#define B8 B4, B4
#define OP 0xff /* byte 0 */
#define CT 0x00 /* CONTROL: NACA is not supported (SAM-5 5.2), the rest is reserved or unused */

#define DISK (OP_DISK)
#define EACH (OP_DISK | OP_CTL)
#define DATA (OP_DISK | OP_MEDIUM)

/* clang-format off */
const struct scsi_op scsi_ops[] = {
	{.opcode = 0x00, .cdb_len = 6, .flags = EACH | OP_WLUN | OP_MEDIUM, .res_class = RES_QUERY,
	 .seconds = 10, .usage = {OP, 0, 0, 0, 0, CT},
	 .exec = scsi_exec_tur, .name = "TEST UNIT READY"},
	{.opcode = 0x03, .cdb_len = 6, .dir = GW_DIR_IN,
	 .flags = EACH | OP_WLUN | OP_UA | OP_ANY_LUN,
	 .len_at = 4, .len_sz = 1, .in_max = 252, .res_class = RES_FREE, .seconds = 10,
	 .usage = {OP, 0x01, 0, 0, 0xff, CT},
	 .exec = scsi_exec_request_sense, .name = "REQUEST SENSE"},
	{.opcode = 0x04, .cdb_len = 6, .dir = GW_DIR_OUT, .flags = DISK | OP_WRITES | OP_SANITIZE,
	 .res_class = RES_WRITE, .seconds = 0xffff,
	 .usage = {OP, 0x3f, 0, 0, 0, CT}, .prep = scsi_format_prep,
	 .exec = scsi_exec_format, .name = "FORMAT UNIT"},
	{.opcode = 0x08, .cdb_len = 6, .dir = GW_DIR_IN, .flags = DATA | OP_BLOCKS | OP_ZERO_256,
	 .lba_at = 1, .lba_sz = 3, .nblk_at = 4, .nblk_sz = 1, .res_class = RES_READ, .seconds = 30,
	 .usage = {OP, 0x1f, B2, 0xff, CT},
	 .exec = scsi_exec_read, .name = "READ(6)"},
	{.opcode = 0x0a, .cdb_len = 6, .dir = GW_DIR_OUT,
	 .flags = DATA | OP_BLOCKS | OP_ZERO_256 | OP_WRITES,
	 .lba_at = 1, .lba_sz = 3, .nblk_at = 4, .nblk_sz = 1, .res_class = RES_WRITE,
	 .seconds = 30,
	 .usage = {OP, 0x1f, B2, 0xff, CT},
	 .exec = scsi_exec_write, .name = "WRITE(6)"},
	{.opcode = 0x12, .cdb_len = 6, .dir = GW_DIR_IN,
	 .flags = EACH | OP_WLUN | OP_UA | OP_ANY_LUN,
	 .len_at = 3, .len_sz = 2, .in_max = SCSI_INQUIRY_MAX, .res_class = RES_FREE, .seconds = 10,
	 .usage = {OP, 0x01, 0xff, B2, CT},
	 .exec = scsi_exec_inquiry, .name = "INQUIRY"},
	{.opcode = 0x15, .cdb_len = 6, .dir = GW_DIR_OUT, .flags = DISK, .len_at = 4, .len_sz = 1,
	 .res_class = RES_WRITE, .seconds = 30, .usage = {OP, 0x10, 0, 0, 0xff, CT},
	 .exec = scsi_exec_mode_select, .name = "MODE SELECT(6)"},
	{.opcode = 0x16, .cdb_len = 6, .flags = DISK, .res_class = RES_RESERVE, .seconds = 30,
	 .usage = {OP, 0, 0, 0, 0, CT}, .exec = scsi_exec_reserve, .name = "RESERVE(6)"},
	{.opcode = 0x17, .cdb_len = 6, .flags = DISK, .res_class = RES_RELEASE, .seconds = 30,
	 .usage = {OP, 0, 0, 0, 0, CT}, .exec = scsi_exec_release, .name = "RELEASE(6)"},
	{.opcode = 0x1a, .cdb_len = 6, .dir = GW_DIR_IN, .flags = EACH, .len_at = 4, .len_sz = 1,
	 .in_max = 255, .res_class = RES_READ, .seconds = 10,
	 .usage = {OP, 0x08, 0xff, 0xff, 0xff, CT},
	 .exec = scsi_exec_mode_sense, .name = "MODE SENSE(6)"},
	{.opcode = 0x1b, .cdb_len = 6, .flags = DISK, .res_class = RES_START, .seconds = 60,
	 .usage = {OP, 0x01, 0, 0x0f, 0xf7, CT},
	 .exec = scsi_exec_start_stop, .name = "START STOP UNIT"},
	{.opcode = 0x1c, .cdb_len = 6, .dir = GW_DIR_IN, .flags = EACH, .len_at = 3, .len_sz = 2,
	 .in_max = 5, .res_class = RES_WRITE, .seconds = 10,
	 .usage = {OP, 0x01, 0xff, B2, CT},
	 .exec = scsi_exec_receive_diagnostic, .name = "RECEIVE DIAGNOSTIC RESULTS"},
	{.opcode = 0x1d, .cdb_len = 6, .dir = GW_DIR_OUT, .flags = EACH, .len_at = 3, .len_sz = 2,
	 .res_class = RES_WRITE, .seconds = 60,
	 .usage = {OP, 0x17, 0, B2, CT}, .prep = scsi_send_diagnostic_prep,
	 .exec = scsi_exec_send_diagnostic, .name = "SEND DIAGNOSTIC"},
	{.opcode = 0x1e, .cdb_len = 6, .flags = DISK | OP_REMOVABLE, .res_class = RES_PREVENT,
	 .seconds = 10, .usage = {OP, 0, 0, 0, 0x03, CT},
	 .exec = scsi_exec_prevent, .name = "PREVENT ALLOW MEDIUM REMOVAL"},
	{.opcode = 0x25, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DATA, .in_max = 8,
	 .res_class = RES_QUERY, .seconds = 10, .usage = {OP, 0, 0, 0, 0, 0, 0, 0, 0, CT},
	 .exec = scsi_exec_read_capacity10, .name = "READ CAPACITY(10)"},
	{.opcode = 0x28, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DATA | OP_BLOCKS,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 7, .nblk_sz = 2, .res_class = RES_READ, .seconds = 30,
	 .usage = {OP, 0x18, B4, 0, B2, CT},
	 .exec = scsi_exec_read, .name = "READ(10)"},
	{.opcode = 0x2a, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DATA | OP_BLOCKS | OP_WRITES,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 7, .nblk_sz = 2, .res_class = RES_WRITE,
	 .seconds = 30,
	 .usage = {OP, 0x18, B4, 0, B2, CT},
	 .exec = scsi_exec_write, .name = "WRITE(10)"},
	{.opcode = 0x2e, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DATA | OP_BLOCKS | OP_WRITES,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 7, .nblk_sz = 2, .res_class = RES_WRITE,
	 .seconds = 60,
	 .usage = {OP, 0x12, B4, 0, B2, CT},
	 .exec = scsi_exec_write_verify, .name = "WRITE AND VERIFY(10)"},
	{.opcode = 0x2f, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DATA,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 7, .nblk_sz = 2, .res_class = RES_READ, .seconds = 60,
	 .usage = {OP, 0x16, B4, 0, B2, CT}, .prep = scsi_verify_prep,
	 .exec = scsi_exec_verify, .name = "VERIFY(10)"},
	{.opcode = 0x34, .cdb_len = 10, .flags = DATA,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 7, .nblk_sz = 2, .res_class = RES_READ, .seconds = 10,
	 .usage = {OP, 0x02, B4, 0x3f, B2, CT},
	 .exec = scsi_exec_prefetch, .name = "PRE-FETCH(10)"},
	{.opcode = 0x35, .cdb_len = 10, .flags = DATA,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 7, .nblk_sz = 2, .res_class = RES_WRITE,
	 .seconds = 60,
	 .usage = {OP, 0x06, B4, 0, B2, CT},
	 .exec = scsi_exec_flush, .name = "SYNCHRONIZE CACHE(10)"},
	{.opcode = 0x37, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DATA, .len_at = 7, .len_sz = 2,
	 .in_max = 4, .res_class = RES_READ, .seconds = 10,
	 .usage = {OP, 0, 0x1f, 0, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_read_defects, .name = "READ DEFECT DATA(10)"},
	{.opcode = 0x41, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DATA | OP_WRITES,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 7, .nblk_sz = 2, .res_class = RES_WRITE,
	 .seconds = 120,
	 .usage = {OP, 0x08, B4, 0, B2, CT}, .prep = scsi_write_same_prep,
	 .exec = scsi_exec_write_same, .name = "WRITE SAME(10)"},
	{.opcode = 0x42, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DATA | OP_WRITES | OP_THIN,
	 .len_at = 7, .len_sz = 2, .res_class = RES_WRITE, .seconds = 120,
	 .usage = {OP, 0, 0, 0, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_unmap, .name = "UNMAP"},
	{.opcode = 0x48, .sa = 0x01, .cdb_len = 10, .dir = GW_DIR_OUT,
	 .flags = DISK | OP_SA | OP_WRITES | OP_SANITIZE,
	 .len_at = 7, .len_sz = 2, .res_class = RES_WRITE, .seconds = 0xffff,
	 .usage = {OP, 0xbf, 0, 0, 0, 0, 0, B2, CT}, .prep = scsi_sanitize_prep,
	 .exec = scsi_exec_sanitize, .name = "SANITIZE, OVERWRITE"},
	{.opcode = 0x48, .sa = 0x02, .cdb_len = 10,
	 .flags = DISK | OP_SA | OP_WRITES | OP_SANITIZE | OP_ERASE,
	 .len_at = 7, .len_sz = 2, .res_class = RES_WRITE, .seconds = 0xffff,
	 .usage = {OP, 0xbf, 0, 0, 0, 0, 0, B2, CT}, .prep = scsi_sanitize_prep,
	 .exec = scsi_exec_sanitize, .name = "SANITIZE, BLOCK ERASE"},
	{.opcode = 0x48, .sa = 0x03, .cdb_len = 10,
	 .flags = DISK | OP_SA | OP_WRITES | OP_SANITIZE | OP_CRYPTO,
	 .len_at = 7, .len_sz = 2, .res_class = RES_WRITE, .seconds = 0xffff,
	 .usage = {OP, 0xbf, 0, 0, 0, 0, 0, B2, CT}, .prep = scsi_sanitize_prep,
	 .exec = scsi_exec_sanitize, .name = "SANITIZE, CRYPTOGRAPHIC ERASE"},
	{.opcode = 0x48, .sa = 0x1f, .cdb_len = 10, .flags = DISK | OP_SA | OP_SANITIZE,
	 .len_at = 7, .len_sz = 2, .res_class = RES_WRITE, .seconds = 60,
	 .usage = {OP, 0xbf, 0, 0, 0, 0, 0, B2, CT}, .prep = scsi_sanitize_prep,
	 .exec = scsi_exec_exit_failure, .name = "SANITIZE, EXIT FAILURE MODE"},
	{.opcode = 0x4d, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DISK | OP_CTL,
	 .len_at = 7, .len_sz = 2, .in_max = 256, .res_class = RES_QUERY, .seconds = 10,
	 .usage = {OP, 0, 0xff, 0xff, 0, B2, B2, CT},
	 .exec = scsi_exec_log_sense, .name = "LOG SENSE"},
	{.opcode = 0x55, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK, .len_at = 7, .len_sz = 2,
	 .res_class = RES_WRITE, .seconds = 30, .usage = {OP, 0x10, 0, 0, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_mode_select, .name = "MODE SELECT(10)"},
	{.opcode = 0x56, .cdb_len = 10, .flags = DISK, .res_class = RES_RESERVE, .seconds = 30,
	 .usage = {OP, 0, 0, 0, 0, 0, 0, 0, 0, CT}, .exec = scsi_exec_reserve,
	 .name = "RESERVE(10)"},
	{.opcode = 0x57, .cdb_len = 10, .flags = DISK, .res_class = RES_RELEASE, .seconds = 30,
	 .usage = {OP, 0, 0, 0, 0, 0, 0, 0, 0, CT}, .exec = scsi_exec_release,
	 .name = "RELEASE(10)"},
	{.opcode = 0x5a, .cdb_len = 10, .dir = GW_DIR_IN, .flags = EACH, .len_at = 7, .len_sz = 2,
	 .in_max = 512, .res_class = RES_READ, .seconds = 10,
	 .usage = {OP, 0x18, 0xff, 0xff, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_mode_sense, .name = "MODE SENSE(10)"},
	{.opcode = 0x5e, .sa = 0x00, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DISK | OP_SA,
	 .len_at = 7, .len_sz = 2, .in_max = 0xffff, .res_class = RES_PR, .seconds = 30,
	 .usage = {OP, 0x1f, 0, 0, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_pr_read_keys, .name = "PERSISTENT RESERVE IN, READ KEYS"},
	{.opcode = 0x5e, .sa = 0x01, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DISK | OP_SA,
	 .len_at = 7, .len_sz = 2, .in_max = 0xffff, .res_class = RES_PR, .seconds = 30,
	 .usage = {OP, 0x1f, 0, 0, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_pr_read_reservation, .name = "PERSISTENT RESERVE IN, READ RESERVATION"},
	{.opcode = 0x5e, .sa = 0x02, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DISK | OP_SA,
	 .len_at = 7, .len_sz = 2, .in_max = 0xffff, .res_class = RES_PR, .seconds = 30,
	 .usage = {OP, 0x1f, 0, 0, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_pr_capabilities, .name = "PERSISTENT RESERVE IN, REPORT CAPABILITIES"},
	{.opcode = 0x5e, .sa = 0x03, .cdb_len = 10, .dir = GW_DIR_IN, .flags = DISK | OP_SA,
	 .len_at = 7, .len_sz = 2, .in_max = 0xffff, .res_class = RES_PR, .seconds = 30,
	 .usage = {OP, 0x1f, 0, 0, 0, 0, 0, B2, CT},
	 .exec = scsi_exec_pr_full_status, .name = "PERSISTENT RESERVE IN, READ FULL STATUS"},
	{.opcode = 0x5f, .sa = 0x00, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out, .name = "PERSISTENT RESERVE OUT, REGISTER"},
	{.opcode = 0x5f, .sa = 0x01, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out, .name = "PERSISTENT RESERVE OUT, RESERVE"},
	{.opcode = 0x5f, .sa = 0x02, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out, .name = "PERSISTENT RESERVE OUT, RELEASE"},
	{.opcode = 0x5f, .sa = 0x03, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out, .name = "PERSISTENT RESERVE OUT, CLEAR"},
	{.opcode = 0x5f, .sa = 0x04, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out, .name = "PERSISTENT RESERVE OUT, PREEMPT"},
	{.opcode = 0x5f, .sa = 0x05, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out, .name = "PERSISTENT RESERVE OUT, PREEMPT AND ABORT"},
	{.opcode = 0x5f, .sa = 0x06, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out,
	 .name = "PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY"},
	{.opcode = 0x5f, .sa = 0x07, .cdb_len = 10, .dir = GW_DIR_OUT, .flags = DISK | OP_SA,
	 .len_at = 5, .len_sz = 4, .res_class = RES_PR, .seconds = 60,
	 .usage = {OP, 0x1f, 0xff, 0, 0, B4, CT}, .prep = scsi_pr_out_prep,
	 .exec = scsi_exec_pr_out, .name = "PERSISTENT RESERVE OUT, REGISTER AND MOVE"},
	{.opcode = 0x88, .cdb_len = 16, .dir = GW_DIR_IN, .flags = DATA | OP_BLOCKS,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_READ,
	 .seconds = 30,
	 .usage = {OP, 0x18, B8, B4, 0, CT},
	 .exec = scsi_exec_read, .name = "READ(16)"},
	{.opcode = 0x89, .cdb_len = 16, .dir = GW_DIR_OUT, .flags = DATA | OP_WRITES,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 13, .nblk_sz = 1, .res_class = RES_WRITE,
	 .seconds = 30,
	 .usage = {OP, 0x18, B8, 0, 0, 0, 0xff, 0, CT}, .prep = scsi_caw_prep,
	 .exec = scsi_exec_caw, .name = "COMPARE AND WRITE"},
	{.opcode = 0x8a, .cdb_len = 16, .dir = GW_DIR_OUT, .flags = DATA | OP_BLOCKS | OP_WRITES,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_WRITE,
	 .seconds = 30,
	 .usage = {OP, 0x18, B8, B4, 0, CT},
	 .exec = scsi_exec_write, .name = "WRITE(16)"},
	{.opcode = 0x8b, .cdb_len = 16, .dir = GW_DIR_OUT, .flags = DATA | OP_BLOCKS | OP_WRITES,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_WRITE,
	 .seconds = 30,
	 .usage = {OP, 0x18, B8, B4, 0, CT},
	 .exec = scsi_exec_orwrite, .name = "ORWRITE(16)"},
	{.opcode = 0x8e, .cdb_len = 16, .dir = GW_DIR_OUT, .flags = DATA | OP_BLOCKS | OP_WRITES,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_WRITE,
	 .seconds = 60,
	 .usage = {OP, 0x12, B8, B4, 0, CT},
	 .exec = scsi_exec_write_verify, .name = "WRITE AND VERIFY(16)"},
	{.opcode = 0x8f, .cdb_len = 16, .dir = GW_DIR_OUT, .flags = DATA,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_READ,
	 .seconds = 60,
	 .usage = {OP, 0x16, B8, B4, 0, CT}, .prep = scsi_verify_prep,
	 .exec = scsi_exec_verify, .name = "VERIFY(16)"},
	{.opcode = 0x90, .cdb_len = 16, .flags = DATA,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_READ,
	 .seconds = 10,
	 .usage = {OP, 0x02, B8, B4, 0x3f, CT},
	 .exec = scsi_exec_prefetch, .name = "PRE-FETCH(16)"},
	{.opcode = 0x91, .cdb_len = 16, .flags = DATA,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_WRITE,
	 .seconds = 60,
	 .usage = {OP, 0x06, B8, B4, 0, CT},
	 .exec = scsi_exec_flush, .name = "SYNCHRONIZE CACHE(16)"},
	{.opcode = 0x93, .cdb_len = 16, .dir = GW_DIR_OUT, .flags = DATA | OP_WRITES,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 10, .nblk_sz = 4, .res_class = RES_WRITE,
	 .seconds = 120,
	 .usage = {OP, 0x09, B8, B4, 0, CT}, .prep = scsi_write_same_prep,
	 .exec = scsi_exec_write_same, .name = "WRITE SAME(16)"},
	{.opcode = 0x9c, .cdb_len = 16, .dir = GW_DIR_OUT,
	 .flags = DATA | OP_BLOCKS | OP_WRITES | OP_ATOMIC,
	 .lba_at = 2, .lba_sz = 8, .nblk_at = 12, .nblk_sz = 2, .res_class = RES_WRITE,
	 .seconds = 30,
	 .usage = {OP, 0x18, B8, 0, 0, B2, 0, CT}, .prep = scsi_write_atomic_prep,
	 .exec = scsi_exec_write_atomic, .name = "WRITE ATOMIC(16)"},
	{.opcode = 0x9e, .sa = 0x10, .cdb_len = 16, .dir = GW_DIR_IN, .flags = DATA | OP_SA,
	 .len_at = 10, .len_sz = 4, .in_max = 32, .res_class = RES_QUERY, .seconds = 10,
	 .usage = {OP, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, B4, 0, CT},
	 .exec = scsi_exec_read_capacity16, .name = "READ CAPACITY(16)"},
	{.opcode = 0x9e, .sa = 0x12, .cdb_len = 16, .dir = GW_DIR_IN, .flags = DATA | OP_SA,
	 .lba_at = 2, .lba_sz = 8, .len_at = 10, .len_sz = 4, .in_max = 8 + 256 * 16,
	 .res_class = RES_READ, .seconds = 60,
	 .usage = {OP, 0x1f, B8, B4, 0, CT}, .prep = scsi_lba_status_prep,
	 .exec = scsi_exec_lba_status, .name = "GET LBA STATUS"},
	{.opcode = 0xa0, .cdb_len = 12, .dir = GW_DIR_IN,
	 .flags = EACH | OP_WLUN | OP_UA | OP_ANY_LUN,
	 .len_at = 6, .len_sz = 4, .res_class = RES_FREE, .seconds = 10,
	 .usage = {OP, 0, 0xff, 0, 0, 0, B4, 0, CT}, .prep = scsi_report_luns_prep,
	 .exec = scsi_exec_report_luns, .name = "REPORT LUNS"},
	{.opcode = 0xa3, .sa = 0x0c, .cdb_len = 12, .dir = GW_DIR_IN,
	 .flags = EACH | OP_SA | OP_SANITIZE,
	 .len_at = 6, .len_sz = 4, .in_max = 4096, .res_class = RES_READ, .seconds = 10,
	 .usage = {OP, 0x1f, 0x87, 0xff, B2, B4, 0, CT},
	 .exec = scsi_exec_rsoc, .name = "REPORT SUPPORTED OPERATION CODES"},
	{.opcode = 0xa3, .sa = 0x0d, .cdb_len = 12, .dir = GW_DIR_IN,
	 .flags = EACH | OP_SA | OP_SANITIZE,
	 .len_at = 6, .len_sz = 4, .in_max = 16, .res_class = RES_READ, .seconds = 10,
	 .usage = {OP, 0x1f, 0x80, 0, 0, 0, B4, 0, CT},
	 .exec = scsi_exec_rstmf, .name = "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS"},
	{.opcode = 0xa3, .sa = 0x0f, .cdb_len = 12, .dir = GW_DIR_IN, .flags = EACH | OP_SA,
	 .len_at = 6, .len_sz = 4, .in_max = 12, .res_class = RES_FREE, .seconds = 10,
	 .usage = {OP, 0x1f, 0, 0, 0, 0, B4, 0, CT},
	 .exec = scsi_exec_report_timestamp, .name = "REPORT TIMESTAMP"},
	{.opcode = 0xa4, .sa = 0x0f, .cdb_len = 12, .dir = GW_DIR_OUT, .flags = EACH | OP_SA,
	 .len_at = 6, .len_sz = 4, .res_class = RES_WRITE, .seconds = 10,
	 .usage = {OP, 0x1f, 0, 0, 0, 0, B4, 0, CT}, .prep = scsi_set_timestamp_prep,
	 .exec = scsi_exec_set_timestamp, .name = "SET TIMESTAMP"},
	{.opcode = 0xa8, .cdb_len = 12, .dir = GW_DIR_IN, .flags = DATA | OP_BLOCKS,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 6, .nblk_sz = 4, .res_class = RES_READ, .seconds = 30,
	 .usage = {OP, 0x18, B4, B4, 0, CT},
	 .exec = scsi_exec_read, .name = "READ(12)"},
	{.opcode = 0xaa, .cdb_len = 12, .dir = GW_DIR_OUT, .flags = DATA | OP_BLOCKS | OP_WRITES,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 6, .nblk_sz = 4, .res_class = RES_WRITE,
	 .seconds = 30,
	 .usage = {OP, 0x18, B4, B4, 0, CT},
	 .exec = scsi_exec_write, .name = "WRITE(12)"},
	{.opcode = 0xae, .cdb_len = 12, .dir = GW_DIR_OUT, .flags = DATA | OP_BLOCKS | OP_WRITES,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 6, .nblk_sz = 4, .res_class = RES_WRITE,
	 .seconds = 60,
	 .usage = {OP, 0x12, B4, B4, 0, CT},
	 .exec = scsi_exec_write_verify, .name = "WRITE AND VERIFY(12)"},
	{.opcode = 0xaf, .cdb_len = 12, .dir = GW_DIR_OUT, .flags = DATA,
	 .lba_at = 2, .lba_sz = 4, .nblk_at = 6, .nblk_sz = 4, .res_class = RES_READ, .seconds = 60,
	 .usage = {OP, 0x16, B4, B4, 0, CT}, .prep = scsi_verify_prep,
	 .exec = scsi_exec_verify, .name = "VERIFY(12)"},
	{.opcode = 0xb7, .cdb_len = 12, .dir = GW_DIR_IN, .flags = DATA, .len_at = 6, .len_sz = 4,
	 .in_max = 8, .res_class = RES_READ, .seconds = 10,
	 .usage = {OP, 0x1f, B4, B4, 0, CT},
	 .exec = scsi_exec_read_defects, .name = "READ DEFECT DATA(12)"},
};
/* clang-format on */
const unsigned scsi_nops = GW_ARRAY_LEN(scsi_ops);

/* First row of each opcode, plus one; 0: none. */
static uint8_t op_index[256];

void
scsi_ops_init(void)
{
	_Static_assert(GW_ARRAY_LEN(scsi_ops) < 255, "row numbers fit a byte");

	for (unsigned i = scsi_nops; i-- > 0;)
		op_index[scsi_ops[i].opcode] = (uint8_t)(i + 1);
}

bool
scsi_op_has(const struct scsi_op *op, const struct scsi_view *v)
{
	if (!v)
		return true;
	if (!(op->flags & (v->conf.kind == SCSI_KIND_DISK ? OP_DISK : OP_CTL)))
		return false;
	if (((op->flags & OP_THIN) && !v->lbpme) || ((op->flags & OP_ATOMIC) && !v->atomic_max) ||
	    ((op->flags & OP_ERASE) && !v->erase) || ((op->flags & OP_CRYPTO) && !v->crypto))
		return false;
	return !(op->flags & OP_REMOVABLE) || v->conf.removable;
}

const struct scsi_op *
scsi_op_row(uint8_t opcode, uint16_t sa, const struct scsi_view *v)
{
	for (unsigned i = op_index[opcode]; i && i <= scsi_nops; i++) {
		const struct scsi_op *op = &scsi_ops[i - 1];

		if (op->opcode != opcode)
			break;
		if (op->sa == sa && scsi_op_has(op, v))
			return op;
	}
	return NULL;
}

const struct scsi_op *
scsi_op_find(const uint8_t *cdb, const struct scsi_view *v, bool *known)
{
	unsigned i = op_index[cdb[0]];

	*known = i > 0;
	if (!i)
		return NULL;
	*known = scsi_op_has(&scsi_ops[i - 1], v);
	return scsi_op_row(cdb[0], scsi_ops[i - 1].flags & OP_SA ? cdb[1] & 0x1f : 0, v);
}
