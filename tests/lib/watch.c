// SPDX-License-Identifier: BSD-3-Clause
/*
 * watch URL SECS: logs in, prints `capacity BYTES`, then asks TEST UNIT READY until a unit
 * attention comes. Prints `attention ASC/ASCQ` and the capacity of that moment, all in one session.
 * Exit 1 if none came within SECS.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

static void die(const char *what) __attribute__((noreturn));

static void
die(const char *what)
{
	fprintf(stderr, "watch: %s\n", what);
	exit(1);
}

static void
print_capacity(struct iscsi_context *ctx, int lun)
{
	struct scsi_task *task = iscsi_readcapacity16_sync(ctx, lun);
	struct scsi_readcapacity16 *rc;

	if (!task || task->status != SCSI_STATUS_GOOD)
		die(iscsi_get_error(ctx));
	rc = scsi_datain_unmarshall(task);
	if (!rc)
		die("READ CAPACITY(16) data too short");
	printf("capacity %" PRIu64 "\n", (rc->returned_lba + 1) * rc->block_length);
	fflush(stdout);
	scsi_free_scsi_task(task);
}

/* 0: none, else ASC << 8 | ASCQ */
static int
unit_attention(struct iscsi_context *ctx, int lun)
{
	struct scsi_task *task = iscsi_testunitready_sync(ctx, lun);
	int got = 0;

	if (!task)
		die(iscsi_get_error(ctx));
	if (task->status == SCSI_STATUS_CHECK_CONDITION &&
	    task->sense.key == SCSI_SENSE_UNIT_ATTENTION)
		got = task->sense.ascq;
	scsi_free_scsi_task(task);
	return got;
}

int
main(int argc, char **argv)
{
	struct iscsi_context *ctx = iscsi_create_context("iqn.2026-11.org.example:watch");
	struct iscsi_url *url;
	int ua = 0;

	if (argc != 3 || !ctx)
		die("watch URL SECS");
	/* The library tries for ever to get back to a gateway that is gone. */
	alarm((unsigned)atoi(argv[2]) + 30);
	url = iscsi_parse_full_url(ctx, argv[1]);
	if (!url)
		die(iscsi_get_error(ctx));
	iscsi_set_targetname(ctx, url->target);
	iscsi_set_session_type(ctx, ISCSI_SESSION_NORMAL);
	if (iscsi_full_connect_sync(ctx, url->portal, url->lun) != 0)
		die(iscsi_get_error(ctx));
	print_capacity(ctx, url->lun);
	for (int i = 0; i < atoi(argv[2]) * 20 && !ua; i++) {
		usleep(50000);
		ua = unit_attention(ctx, url->lun);
	}
	if (ua) {
		printf("attention %02x/%02x\n", (unsigned)ua >> 8, (unsigned)ua & 0xff);
		print_capacity(ctx, url->lun);
	}
	iscsi_logout_sync(ctx);
	iscsi_destroy_url(url);
	iscsi_destroy_context(ctx);
	return ua ? 0 : 1;
}
