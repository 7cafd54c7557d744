/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tgtadm requests, decoded and carried out on a configuration in memory. The input is a series of
 * requests as they come over the socket: header with its length, payload.
 */
#include <stdint.h>
#include <string.h>

#include "gateway/base/log.h"
#include "mgmt/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char sessions[] =
    "{\"sessions\":[{\"tid\":1,\"sid\":1,\"cid\":0,\"initiator\":\"iqn.x\",\"addr\":\"[::1]:1\"}],"
    "\"luns\":[{\"tid\":1,\"lun\":1,\"size\":1048576,\"online\":true}]}";

static int
gateway(void *arg, const char *method, const json_t *params, json_t **result, struct mgmt_err *err)
{
	*result = json_loads(sessions, 0, NULL);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mgmt_req req;
	struct mgmt_err err;
	struct mgmt m;

	gw_log_level_set(GW_LOG_ERR);
	if (mgmt_init(&m, NULL, "/nowhere", &err))
		return 0;
	m.link.fake = gateway;
	m.synced = true;
	while (size) {
		struct mgmt_text out = {0};
		long len = mgmt_req_size(data, size, &err);

		if (len <= 0 || (size_t)len > size)
			break;
		if (!mgmt_req_parse(data, (size_t)len, &req, &err))
			(void)mgmt_req_run(&m, &req, &out, &err);
		mgmt_text_free(&out);
		data += len;
		size -= (size_t)len;
	}
	mgmt_fini(&m);
	return 0;
}
