/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel tells about a block device, in sysfs and by ioctl. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/uring_priv.h"
#include "gateway/base/str.h"

static int
open_queue(dev_t dev, const char *name)
{
	/* A partition has no queue of its own: that of the disk is one level up. */
	static const char *const up[] = {"", "../"};
	char path[128];
	int fd = -1;

	for (unsigned i = 0; i < 2 && fd < 0; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(dev),
			 minor(dev), up[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

bool
uring_queue_text(dev_t dev, const char *name, char *buf, size_t size)
{
	int fd = open_queue(dev, name);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

bool
uring_queue_u64(dev_t dev, const char *name, uint64_t *v)
{
	char text[32];

	return uring_queue_text(dev, name, text, sizeof(text)) && gw_str_u64(text, v);
}

uint64_t
uring_block_size(int fd)
{
	uint64_t bytes = 0;

	return ioctl(fd, BLKGETSIZE64, &bytes) ? 0 : bytes;
}
