/* SPDX-License-Identifier: BSD-3-Clause */
/* Small files that are whole, or not there, after a loss of power. Calls block. */
#ifndef GW_SCSI_PR_FILE_H
#define GW_SCSI_PR_FILE_H

#include <stddef.h>

/*
 * The file of that name in dir, which is made if need be, as is the directory above it. 0, or
 * -errno: then it is as it was, unless the last step failed, which brings its new name to the disk.
 */
int pr_file_write(const char *dir, const char *name, const void *p, size_t n);
/* 0, also if there is none, or -errno. */
int pr_file_remove(const char *dir, const char *name);
/* *p has *n bytes, the caller's to free. 0, -ENOENT, -EFBIG: more than max bytes, or -errno. */
int pr_file_read(const char *dir, const char *name, size_t max, char **p, size_t *n);

#endif
