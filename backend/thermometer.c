/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How warm the drive is that a store lies on, as Linux's hwmon drivers tell it in sysfs (nvme,
 * drivetemp). To read it is a command to the drive, so it happens beside the core.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/backend_priv.h"
#include "gateway/base/num.h"
#include "gateway/core/engine.h"

_Static_assert(sizeof(struct gw_op) <= sizeof((struct be_io){0}.priv), "fits");

static int
first_of(const char *pattern)
{
	glob_t g;
	int fd = -1;

	if (glob(pattern, 0, NULL, &g) == 0) {
		fd = open(g.gl_pathv[0], O_RDONLY | O_CLOEXEC);
		globfree(&g);
	}
	return fd;
}

/*
 * A file's drive is that of its file system; a partition's is one level up. The drivers hang below
 * the SCSI device in a folder "hwmon", and right below the NVMe controller.
 */
int
be_thermometer_open(const char *sysfs, const char *path)
{
	static const char *const ways[] = {"device/hwmon/hwmon*", "device/hwmon*",
					   "../device/hwmon/hwmon*", "../device/hwmon*"};
	char pattern[256];
	struct stat st;
	dev_t dev;
	int fd = -1;

	if (stat(path, &st))
		return -1;
	dev = S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) ? st.st_rdev : st.st_dev;
	for (unsigned i = 0; i < GW_ARRAY_LEN(ways) && fd < 0; i++) {
		snprintf(pattern, sizeof(pattern), "%s/dev/%s/%u:%u/%s/temp1_input", sysfs,
			 S_ISCHR(st.st_mode) ? "char" : "block", major(dev), minor(dev), ways[i]);
		fd = first_of(pattern);
	}
	return fd;
}

static struct be_io *
io_of(struct gw_op *op)
{
	return gw_container(op, struct be_io, priv);
}

/* On the thread; hwmon's unit is a thousandth of a degree. */
static int
look(struct gw_op *op)
{
	struct be_io *io = io_of(op);
	char text[16] = "";

	if (pread(io->chan->dev->thermometer_fd, text, sizeof(text) - 1, 0) <= 0)
		return -EIO;
	return (int)GW_MIN(GW_MAX(strtol(text, NULL, 10) / 1000, 0), BE_CELSIUS_MAX);
}

static void
looked(struct gw_op *op, int res)
{
	struct be_io *io = io_of(op);

	io->celsius = (uint8_t)(res < 0 ? BE_CELSIUS_UNKNOWN : res);
	be_done(io, BE_OK);
}

void
be_thermometer_read(struct be_io *io)
{
	struct gw_op *op = (struct gw_op *)io->priv;

	memset(op, 0, sizeof(*op));
	op->done = looked;
	gw_aside(io->chan->core, op, look);
}
