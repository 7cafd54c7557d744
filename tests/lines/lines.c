/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who writes to which cache line. The gateway is compiled with -fsanitize=thread, which turns every
 * access to memory into a call, and linked with this file instead of the sanitizer's library. While
 * the first word of the file that LINES_FILE names is 1, each line that a core's thread touches is
 * entered there with the cores that wrote and read it and the code that did. Without LINES_FILE
 * nothing is recorded. Memory that the kernel or a library writes is not seen.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LINE_SHIFT 6
#define SLOTS      (1u << 18)
#define CORES_MAX  64
#define NOBODY     -1
#define UNKNOWN    -2

/* Read by tests/e2e/lines.py: keep both the same. */
struct slot {
	_Atomic uint64_t line;		    /* address >> LINE_SHIFT; 0: free */
	_Atomic uint64_t writers, readers;  /* a bit for each core */
	_Atomic uint64_t write_at[2];	    /* code of the first two writers, less the program's base */
	_Atomic uint64_t read_at;	    /* code of the first reader */
	_Atomic uint64_t writes;
	uint64_t spare;
};

struct map {
	_Atomic uint32_t on, lost; /* lost: accesses that found no slot */
	uint64_t spare[7];
	_Atomic uint64_t writes[CORES_MAX];
	struct slot slot[SLOTS];
};

extern const char __executable_start[];

static struct map *map;
static __thread int self = UNKNOWN;

__attribute__((constructor)) static void
open_map(void)
{
	const char *path = getenv("LINES_FILE");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*map)) == 0)
		p = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (path && p == MAP_FAILED) {
		perror(path);
		_exit(1);
	}
	if (fd >= 0)
		close(fd);
	map = path ? p : NULL;
}

/* The number of the core whose thread this is. */
static int
core_of_thread(void)
{
	char name[17] = "";
	unsigned id;

	prctl(PR_GET_NAME, name);
	return sscanf(name, "core/%u", &id) == 1 && id < CORES_MAX ? (int)id : NOBODY;
}

static struct slot *
slot_of(uint64_t line)
{
	uint32_t i = (uint32_t)(line * 0x9e3779b97f4a7c15u >> 46) % SLOTS;

	for (unsigned n = 0; n < SLOTS; n++, i = (i + 1) % SLOTS) {
		uint64_t has = atomic_load_explicit(&map->slot[i].line, memory_order_relaxed);

		if (has == line || (has == 0 && atomic_compare_exchange_strong(
							 &map->slot[i].line, &has, line)) ||
		    has == line)
			return &map->slot[i];
	}
	return NULL;
}

static void
enter(uint64_t line, bool write, uintptr_t code)
{
	uint64_t bit = 1ull << self, at = code - (uintptr_t)__executable_start, none = 0;
	struct slot *s = slot_of(line);

	if (!s) {
		atomic_fetch_add(&map->lost, 1);
		return;
	}
	if (!write) {
		if (!(atomic_load(&s->readers) & bit)) {
			atomic_fetch_or(&s->readers, bit);
			atomic_compare_exchange_strong(&s->read_at, &none, at);
		}
		return;
	}
	atomic_fetch_add(&s->writes, 1);
	atomic_fetch_add(&map->writes[self], 1);
	if (atomic_load(&s->writers) & bit)
		return;
	if (!atomic_compare_exchange_strong(&s->write_at[0], &none, at)) {
		none = 0;
		atomic_compare_exchange_strong(&s->write_at[1], &none, at);
	}
	atomic_fetch_or(&s->writers, bit);
}

static void
touch(const volatile void *p, size_t size, bool write, void *code)
{
	uint64_t first, last;

	if (!map || !atomic_load_explicit(&map->on, memory_order_relaxed) || size == 0)
		return;
	if (self == UNKNOWN)
		self = core_of_thread();
	if (self == NOBODY)
		return;
	first = (uintptr_t)p >> LINE_SHIFT;
	last = ((uintptr_t)p + size - 1) >> LINE_SHIFT;
	for (uint64_t line = first; line <= last; line++)
		enter(line, write, (uintptr_t)code);
}

#define CODE __builtin_return_address(0)

/* --- what the compiler calls --- */

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_read_range(void *p, unsigned long n);
void __tsan_write_range(void *p, unsigned long n);

void
__tsan_init(void)
{
}

void
__tsan_func_entry(void *pc)
{
	(void)pc;
}

void
__tsan_func_exit(void)
{
}

void
__tsan_read_range(void *p, unsigned long n)
{
	touch(p, n, false, CODE);
}

void
__tsan_write_range(void *p, unsigned long n)
{
	touch(p, n, true, CODE);
}

#define PLAIN(name, size, write)                                                                   \
	void name(void *p);                                                                        \
	void name(void *p)                                                                         \
	{                                                                                          \
		touch(p, size, write, CODE);                                                       \
	}
#define PLAINS(size)                                                                               \
	PLAIN(__tsan_read##size, size, false)                                                      \
	PLAIN(__tsan_write##size, size, true)                                                      \
	PLAIN(__tsan_unaligned_read##size, size, false)                                            \
	PLAIN(__tsan_unaligned_write##size, size, true)                                            \
	PLAIN(__tsan_volatile_read##size, size, false)                                             \
	PLAIN(__tsan_volatile_write##size, size, true)                                             \
	PLAIN(__tsan_unaligned_volatile_read##size, size, false)                                   \
	PLAIN(__tsan_unaligned_volatile_write##size, size, true)                                   \
	PLAIN(__tsan_read_write##size, size, true)                                                 \
	PLAIN(__tsan_unaligned_read_write##size, size, true)
PLAINS(1)
PLAINS(2)
PLAINS(4)
PLAINS(8)
PLAINS(16)

/* The order that was asked for is at most this one. */
#define SEQ __ATOMIC_SEQ_CST

#define RMW(bits, type, op, builtin)                                                               \
	type __tsan_atomic##bits##_##op(volatile void *p, type v, int order);                      \
	type __tsan_atomic##bits##_##op(volatile void *p, type v, int order)                       \
	{                                                                                          \
		(void)order;                                                                       \
		touch(p, sizeof(type), true, CODE);                                                \
		return builtin((volatile type *)p, v, SEQ);                                        \
	}
#define CAS(bits, type, strength, weak)                                                            \
	bool __tsan_atomic##bits##_compare_exchange_##strength(volatile void *p, void *was,        \
							       type v, int order, int fail);       \
	bool __tsan_atomic##bits##_compare_exchange_##strength(volatile void *p, void *was,        \
							       type v, int order, int fail)        \
	{                                                                                          \
		(void)order;                                                                       \
		(void)fail;                                                                        \
		touch(p, sizeof(type), true, CODE);                                                \
		return __atomic_compare_exchange_n((volatile type *)p, (type *)was, v, weak, SEQ,  \
						   SEQ);                                           \
	}
#define ATOMIC(bits, type)                                                                         \
	type __tsan_atomic##bits##_load(const volatile void *p, int order);                        \
	type __tsan_atomic##bits##_load(const volatile void *p, int order)                         \
	{                                                                                          \
		(void)order;                                                                       \
		touch(p, sizeof(type), false, CODE);                                               \
		return __atomic_load_n((const volatile type *)p, SEQ);                             \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile void *p, type v, int order);                     \
	void __tsan_atomic##bits##_store(volatile void *p, type v, int order)                      \
	{                                                                                          \
		(void)order;                                                                       \
		touch(p, sizeof(type), true, CODE);                                                \
		__atomic_store_n((volatile type *)p, v, SEQ);                                      \
	}                                                                                          \
	RMW(bits, type, exchange, __atomic_exchange_n)                                             \
	RMW(bits, type, fetch_add, __atomic_fetch_add)                                             \
	RMW(bits, type, fetch_sub, __atomic_fetch_sub)                                             \
	RMW(bits, type, fetch_and, __atomic_fetch_and)                                             \
	RMW(bits, type, fetch_or, __atomic_fetch_or)                                               \
	RMW(bits, type, fetch_xor, __atomic_fetch_xor)                                             \
	CAS(bits, type, strong, false)                                                             \
	CAS(bits, type, weak, true)
ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void
__tsan_atomic_thread_fence(int order)
{
	(void)order;
	__atomic_thread_fence(SEQ);
}

void
__tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* --- calls of libc's that write (linked with --wrap) --- */

void *__real_memcpy(void *to, const void *from, size_t n);
void *__real_memmove(void *to, const void *from, size_t n);
void *__real_memset(void *to, int c, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n);
void *__wrap_memmove(void *to, const void *from, size_t n);
void *__wrap_memset(void *to, int c, size_t n);

void *
__wrap_memcpy(void *to, const void *from, size_t n)
{
	touch(from, n, false, CODE);
	touch(to, n, true, CODE);
	return __real_memcpy(to, from, n);
}

void *
__wrap_memmove(void *to, const void *from, size_t n)
{
	touch(from, n, false, CODE);
	touch(to, n, true, CODE);
	return __real_memmove(to, from, n);
}

void *
__wrap_memset(void *to, int c, size_t n)
{
	touch(to, n, true, CODE);
	return __real_memset(to, c, n);
}
