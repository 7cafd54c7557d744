/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How full a file's file system is, as df tells those who have no privileges: what is kept back for
 * root is nobody's. A block device says nothing about what may be behind it.
 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "backend/uring_priv.h"

int
uring_space(struct be_dev *dev, struct be_space *out)
{
	struct uring_dev *ud = dev->priv;
	struct statvfs fs;
	struct stat st;

	if (ud->block)
		return -EOPNOTSUPP;
	if (fstat(ud->fd, &st) || fstatvfs(ud->fd, &fs))
		return -errno;
	/* Without a limit (a tmpfs may have none) nothing can be told. */
	if (!fs.f_blocks || fs.f_bfree > fs.f_blocks || fs.f_bavail > fs.f_bfree)
		return -EOPNOTSUPP;
	out->used = (uint64_t)st.st_blocks * 512;
	out->avail = (uint64_t)fs.f_bavail * fs.f_frsize;
	out->total = (uint64_t)(fs.f_blocks - fs.f_bfree + fs.f_bavail) * fs.f_frsize;
	return out->total ? 0 : -EOPNOTSUPP;
}
