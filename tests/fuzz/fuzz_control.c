/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the control socket: first the line as it is, then its params as a configuration. */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "gateway/control/conf_json.h"
#include "gateway/control/rpc.h"
#include "tests/unit/control/stubs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gw_control_conf conf = {.engine = "uring"};
	struct rpc_env env = {.conf = &conf};
	struct gw_conf_change chg;
	struct gw_conf_err err;
	size_t n;
	json_t *j;

	free(rpc_line(&env, (const char *)data, size, &n));
	j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (j && gw_conf_json_read(json_object_get(j, "params"), &chg, &err))
		gw_conf_json_free(&chg);
	json_decref(j);
	return 0;
}
