/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One writer per file: two LUNs, or two gateways, with a file of their own each believe that what
 * they wrote is what they will read. Readers may share.
 */
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "backend/backend_priv.h"
#include "gateway/base/log.h"

/* Control thread only. */
static struct gw_list claims = {&claims, &claims};

/* A device is itself under whatever name, a file is known by where it lies. */
static void
identity(const struct stat *st, dev_t *dev, ino_t *ino)
{
	bool device = S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode);

	*dev = device ? st->st_rdev : st->st_dev;
	/* No file has one of these. */
	*ino = S_ISBLK(st->st_mode) ? 0 : device ? UINT64_MAX : st->st_ino;
}

int
be_claim_check(const struct stat *st, bool ro, const char *path, char *err, unsigned err_size)
{
	dev_t dev;
	ino_t ino;

	identity(st, &dev, &ino);
	gw_list_each (c, &claims, struct be_claim, node) {
		if (c->dev != dev || c->ino != ino || (ro && c->ro))
			continue;
		if (!strcmp(c->path, path))
			return be_refuse(err, err_size, -EBUSY,
					 "%s is the backing store of another LUN already", path);
		return be_refuse(
		    err, err_size, -EBUSY,
		    "%s is the backing store of another LUN already, under the name %s", path,
		    c->path);
	}
	return 0;
}

int
be_claim(struct be_claim *c, int fd, const struct stat *st, bool ro, const char *path, char *err,
	 unsigned err_size)
{
	if (flock(fd, (ro ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return be_refuse(err, err_size, -EBUSY, "%s is in use by another process",
					 path);
		/* Some network file systems have no locks. */
		gw_warn("cannot lock a backing store against other gateways: path=%s error=\"%s\"",
			path, strerror(errno));
	}
	identity(st, &c->dev, &c->ino);
	c->ro = ro;
	c->path = path;
	gw_list_add_tail(&claims, &c->node);
	return 0;
}

void
be_unclaim(struct be_claim *c)
{
	gw_list_del(&c->node);
}
