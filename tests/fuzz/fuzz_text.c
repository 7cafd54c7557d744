/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text format and the key table. The first byte says how much room the answer has, the second
 * the stage; the rest is a data segment.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/base/bug.h"
#include "iscsi/keys.h"
#include "iscsi/name.h"
#include "iscsi/nego.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
values(const struct iscsi_keyset *set)
{
	char name[GW_NAME_MAX + 1];
	uint8_t bin[64];

	for (unsigned k = 0; k < ISCSI_KEY_MAX; k++) {
		if (!set->value[k])
			continue;
		BUG(strlen(set->value[k]) > iscsi_keys[k].value_max);
		BUG(iscsi_text_bin(set->value[k], bin, sizeof(bin)) > (int)sizeof(bin));
		if (iscsi_name_copy(name, set->value[k]))
			iscsi_name_typed(name);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum iscsi_stage stages[] = {ISCSI_STAGE_SECURITY, ISCSI_STAGE_OPERATIONAL,
						  ISCSI_STAGE_FULL};
	const struct gw_target_params want = {.max_burst = 65536, .immediate_data = true};
	struct iscsi_text_out out;
	struct iscsi_keyset set;
	struct iscsi_nego nego;
	struct iscsi_params params;
	char why[160], *text, *answer;
	uint64_t seen = 0;
	uint32_t room;

	if (size < 2 || size > 16384)
		return 0;
	room = data[0] * 32u;
	text = malloc(size - 2 + 1);
	answer = malloc(room + 1);
	memcpy(text, data + 2, size - 2);
	iscsi_text_out_init(&out, answer, room);
	iscsi_nego_init(&nego, data[1] & 4 ? NULL : &want, 8192, data[1] & 8, true, &params);
	if (iscsi_keys_read(text, size - 2, stages[data[1] % 3], &seen, &set, &out, why,
			    sizeof(why))) {
		values(&set);
		iscsi_nego_step(&nego, &set, seen, &params, &out, why, sizeof(why));
		BUG(iscsi_nego_end(&nego, &params, why, sizeof(why)) &&
		    params.first_burst > params.max_burst);
	}
	BUG(out.len > room);
	BUG(out.len && answer[out.len - 1]);
	free(text);
	free(answer);
	return 0;
}
