/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Busy polling: after a turn with work the loop looks for more for a while before it sleeps, which
 * saves the wake-up (15 to 25 us on a virtual machine) at the price of the CPU. It adapts: while
 * sleeps are long, looking would have been in vain and becomes shorter, at last none; one sleep
 * that ends within the time that may be spent brings it back.
 */
#include "gateway/core/engine_priv.h"

#define WINDOW_MIN_NS 1000

void
gw_spin_init(struct gw_spin *s, uint64_t max_ns)
{
	s->max_ns = s->window_ns = max_ns;
}

void
gw_spin_slept(struct gw_spin *s, uint64_t ns)
{
	if (ns <= s->max_ns)
		s->window_ns = s->max_ns;
	else if (s->window_ns / 2 < WINDOW_MIN_NS)
		s->window_ns = 0;
	else
		s->window_ns /= 2;
}

static inline void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

bool
gw_spin(struct gw_loop *loop, uint64_t now)
{
	struct gw_core *core = &loop->core;
	uint64_t until = now + loop->spin.window_ns, due = gw_wheel_next(core->wheel);

	if (until == now)
		return false;
	if (due < until)
		until = due;
	gw_engine_wait(core, 0);
	do {
		if (gw_engine_ready(core) || gw_mailbox_any(core->mailbox))
			return true;
		relax();
	} while (gw_clock_ns() < until);
	return false;
}
