/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One writer per file: two LUNs, or two gateways, with a file of their own each believe that what
 * they wrote is what they will read. Readers may share.
 */
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "backend/uring_priv.h"
#include "gateway/base/log.h"

/* Control thread only. */
static struct gw_list claims = {&claims, &claims};

/* A block device is itself under whatever name, a file is known by where it lies. */
static void
identity(const struct stat *st, dev_t *dev, ino_t *ino)
{
	bool block = S_ISBLK(st->st_mode);

	*dev = block ? st->st_rdev : st->st_dev;
	*ino = block ? 0 : st->st_ino;
}

int
uring_claim_check(const struct stat *st, bool ro, const char *path, char *err, unsigned err_size)
{
	dev_t dev;
	ino_t ino;

	identity(st, &dev, &ino);
	gw_list_each (ud, &claims, struct uring_dev, claim) {
		if (ud->claim_dev != dev || ud->claim_ino != ino || (ro && ud->claim_ro))
			continue;
		if (!strcmp(ud->path, path))
			return be_refuse(err, err_size, -EBUSY,
					 "%s is the backing store of another LUN already", path);
		return be_refuse(
		    err, err_size, -EBUSY,
		    "%s is the backing store of another LUN already, under the name %s", path,
		    ud->path);
	}
	return 0;
}

int
uring_claim(struct uring_dev *ud, const struct stat *st, bool ro, char *err, unsigned err_size)
{
	if (flock(ud->fd, (ro ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return be_refuse(err, err_size, -EBUSY, "%s is in use by another process",
					 ud->path);
		/* Some network file systems have no locks. */
		gw_warn("cannot lock a backing store against other gateways: path=%s error=\"%s\"",
			ud->path, strerror(errno));
	}
	identity(st, &ud->claim_dev, &ud->claim_ino);
	ud->claim_ro = ro;
	gw_list_add_tail(&claims, &ud->claim);
	return 0;
}

void
uring_unclaim(struct uring_dev *ud)
{
	gw_list_del(&ud->claim);
}
