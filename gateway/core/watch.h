/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Turn watchdog: a turn over 10 ms is counted and logged (rate limited) with the phase and the
 * function that took longest. Private to core/ but for the one call by which main.c feeds systemd.
 */
#ifndef GW_CORE_WATCH_H
#define GW_CORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/core/core.h"

#define GW_TURN_SLOW_NS (10 * 1000 * 1000ull)

/* True if every core has begun a turn, or been asleep, in the last ms milliseconds. Any thread. */
bool gw_watch_alive(uint32_t ms);

#endif
