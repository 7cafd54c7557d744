/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies from and to a mapped file. Where somebody else has cut the file, or punched a hole for which
 * there is no space any more, the kernel answers with SIGBUS: that ends the copy, and nothing else.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "backend/backend_priv.h"

/* Where this thread goes on after a fault; NULL while it is in no copy. */
static _Thread_local sigjmp_buf *volatile way_out;
static struct sigaction before;
static bool ready;

static void
on_fault(int sig)
{
	sigset_t self;

	if (way_out) {
		/* This is left by a jump, after which the next fault must find us again. */
		sigemptyset(&self);
		sigaddset(&self, sig);
		pthread_sigmask(SIG_UNBLOCK, &self, NULL);
		siglongjmp(*way_out, 1);
	}
	/* Not ours: what would have happened without us, as soon as the instruction runs again. */
	sigaction(sig, &before, NULL);
}

void
be_guard_init(void)
{
	struct sigaction act = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};

	if (!ready)
		sigaction(SIGBUS, &act, &before);
	ready = true;
}

/*
 * Two initiators may write one block at a time, as on any disk; ThreadSanitizer has no way to be
 * told that but not to look.
 */
#if defined(__SANITIZE_THREAD__)
#define NO_TSAN __attribute__((no_sanitize("thread"), noinline))
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_TSAN __attribute__((no_sanitize("thread"), noinline))
#endif
#endif

#ifdef NO_TSAN
NO_TSAN static void
load(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
}
#define store load
#else
static void
load(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}
#define store be_stream
#endif

static bool
guarded(void (*copy)(void *to, const void *from, size_t n), void *to, const void *from, size_t n)
{
	sigjmp_buf env;

	if (sigsetjmp(env, 0)) {
		way_out = NULL;
		return false;
	}
	way_out = &env;
	atomic_signal_fence(memory_order_seq_cst);
	copy(to, from, n);
	atomic_signal_fence(memory_order_seq_cst);
	way_out = NULL;
	return true;
}

bool
be_guard_load(void *to, const void *mapped, size_t n)
{
	return guarded(load, to, mapped, n);
}

bool
be_guard_store(void *mapped, const void *from, size_t n)
{
	return guarded(store, mapped, from, n);
}
