/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A namespace has two devices: the generic one (/dev/ngXnY) takes NVMe commands, the block device
 * (/dev/nvmeXnY) is what others could use it by. The kernel gives both the same numbers.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/nvme_priv.h"

/* The kernel's own name of the device that st describes; false if it has none. */
static bool
kernel_name(const struct stat *st, char *name, size_t size)
{
	char link[64], target[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/dev/%s/%u:%u", S_ISBLK(st->st_mode) ? "block" : "char",
		 major(st->st_rdev), minor(st->st_rdev));
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	base = strrchr(target, '/');
	return base && snprintf(name, size, "%s", base + 1) < (int)size;
}

static bool
numbers(const char *name, bool block, unsigned *ctrl, unsigned *ns)
{
	int end = 0, n = block ? sscanf(name, "nvme%un%u%n", ctrl, ns, &end)
			       : sscanf(name, "ng%un%u%n", ctrl, ns, &end);

	return n == 2 && end && !name[end];
}

/* Does the path exist, and is it the device that the kernel calls so? */
static bool
is_device(const char *path, const char *name)
{
	char kernels[64];
	struct stat st;

	return !stat(path, &st) && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) &&
	       kernel_name(&st, kernels, sizeof(kernels)) && !strcmp(kernels, name);
}

static bool
in_sysfs(const char *class, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/%s/%s", class, name);
	return !access(path, F_OK);
}

static int
no_namespace(const char *path, const char *name, char *err, unsigned err_size)
{
	unsigned ctrl;
	int end = 0;

	if (sscanf(name, "nvme%u%n", &ctrl, &end) == 1 && end && !name[end])
		return be_refuse(err, err_size, -EINVAL,
				 "%s is an NVMe controller: a LUN needs one of its namespaces "
				 "(/dev/ng%un1)",
				 path, ctrl);
	if (!strncmp(name, "nvme", 4) && strrchr(name, 'p'))
		return be_refuse(
		    err, err_size, -EINVAL,
		    "%s is a partition: the nvme backing store takes whole namespaces, "
		    "uring takes partitions",
		    path);
	return be_refuse(err, err_size, -EINVAL, "%s is no NVMe namespace", path);
}

int
nvme_names_of(const char *path, struct nvme_names *n, char *err, unsigned err_size)
{
	char name[64], *generic, *block;
	unsigned ctrl, ns;
	struct stat st;
	bool by_block;

	if (stat(path, &st))
		return be_refuse(err, err_size, -errno, "cannot open %s: %s", path,
				 strerror(errno));
	by_block = S_ISBLK(st.st_mode);
	if ((!by_block && !S_ISCHR(st.st_mode)) || !kernel_name(&st, name, sizeof(name)))
		return be_refuse(err, err_size, -EINVAL, "%s is no NVMe namespace", path);
	if (!numbers(name, by_block, &ctrl, &ns))
		return no_namespace(path, name, err, err_size);
	snprintf(n->generic, sizeof(n->generic), "/dev/ng%un%u", ctrl, ns);
	snprintf(n->block, sizeof(n->block), "/dev/nvme%un%u", ctrl, ns);
	generic = n->generic + strlen("/dev/");
	block = n->block + strlen("/dev/");
	if (!is_device(n->generic, generic))
		return be_refuse(
		    err, err_size, -ENODEV,
		    "%s has no generic NVMe device: %s is missing (Linux 5.13 or later "
		    "makes it)",
		    path, n->generic);
	if (!in_sysfs("block", block))
		n->block[0] = 0;
	else if (!is_device(n->block, block))
		return be_refuse(err, err_size, -ENODEV,
				 "%s cannot be kept from other users: its block device %s is "
				 "missing",
				 path, n->block);
	return 0;
}
