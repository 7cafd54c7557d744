/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CHAP by itself: each line is one step, its keys separated by '|'. Challenge and identifier are
 * fixed after the first step, so that the right response can be in the corpus.
 */
#include "gateway/base/bug.h"
#include "iscsi/chap.h"
#include "tests/unit/iscsi/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	static char input[16384], answer[8192];
	struct iscsi_chap chap = {0};
	struct iscsi_chap_accounts accounts = {.nin = 2, .mask = 0x1e0};
	uint64_t seen = 0;
	char *line, *rest = input, why[400];

	if (size >= sizeof(input))
		return 0;
	memcpy(input, data, size);
	input[size] = '\0';
	world_init(&w);
	accounts.in = w.in;
	accounts.out = &w.out;
	while ((line = strsep(&rest, "\n"))) {
		size_t n = strlen(line);
		struct iscsi_keyset set;
		struct iscsi_text_out out;
		enum iscsi_login_status status;

		for (size_t i = 0; i < n; i++) {
			if (line[i] == '|')
				line[i] = '\0';
		}
		iscsi_text_out_init(&out, answer, sizeof(answer));
		if (!iscsi_keys_read(line, n, ISCSI_STAGE_SECURITY, &seen, &set, &out, why,
				     sizeof(why)))
			break;
		why[0] = '\0';
		status = iscsi_chap_step(&chap, &accounts, &set, &out, why, sizeof(why));
		BUG(out.len > sizeof(answer));
		BUG(status != ISCSI_LOGIN_OK && !why[0]);
		BUG(strstr(why, "secret-of") && !memmem(data, size, "secret-of", 9));
		if (status != ISCSI_LOGIN_OK)
			break;
		if (chap.state == ISCSI_CHAP_CHALLENGED) {
			chap.id = 1;
			memset(chap.challenge, 'c', sizeof(chap.challenge));
		}
	}
	return 0;
}
