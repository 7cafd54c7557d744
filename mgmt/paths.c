/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

static const char *
env_or(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

const char *
mgmt_run_dir(void)
{
	return env_or("LGT_RUN_DIR", "/run/lichgate");
}

const char *
mgmt_state_dir(void)
{
	return env_or("LGT_STATE_DIR", "/var/lib/lichgate");
}

const char *
mgmt_ipc_default_dir(void)
{
	return env_or("TGT_IPC_SOCKET", NULL) || env_or("LGT_RUN_DIR", NULL) ? NULL
									     : "/var/run/tgtd";
}

bool
mgmt_ipc_path(char *dst, size_t size, unsigned port)
{
	const char *tgt = env_or("TGT_IPC_SOCKET", NULL), *run = env_or("LGT_RUN_DIR", NULL);
	struct sockaddr_un un;
	int n;

	if (tgt)
		n = snprintf(dst, size, "%s.%u", tgt, port);
	else if (run)
		n = snprintf(dst, size, "%s/tgtd.socket.%u", run, port);
	else
		n = snprintf(dst, size, "%s/socket.%u", mgmt_ipc_default_dir(), port);
	return n > 0 && (size_t)n < size && (size_t)n < sizeof(un.sun_path);
}
