/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text requests in Full Feature Phase. The first line: N for a normal session, S for small answers.
 * Each further line is one request: two hex digits of flags, then ' ' for a new exchange or '=' to
 * go on with the tag of the last answer, then the data segment with '|' for NUL. A line "-" takes
 * the first target away.
 */
#include "gateway/base/bug.h"
#include "gateway/base/bytes.h"
#include "iscsi/text_op.h"
#include "tests/unit/iscsi/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TARGETS 40

static void
set_up(struct world *w, struct gw_target *crowd, struct gw_target **list)
{
	world_init(w);
	for (unsigned i = 0; i < TARGETS; i++) {
		crowd[i] = w->target;
		crowd[i].tid = i * 2;
		crowd[i].nacl = i % 5 != 0;
		snprintf(crowd[i].iqn, sizeof(crowd[i].iqn), "iqn.%0*u", (int)(1 + i * 5), i);
		list[i] = crowd + i;
	}
	w->model.target = list;
	w->model.ntarget = TARGETS;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	static struct gw_target crowd[TARGETS], *list[TARGETS];
	static char input[65536];
	uint8_t bhs[ISCSI_BHS_LEN] = {0x44}, rsp[ISCSI_BHS_LEN];
	struct iscsi_text text;
	struct iscsi_params params;
	struct iscsi_text_env env = {.model = &w.model, .initiator = "iqn.h", .params = &params};
	uint32_t ttt = ISCSI_RESERVED_TAG, out_max, len;
	char *line, *rest = input, *out;
	enum iscsi_reject reject;

	if (size >= sizeof(input))
		return 0;
	memcpy(input, data, size);
	input[size] = '\0';
	set_up(&w, crowd, list);
	iscsi_params_default(&params);
	iscsi_text_init(&text);
	env.peer = w.peer;
	env.local = w.local;
	line = strsep(&rest, "\n");
	if (strchr(line, 'N'))
		env.target_name = crowd[7].iqn;
	out_max = strchr(line, 'S') ? 512 : 8192;
	out = malloc(out_max);
	while ((line = strsep(&rest, "\n"))) {
		unsigned flags;
		uint8_t *exact;
		size_t n;

		if (strcmp(line, "-") == 0 && w.model.ntarget > 0) {
			w.model.target++;
			w.model.ntarget--;
		}
		if (sscanf(line, "%2x", &flags) != 1 || (n = strlen(line)) < 3)
			continue;
		bhs[ISCSI_AT_FLAGS] = (uint8_t)flags;
		gw_put_be32(bhs + ISCSI_AT_TTT, line[2] == '=' ? ttt : ISCSI_RESERVED_TAG);
		n -= 3;
		exact = malloc(n ? n : 1);
		for (size_t i = 0; i < n; i++)
			exact[i] = line[3 + i] == '|' ? 0 : (uint8_t)line[3 + i];
		if (iscsi_text_rx(&text, &env, bhs, exact, (uint32_t)n, rsp, out, out_max, &len,
				  &reject)) {
			BUG(len > out_max || gw_be24(rsp + ISCSI_AT_DSL) != len);
			BUG(len && out[len - 1]);
			ttt = gw_be32(rsp + ISCSI_AT_TTT);
			BUG((ttt == ISCSI_RESERVED_TAG) != !!(rsp[1] & ISCSI_FLAG_F));
		}
		BUG(params.max_xmit_dsl < 512 || params.max_xmit_dsl > ISCSI_DSL_MAX);
		free(exact);
	}
	iscsi_text_fini(&text);
	free(out);
	return 0;
}
