/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of one core: on the memory node of its CPU, in pages that hold nobody else's. Before the
 * threads run, the main thread writes to it; without being told, the kernel would take the main
 * thread's node. What a core's own thread touches first (I/O buffers, receive chunks, the objects of
 * its pools) is on its node by itself.
 */
#include <linux/mempolicy.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/core/core_priv.h"

#define NODES_MAX 64

int
gw_cpu_node(int cpu)
{
	char path[80];

	for (int node = 0; node < NODES_MAX; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (access(path, F_OK) == 0)
			return node;
	}
	return -1;
}

void *
gw_local_alloc(int node, size_t size)
{
	unsigned long mask = node < 0 ? 0 : 1ul << node;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* A wish: a node without free memory, or a kernel without nodes, still gives some. */
	if (mask)
		(void)syscall(SYS_mbind, p, size, MPOL_PREFERRED, &mask, NODES_MAX + 1, 0);
	return p;
}

void
gw_local_free(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}
