/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread: a sd-event loop with the control socket (docs/control-protocol.md), the tick
 * of the configuration, and the signals. All calls are that thread's.
 */
#ifndef GW_CONTROL_H
#define GW_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

struct gw_control_conf {
	const char *path;   /* of the socket */
	const char *engine; /* for hello */
	uint32_t chap_mask; /* bit n: the crypto library has CHAP algorithm n */
};

struct gw_control;

/*
 * Listens. SIGTERM and SIGINT are blocked in the caller from before its first thread. 0 or -errno
 * with a sentence in err.
 */
int gw_control_open(const struct gw_control_conf *conf, struct gw_control **c, char *err,
		    unsigned err_size);
/* Serves until a signal or the method `shutdown` ends it. 0 or -errno. */
int gw_control_run(struct gw_control *c);
/* Removes the socket. */
void gw_control_close(struct gw_control *c);

#endif
