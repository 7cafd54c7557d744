/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From I/Os to NVMe commands and back, against a controller in memory that checks each command,
 * carries them out in random order and fails as the test wants.
 */
#include "backend/nvme_priv.h"
#include "tests/unit/backend/shadow.h"
#include "tests/unit/base/suite.h"

#define SIZE     (4u << 20)
#define CMDS_MAX 64
#define FUA      (1u << 30)

static struct {
	struct nvme_dev dev;
	struct nvme_cmd cmds[CMDS_MAX];
	struct gw_list free, starved;
	struct nvme_cmd *pending[CMDS_MAX];
	unsigned npending, count[16], fua, max_iov, max_ranges;
	uint64_t largest;
	int fail[16], fail_count[16]; /* by opcode */
	uint32_t waited;              /* ms between tries */
	bool no_deac, gone;
	uint8_t medium[SIZE];
	struct gw_hook hook;
	struct gw_core *core;
} sim;

static struct bench b;
static uint8_t buf[SIZE] __attribute__((aligned(4096)));

/* --- what stands in for the files that need a device --- */

int
nvme_open(struct be_dev *dev, const char *const *kv, char *err, unsigned err_size)
{
	return -ENODEV;
}

void
nvme_close(struct be_dev *dev)
{
}

uint64_t
nvme_size_now(struct be_dev *dev)
{
	return dev->size;
}

bool
nvme_gone(const struct nvme_dev *nd)
{
	return sim.gone;
}

int
nvme_ring_get(struct gw_core *core, bool polled, struct nvme_ring **ring)
{
	sim.core = core;
	*ring = (struct nvme_ring *)&sim;
	return 0;
}

void
nvme_ring_put(struct nvme_ring *ring)
{
}

int
nvme_ring_add_file(struct nvme_ring *ring, int fd)
{
	return -1;
}

void
nvme_ring_del_file(struct nvme_ring *ring, int file)
{
}

struct nvme_cmd *
nvme_cmd_get(struct nvme_chan *chan)
{
	struct nvme_cmd *cmd = gw_list_first(&sim.free, struct nvme_cmd, node);

	if (!cmd)
		return NULL;
	gw_list_del(&cmd->node);
	memset(cmd, 0, sizeof(*cmd));
	cmd->chan = chan;
	cmd->c.nsid = sim.dev.nsid;
	return cmd;
}

void
nvme_cmd_put(struct nvme_cmd *cmd)
{
	struct be_io *io = gw_list_first(&sim.starved, struct be_io, node);

	gw_list_add_head(&sim.free, &cmd->node);
	if (io) {
		gw_list_del(&io->node);
		nvme_io_go(io);
	}
}

void
nvme_cmd_wait(struct nvme_chan *chan, struct be_io *io)
{
	gw_list_add_tail(&sim.starved, &io->node);
}

void
nvme_cmd_send(struct nvme_cmd *cmd)
{
	sim.count[cmd->c.opcode]++;
	sim.pending[sim.npending++] = cmd;
	gw_at_kick(sim.core, &sim.hook);
}

void
nvme_cmd_send_later(struct nvme_cmd *cmd, uint32_t ms)
{
	sim.waited += ms;
	nvme_cmd_send(cmd);
}

/* --- the controller --- */

static void
move_data(const struct nvme_cmd *cmd, uint8_t *at, uint64_t len)
{
	struct iovec one = {(void *)(uintptr_t)cmd->c.addr, cmd->c.data_len};
	const struct iovec *v = cmd->niov > 1 ? (const void *)(uintptr_t)cmd->c.addr : &one;
	uint64_t sum = 0;

	ck_assert_uint_ge(cmd->niov, 1);
	if (cmd->niov > 1)
		ck_assert_uint_eq(cmd->c.data_len, cmd->niov);
	sim.max_iov = GW_MAX(sim.max_iov, cmd->niov);
	for (unsigned i = 0; i < cmd->niov; i++) {
		ck_assert_uint_le(v[i].iov_len, len - sum);
		if (cmd->c.opcode == NVME_READ)
			memcpy(v[i].iov_base, at + sum, v[i].iov_len);
		else
			memcpy(at + sum, v[i].iov_base, v[i].iov_len);
		sum += v[i].iov_len;
	}
	ck_assert_uint_eq(sum, len);
}

static void
deallocate(const struct nvme_cmd *cmd)
{
	const struct nvme_identity *id = &sim.dev.id;
	unsigned n = (cmd->c.cdw10 & 0xff) + 1;
	uint64_t total = 0;

	ck_assert_uint_eq(cmd->c.cdw11, 4);
	ck_assert_uint_eq(cmd->c.data_len, n * 16);
	ck_assert_uint_le(n, id->dsm_ranges);
	sim.max_ranges = GW_MAX(sim.max_ranges, n);
	for (unsigned i = 0; i < n; i++) {
		const struct nvme_dsm_range *r = &cmd->range[i];

		ck_assert_uint_ge(r->nblk, 1);
		ck_assert_uint_le(r->nblk, id->dsm_range_max);
		ck_assert(gw_range_ok(r->slba, r->nblk, id->nblk));
		memset(sim.medium + (r->slba << id->shift), 0, (size_t)r->nblk << id->shift);
		total += r->nblk;
	}
	ck_assert_uint_le(total, id->dsm_max);
}

static int
execute(const struct nvme_cmd *cmd)
{
	const struct nvme_identity *id = &sim.dev.id;
	uint64_t lba = cmd->c.cdw10 | (uint64_t)cmd->c.cdw11 << 32;
	uint64_t nblk = (cmd->c.cdw12 & 0xffff) + 1;
	uint8_t *at = sim.medium + (lba << id->shift);

	ck_assert_uint_eq(cmd->c.nsid, sim.dev.nsid);
	if (sim.fail_count[cmd->c.opcode]) {
		sim.fail_count[cmd->c.opcode]--;
		return sim.fail[cmd->c.opcode];
	}
	sim.fua += !!(cmd->c.cdw12 & FUA);
	switch (cmd->c.opcode) {
	case NVME_FLUSH:
		return 0;
	case NVME_DSM:
		deallocate(cmd);
		return 0;
	case NVME_WRITE_ZEROES:
		ck_assert_uint_le(nblk, id->zero_max);
		ck_assert(gw_range_ok(lba, nblk, id->nblk));
		if (cmd->c.cdw12 & 1 << 25 && sim.no_deac)
			return 0x4002;
		memset(at, 0, nblk << id->shift);
		return 0;
	default:
		ck_assert(gw_range_ok(lba, nblk, id->nblk));
		ck_assert_uint_le(nblk << id->shift, sim.dev.piece);
		sim.largest = GW_MAX(sim.largest, nblk << id->shift);
		move_data(cmd, at, nblk << id->shift);
		return 0;
	}
}

static void
one_ends(struct gw_hook *hook)
{
	unsigned i = (unsigned)(stub_random(&b.s) % sim.npending);
	struct nvme_cmd *cmd = sim.pending[i];

	sim.pending[i] = sim.pending[--sim.npending];
	nvme_cmd_done(cmd, execute(cmd));
	if (sim.npending)
		gw_at_kick(sim.core, &sim.hook);
}

static void
sim_open(uint8_t shift, uint32_t piece, unsigned ncmds, bool hints)
{
	static struct be_dev dev;
	static char path[] = "/dev/ng0n1";

	memset(&sim, 0, sizeof(sim));
	stub_init(&b.s, 11);
	gw_list_init(&sim.free);
	gw_list_init(&sim.starved);
	for (unsigned i = 0; i < ncmds; i++)
		gw_list_add_tail(&sim.free, &sim.cmds[i].node);
	gw_hook_init(&sim.hook, one_ends);
	sim.dev.nsid = 3;
	sim.dev.path = path;
	sim.dev.piece = piece;
	sim.dev.hints = hints;
	sim.dev.id = (struct nvme_identity){
	    .nblk = SIZE >> shift,
	    .shift = shift,
	    .volatile_cache = true,
	    .flushes = true,
	    .dsm = true,
	    .zero = true,
	    .zero_deallocates = true,
	    .zero_max = 24,
	    .dsm_ranges = NVME_DSM_RANGES,
	    .dsm_range_max = UINT32_MAX,
	    .dsm_max = UINT64_MAX,
	};
	dev = (struct be_dev){.ops = &be_nvme_ops,
			      .size = SIZE,
			      .io_align = 1u << shift,
			      .dma_align = 4,
			      .phys_block = 4096,
			      .unmap_align = 4096,
			      .unmap_zeroes = !hints,
			      .atomic_max = piece,
			      .atomic_align = 1u << shift,
			      .atomic_gran = 1u << shift,
			      .priv = &sim.dev};
	b.dev = &dev;
	ck_assert_int_eq(be_chan_open(b.dev, &b.s.core, &b.chan), 0);
}

static void
sim_close(void)
{
	unsigned n = 0;

	ck_assert_uint_eq(sim.npending, 0);
	be_chan_close(b.chan);
	gw_list_each (cmd, &sim.free, struct nvme_cmd, node)
		n += cmd >= sim.cmds;
	ck_assert(gw_list_empty(&sim.starved));
	ck_assert_uint_ge(n, 1);
	stub_self = NULL;
}

/* Bytes of the medium from `off` on that are not v. */
static unsigned
others(uint64_t off, uint64_t len, uint8_t v)
{
	unsigned n = 0;

	for (uint64_t i = off; i < off + len; i++)
		n += sim.medium[i] != v;
	return n;
}

static enum be_st
io(enum be_op op, uint8_t flags, uint64_t off, uint64_t len)
{
	bool data = op == BE_READ || op == BE_WRITE;

	return do_io(&b.s, b.chan, op, flags, off, data ? buf : NULL, len);
}

/* --- the tests --- */

START_TEST(test_against_a_copy)
{
	static const struct {
		uint8_t shift;
		uint32_t piece;
		unsigned cmds;
		bool hints;
		unsigned skew;
	} t[] = {
	    {9, 256u << 10, CMDS_MAX, false, 0},
	    {9, 8192, 3, false, 0},
	    {9, 512, 1, true, 0},
	    {12, 16384, 5, true, 0},
	    {9, 65536, 4, false, 64},
	    {12, 4096, 2, false, 4096},
	};

	for (unsigned i = 0; i < GW_ARRAY_LEN(t); i++) {
		sim_open(t[i].shift, t[i].piece, t[i].cmds, t[i].hints);
		shadow_run(&b, 0, SIZE / 2, 1u << t[i].shift, t[i].skew, 1500);
		ck_assert_uint_le(sim.max_iov, NVME_IOVS);
		sim_close();
	}
}
END_TEST

START_TEST(test_passing_failures_are_tried_again)
{
	static const int passing[] = {0x006, 0x281, 0x371, 0x021, -EINTR, -EAGAIN};

	for (unsigned i = 0; i < GW_ARRAY_LEN(passing); i++) {
		sim_open(9, 8192, 8, false);
		memset(buf, 0x11, 65536);
		sim.fail[NVME_WRITE] = sim.fail[NVME_FLUSH] = passing[i];
		sim.fail_count[NVME_WRITE] = sim.fail_count[NVME_FLUSH] = 2;
		ck_assert_int_eq(io(BE_WRITE, 0, 512, 65536), BE_OK);
		ck_assert(!memcmp(sim.medium + 512, buf, 65536));
		ck_assert_uint_eq(sim.count[NVME_WRITE], 10);
		ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
		ck_assert_uint_gt(sim.waited, 0);
		sim_close();
	}
}
END_TEST

START_TEST(test_lasting_failures_end)
{
	static const struct {
		int res;
		enum be_st st;
		unsigned most; /* tries */
	} t[] = {
	    {0x4281, BE_EMEDIUM, 1}, {0x281, BE_EMEDIUM, 4}, {0x080, BE_ERANGE, 1},
	    {0x081, BE_ENOSPC, 1},   {0x371, BE_EGONE, 13},  {-ENODEV, BE_EGONE, 1},
	};

	for (unsigned i = 0; i < GW_ARRAY_LEN(t); i++) {
		sim_open(9, 1u << 20, 8, false);
		sim.fail[NVME_WRITE] = t[i].res;
		sim.fail_count[NVME_WRITE] = 1000;
		ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), t[i].st);
		ck_assert_uint_eq(sim.count[NVME_WRITE], t[i].most);
		ck_assert_uint_le(sim.waited, 10000);
		sim_close();
	}
}
END_TEST

/* One part that fails lets the others end, and no more begin. */
START_TEST(test_a_part_fails)
{
	sim_open(9, 4096, CMDS_MAX, false);
	sim.fail[NVME_READ] = 0x4281;
	sim.fail_count[NVME_READ] = 1;
	ck_assert_int_eq(io(BE_READ, 0, 0, 1u << 20), BE_EMEDIUM);
	ck_assert_uint_le(sim.count[NVME_READ], NVME_WINDOW);
	sim_close();
}
END_TEST

START_TEST(test_a_removed_device)
{
	sim_open(9, 4096, 4, true);
	sim.gone = true;
	for (unsigned op = 0; op < 16; op++) {
		sim.fail[op] = -EINTR;
		sim.fail_count[op] = 1000;
	}
	ck_assert_int_eq(io(BE_READ, 0, 0, 65536), BE_EGONE);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 65536), BE_EGONE);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EGONE);
	ck_assert_int_eq(io(BE_UNMAP, 0, 0, 65536), BE_EGONE);
	ck_assert_int_eq(io(BE_ZERO, 0, 0, 65536), BE_EGONE);
	ck_assert_uint_eq(sim.waited, 0);
	sim_close();
}
END_TEST

START_TEST(test_zeroes_by_what_the_device_knows)
{
	sim_open(9, 65536, 8, false);
	memset(sim.medium, 0xff, SIZE);
	ck_assert_int_eq(io(BE_ZERO, BE_MAY_UNMAP, 512, 65536), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_WRITE_ZEROES], 6); /* 24 blocks each */
	/* No DEAC: without it. */
	sim.no_deac = true;
	ck_assert_int_eq(io(BE_ZERO, BE_MAY_UNMAP, 512, 65536), BE_OK);
	ck_assert(atomic_load(&sim.dev.no_deallocate));
	/* Nor the command itself: written. */
	sim.fail[NVME_WRITE_ZEROES] = 0x4001;
	sim.fail_count[NVME_WRITE_ZEROES] = 1000;
	memset(sim.medium, 0xff, SIZE);
	ck_assert_int_eq(io(BE_ZERO, 0, 512, 1u << 20), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_WRITE], 16);
	ck_assert_int_eq(io(BE_UNMAP, 0, 2u << 20, 4096), BE_OK);
	ck_assert_uint_eq(others(0, 512, 0xff), 0);
	ck_assert_uint_eq(others(512, 1u << 20, 0), 0);
	ck_assert_uint_eq(others(512 + (1u << 20), (1u << 20) - 512, 0xff), 0);
	ck_assert_uint_eq(others(2u << 20, 4096, 0), 0);
	ck_assert_uint_eq(others((2u << 20) + 4096, SIZE - (2u << 20) - 4096, 0xff), 0);
	sim.count[NVME_WRITE_ZEROES] = 0;
	ck_assert_int_eq(io(BE_ZERO, BE_MAY_UNMAP, 0, 4096), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_WRITE_ZEROES], 0);
	sim_close();
}
END_TEST

START_TEST(test_durability)
{
	sim_open(9, 65536, 8, true);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(sim.fua, 0);
	ck_assert_int_eq(io(BE_WRITE, BE_FUA, 0, 131072), BE_OK);
	ck_assert_uint_eq(sim.fua, 2);
	ck_assert_int_eq(io(BE_ZERO, BE_FUA, 0, 4096), BE_OK);
	ck_assert_uint_eq(sim.fua, 3);
	ck_assert_int_eq(io(BE_UNMAP, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_FLUSH], 0);
	sim.dev.sync = true;
	ck_assert_int_eq(io(BE_UNMAP, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_FLUSH], 1);
	ck_assert_int_eq(io(BE_WRITE, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(sim.fua, 4);
	ck_assert_int_eq(io(BE_READ, 0, 0, 4096), BE_OK);
	ck_assert_uint_eq(sim.fua, 4);
	sim_close();
}
END_TEST

START_TEST(test_a_failed_flush_stays_failed)
{
	sim_open(9, 65536, 8, true);
	sim.fail[NVME_FLUSH] = 0x0082; /* not ready: no verdict on the data */
	sim.fail_count[NVME_FLUSH] = 1000;
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EGONE);
	sim.fail_count[NVME_FLUSH] = 0;
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	sim.fail[NVME_FLUSH] = 0x4280;
	sim.fail_count[NVME_FLUSH] = 1;
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_EMEDIUM);
	sim_close();
	/* Without a cache there is nothing to flush. */
	sim_open(9, 65536, 8, true);
	sim.dev.id.flushes = false;
	ck_assert_int_eq(io(BE_FLUSH, 0, 0, 0), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_FLUSH], 0);
	sim_close();
}
END_TEST

START_TEST(test_an_atomic_write_is_one_command)
{
	struct iovec v[40];

	sim_open(9, 65536, 8, false);
	for (unsigned i = 0; i < GW_ARRAY_LEN(v); i++) {
		v[i] = (struct iovec){buf + i * 3000, 1024};
		memset(v[i].iov_base, (int)i + 1, 1024);
	}
	ck_assert_int_eq(do_iov(&b.s, b.chan, BE_WRITE, BE_ATOMIC, 4096, v, 40, 40960), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_WRITE], 1);
	for (unsigned i = 0; i < 40; i++)
		ck_assert_uint_eq(others(4096 + i * 1024, 1024, (uint8_t)(i + 1)), 0);
	/* The same memory otherwise: cut where the kernel would have to copy. */
	ck_assert_int_eq(do_iov(&b.s, b.chan, BE_WRITE, 0, 4096, v, 40, 40960), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_WRITE], 41);
	sim_close();
}
END_TEST

/* Memory whose pieces are no blocks, more of them than one command takes. */
START_TEST(test_pieces_of_memory)
{
	struct iovec v[64];

	sim_open(9, 65536, 8, false);
	for (unsigned i = 0; i < 64; i++)
		v[i] = (struct iovec){buf + i * 4096, 136};
	memset(buf, 0x33, 64 * 4096);
	ck_assert_int_eq(do_iov(&b.s, b.chan, BE_WRITE, 0, 0, v, 64, 64 * 136), BE_OK);
	ck_assert_uint_eq(others(0, 64 * 136, 0x33), 0);
	ck_assert_uint_le(sim.max_iov, NVME_IOVS);
	/* Not even one block in as many pieces as a command takes. */
	for (unsigned i = 0; i < 64; i++)
		v[i].iov_len = 8;
	ck_assert_int_eq(do_iov(&b.s, b.chan, BE_WRITE, 0, 0, v, 64, 512), BE_ENOTSUP);
	/* Neighbours are one piece. */
	for (unsigned i = 0; i < 64; i++)
		v[i] = (struct iovec){buf + i * 512, 512};
	sim.count[NVME_WRITE] = sim.max_iov = 0;
	ck_assert_int_eq(do_iov(&b.s, b.chan, BE_WRITE, 0, 0, v, 64, 32768), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_WRITE], 1);
	ck_assert_uint_eq(sim.max_iov, 1);
	/* Whole pages need no cut. */
	for (unsigned i = 0; i < 8; i++)
		v[i] = (struct iovec){buf + i * 8192, 4096};
	ck_assert_int_eq(do_iov(&b.s, b.chan, BE_WRITE, 0, 0, v, 8, 32768), BE_OK);
	ck_assert_uint_eq(sim.count[NVME_WRITE], 2);
	ck_assert_uint_eq(sim.max_iov, 8);
	sim_close();
}
END_TEST

static void
submit_unmaps(struct one_io *x, unsigned n, uint64_t len)
{
	memset(x, 0, n * sizeof(*x));
	for (unsigned i = 0; i < n; i++) {
		x[i].io =
		    (struct be_io){.op = BE_UNMAP, .off = i * 65536, .len = len, .done = one_done};
		be_submit(b.chan, &x[i].io);
	}
	while (stub_turn(&b.s))
		;
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(x[i].done, 1);
		ck_assert_int_eq(x[i].io.st, BE_OK);
		ck_assert_uint_eq(others(i * 65536, len, 0), 0);
		ck_assert_uint_eq(others(i * 65536 + len, 65536 - len, 0xff), 0);
	}
}

START_TEST(test_deallocations_of_a_turn_go_together)
{
	static struct one_io x[20];

	sim_open(9, 65536, 8, true);
	memset(sim.medium, 0xff, SIZE);
	submit_unmaps(x, 20, 32768);
	ck_assert_uint_eq(sim.count[NVME_DSM], 3);
	ck_assert_uint_eq(sim.max_ranges, 8);
	sim_close();
	/* Small limits: each in several commands. */
	sim_open(9, 65536, 2, true);
	sim.dev.id.dsm_ranges = 3;
	sim.dev.id.dsm_range_max = 7;
	sim.dev.id.dsm_max = 20;
	memset(sim.medium, 0xff, SIZE);
	submit_unmaps(x, 20, 32768);
	ck_assert_uint_eq(sim.max_ranges, 3);
	sim_close();
}
END_TEST

SUITE("backend/nvme", test_against_a_copy, test_passing_failures_are_tried_again,
      test_lasting_failures_end, test_a_part_fails, test_a_removed_device,
      test_zeroes_by_what_the_device_knows, test_durability, test_a_failed_flush_stays_failed,
      test_an_atomic_write_is_one_command, test_pieces_of_memory,
      test_deallocations_of_a_turn_go_together)
