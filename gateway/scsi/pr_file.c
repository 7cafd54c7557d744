/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/scsi/pr_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Both of them there, and each known to the one above. */
static int
make_dirs(const char *dir)
{
	char up[PATH_MAX];
	const char *last = strrchr(dir, '/');
	int rc = 0, fd;

	for (int above = 1; above >= 0 && !rc; above--) {
		int n = above ? (int)(last - dir) : (int)strlen(dir);

		if (n == 0)
			continue;
		if (snprintf(up, sizeof(up), "%.*s", n, dir) >= (int)sizeof(up) - 3)
			return -ENAMETOOLONG;
		if (mkdir(up, 0700) != 0) {
			rc = errno == EEXIST ? 0 : -errno;
			continue;
		}
		memcpy(up + n, "/..", 4);
		fd = open(up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = fd < 0 || fsync(fd) != 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
	}
	return rc;
}

static int
open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int
write_new(int dir, const char *name, const void *p, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return -errno;
	rc = write_all(fd, p, n);
	if (!rc && fsync(fd) != 0)
		rc = -errno;
	if (close(fd) != 0 && !rc)
		rc = -errno;
	return rc;
}

int
pr_file_write(const char *dir, const char *name, const void *p, size_t n)
{
	char new[NAME_MAX + 1];
	int rc = make_dirs(dir), fd;

	if (rc)
		return rc;
	if (snprintf(new, sizeof(new), "%s.new", name) >= (int)sizeof(new))
		return -ENAMETOOLONG;
	fd = open_dir(dir);
	if (fd < 0)
		return fd;
	rc = write_new(fd, new, p, n);
	if (!rc && renameat(fd, new, fd, name) != 0)
		rc = -errno;
	if (rc)
		unlinkat(fd, new, 0);
	else if (fsync(fd) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

int
pr_file_remove(const char *dir, const char *name)
{
	int fd = open_dir(dir), rc = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (unlinkat(fd, name, 0) != 0)
		rc = errno == ENOENT ? 0 : -errno;
	else if (fsync(fd) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int
read_all(int fd, size_t max, char **out, size_t *n)
{
	struct stat st;
	size_t have = 0;
	ssize_t got = 1;
	char *p;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return -EFBIG;
	p = malloc((size_t)st.st_size + 1);
	if (!p)
		return -ENOMEM;
	while (have < (size_t)st.st_size && got) {
		got = read(fd, p + have, (size_t)st.st_size - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			got = -errno;
			free(p);
			return (int)got;
		}
		have += (size_t)got;
	}
	*out = p;
	*n = have;
	return 0;
}

int
pr_file_read(const char *dir, const char *name, size_t max, char **out, size_t *n)
{
	char path[PATH_MAX];
	int fd, rc;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = read_all(fd, max, out, n);
	close(fd);
	return rc;
}
