/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters of one core: written by their core with plain relaxed stores, read by anyone. One list
 * makes the struct, the names, and what the control socket reports.
 */
#ifndef GW_CORE_STATS_H
#define GW_CORE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#define GW_CORE_STATS(X)                                                                           \
	X(turns, "turns of the loop")                                                              \
	X(busy_ns, "time not asleep, ns")                                                          \
	X(slow_turns, "turns longer than 10 ms")                                                   \
	X(enters, "calls of io_uring_enter, or of epoll_wait and io_submit")                    \
	X(completions, "operations completed")                                                     \
	X(messages, "messages received")                                                           \
	X(buf_waits, "times a buffer was not to be had")                                           \
	X(chunk_waits, "times a receive chunk was not to be had")                                  \
	X(conns, "connections opened")                                                             \
	X(conns_live, "connections open now")                                                      \
	X(sessions, "sessions open now, but for discovery")                                        \
	X(logins, "logins completed")                                                              \
	X(login_failures, "logins refused")                                                        \
	X(cmds, "SCSI commands begun")                                                             \
	X(cmds_aborted, "SCSI commands aborted")                                                   \
	X(tmfs, "task management functions")                                                       \
	X(rejects, "PDUs rejected")                                                                \
	X(digest_errors, "digest errors received")                                                 \
	X(rx_bytes, "bytes received")                                                              \
	X(tx_bytes, "bytes sent")

struct gw_core_stats {
#define X(name, what) _Atomic uint64_t name;
	GW_CORE_STATS(X)
#undef X
};

/* Adds to a counter of the calling core. */
#define gw_stat_add(field, n)                                                                      \
	atomic_store_explicit(&(field),                                                            \
			      atomic_load_explicit(&(field), memory_order_relaxed) + (n),          \
			      memory_order_relaxed)
#define gw_stat_set(field, v) atomic_store_explicit(&(field), (v), memory_order_relaxed)
#define gw_stat_get(field) atomic_load_explicit(&(field), memory_order_relaxed)

#endif
