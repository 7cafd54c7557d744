/* SPDX-License-Identifier: BSD-3-Clause */
/* errno to be_st: the one place where the kernel's answers become ours. */
#include <errno.h>

#include "backend/backend_priv.h"

enum be_st
be_st_of_errno(int e)
{
	switch (e) {
	case 0:
		return BE_OK;
	case ENOSPC:
	case EDQUOT:
		return BE_ENOSPC;
	case EFBIG:
		return BE_ERANGE;
	case EROFS:
	case EPERM:
		return BE_EROFS;
	case ENXIO:
	case ENODEV:
	case ENOMEDIUM:
		return BE_EGONE;
	case EOPNOTSUPP:
	case ENOSYS:
		return BE_ENOTSUP;
	case EAGAIN:
	case EINTR:
	case ENOMEM:
	case ENOBUFS:
	case EBUSY:
	case ECANCELED:
		return BE_EBUSY;
	default:
		return BE_EMEDIUM;
	}
}
