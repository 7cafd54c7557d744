/* SPDX-License-Identifier: BSD-3-Clause */
/* One operation of the engine that a test starts on core 0 and waits for. */
#ifndef TESTS_UNIT_CORE_CALL_H
#define TESTS_UNIT_CORE_CALL_H

#include "gateway/core/engine.h"
#include "tests/unit/core/cores.h"

struct call {
	struct gw_op op;
	int res;
	unsigned times;
	sem_t done;
};

static inline void
call_done(struct gw_op *op, int res)
{
	struct call *c = gw_container(op, struct call, op);

	c->res = res;
	c->times++;
	sem_post(&c->done);
}

static inline void
call_init(struct call *c)
{
	memset(c, 0, sizeof(*c));
	c->op.done = call_done;
	sem_init(&c->done, 0, 0);
}

static inline int
call_wait(struct call *c)
{
	sem_wait_whole(&c->done);
	return c->res;
}

#endif
