/* SPDX-License-Identifier: BSD-3-Clause */
/* Where sockets and state are, from the environment. Shared by lichgate-mgmtd and lgtadm. */
#ifndef MGMT_PATHS_H
#define MGMT_PATHS_H

#include <stdbool.h>
#include <stddef.h>

const char *mgmt_run_dir(void);   /* $LGT_RUN_DIR, else /run/lichgate */
const char *mgmt_state_dir(void); /* $LGT_STATE_DIR, else /var/lib/lichgate */

/*
 * The socket of the daemon with that control port: $TGT_IPC_SOCKET.PORT, else
 * $LGT_RUN_DIR/tgtd.socket.PORT, else tgt's own /var/run/tgtd/socket.PORT. False if it is too long
 * for a UNIX address (107 bytes).
 */
bool mgmt_ipc_path(char *dst, size_t size, unsigned port);
/* The directory that the daemon must create for it, NULL if the environment chose another place. */
const char *mgmt_ipc_default_dir(void);

#endif
