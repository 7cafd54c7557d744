/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line per event: a sentence with key=value, the peer, the target, the LUN. Never per command,
 * never a secret. Lines go to stderr with the <N> prefix of sd-daemon(3) when stderr is the
 * journal, else with a time stamp. Any thread; a line is written with one write(2).
 */
#ifndef GW_BASE_LOG_H
#define GW_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum gw_log_level { GW_LOG_ERR, GW_LOG_WARN, GW_LOG_INFO, GW_LOG_DEBUG };

/* `program` must stay valid. Called once, before any thread starts. */
void gw_log_init(const char *program);
void gw_log_level_set(enum gw_log_level level);
bool gw_log_debugging(void);

/*
 * Control characters and bytes >= 0x7f in the formatted text are replaced by '?', so that a peer
 * cannot forge lines. Lines are cut at 1,000 bytes.
 */
void gw_log(enum gw_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define gw_err(...)  gw_log(GW_LOG_ERR, __VA_ARGS__)
#define gw_warn(...) gw_log(GW_LOG_WARN, __VA_ARGS__)
#define gw_info(...) gw_log(GW_LOG_INFO, __VA_ARGS__)
#define gw_debug(...)                                                                              \
	do {                                                                                       \
		if (gw_log_debugging())                                                            \
			gw_log(GW_LOG_DEBUG, __VA_ARGS__);                                         \
	} while (0)

/*
 * For lines that a peer can cause at will: at most `burst` lines per 10 s and place, then one line
 * that says how many were dropped. `rl` is a static of the calling place.
 */
struct gw_ratelimit {
	_Atomic long window;
	_Atomic unsigned said, dropped;
};
bool gw_ratelimit_pass(struct gw_ratelimit *rl, unsigned burst);
#define gw_log_limited(level, ...)                                                                 \
	do {                                                                                       \
		static struct gw_ratelimit rl_;                                                    \
		if (gw_ratelimit_pass(&rl_, 20))                                                   \
			gw_log(level, __VA_ARGS__);                                                \
	} while (0)

#endif
