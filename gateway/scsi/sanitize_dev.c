/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's own sanitize: its calls may block, so the home core asks the control thread, which
 * looks about once a second. Both speak through one number in the LU: home sets WANTED and takes
 * the answer, the control thread does all between. It changes only what it has read, so that what
 * nobody waits for any more is lost.
 */
#include "gateway/scsi/sanitize_priv.h"

enum {
	DEV_IDLE,
	DEV_WANTED,
	DEV_RUNS,
	DEV_DONE,
	DEV_FAILED,
	DEV_MASK = 0xff
};

#define KIND_SHIFT 8

void
scsi_sanitize_dev_start(struct scsi_sanitize *op)
{
	atomic_store_explicit(&op->lu->dev_sanitize, DEV_WANTED | (uint32_t)op->kind << KIND_SHIFT,
			      memory_order_release);
}

bool
scsi_sanitize_dev_ended(struct scsi_sanitize *op)
{
	uint32_t now = atomic_load_explicit(&op->lu->dev_sanitize, memory_order_acquire);

	op->ok = (now & DEV_MASK) == DEV_DONE;
	return op->ok || (now & DEV_MASK) == DEV_FAILED;
}

void
scsi_sanitize_dev_forget(struct scsi_sanitize *op)
{
	atomic_store_explicit(&op->lu->dev_sanitize, DEV_IDLE, memory_order_release);
}

static uint32_t
begin(struct be_dev *dev, enum be_sanitize kind)
{
	if (dev->ops->sanitize(dev, kind) != 0)
		return DEV_FAILED;
	return kind == BE_SANITIZE_EXIT ? DEV_DONE : DEV_RUNS;
}

static uint32_t
look(struct scsi_lu *lu)
{
	enum be_sanitize_state state;
	uint16_t progress = 0;

	if (lu->dev->ops->sanitize_state(lu->dev, &state, &progress) != 0)
		return DEV_FAILED;
	if (state == BE_SANITIZE_RUNS) {
		atomic_store_explicit(&lu->progress, progress, memory_order_relaxed);
		return DEV_RUNS;
	}
	return state == BE_SANITIZED ? DEV_DONE : DEV_FAILED;
}

void
scsi_sanitize_tick(struct scsi_lu *lu)
{
	uint32_t was = atomic_load_explicit(&lu->dev_sanitize, memory_order_acquire);
	uint32_t kind = was >> KIND_SHIFT, next;

	scsi_tokens_tick(lu);
	if (((was & DEV_MASK) != DEV_WANTED && (was & DEV_MASK) != DEV_RUNS) || !lu->dev)
		return;
	next = (was & DEV_MASK) == DEV_WANTED ? begin(lu->dev, kind) : look(lu);
	atomic_compare_exchange_strong(&lu->dev_sanitize, &was, next | kind << KIND_SHIFT);
}
