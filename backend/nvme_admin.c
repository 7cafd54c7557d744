/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of the control thread, which may wait for them: Identify, features, sanitize. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backend/nvme_priv.h"
#include "gateway/base/log.h"

enum {
	GET_LOG_PAGE = 0x02,
	IDENTIFY = 0x06,
	GET_FEATURES = 0x0a,
	SANITIZE = 0x84,
};

#define FEATURE_WRITE_CACHE 0x06
#define LOG_SANITIZE        0x81
#define LOG_SANITIZE_SIZE   512u
#define CNS_ACTIVE_LIST     0x02
#define CNS_ALLOCATED_LIST  0x10

/* 0, -errno, or the device's status. EINTR: the controller was reset meanwhile. */
static int
admin(int fd, struct nvme_admin_cmd *cmd)
{
	int rc = -1;

	for (unsigned tries = 0; tries < 3; tries++) {
		rc = ioctl(fd, NVME_IOCTL_ADMIN_CMD, cmd);
		if (rc >= 0 || errno != EINTR)
			break;
	}
	return rc < 0 ? -errno : rc;
}

int
nvme_identify(int fd, uint32_t nsid, uint32_t cns, uint8_t *page)
{
	struct nvme_admin_cmd cmd = {.opcode = IDENTIFY,
				     .nsid = nsid,
				     .addr = (uintptr_t)page,
				     .data_len = NVME_IDENTIFY_SIZE,
				     .cdw10 = cns};

	memset(page, 0, NVME_IDENTIFY_SIZE);
	return admin(fd, &cmd);
}

int
nvme_write_cache(int fd, bool *on)
{
	struct nvme_admin_cmd cmd = {.opcode = GET_FEATURES, .cdw10 = FEATURE_WRITE_CACHE};
	int rc = admin(fd, &cmd);

	if (!rc)
		*on = cmd.result & 1;
	return rc;
}

/*
 * Sanitize is done to the whole NVM subsystem (Base 8.21). Other namespaces are not ours to
 * destroy, so there must be none, attached or not; where they cannot be listed there may be some.
 */
uint32_t
nvme_sanitize_kinds(const struct nvme_dev *nd)
{
	_Alignas(8) uint8_t list[NVME_IDENTIFY_SIZE];

	if (!nd->id.sanitize_kinds || nvme_identify(nd->fd, 0, CNS_ACTIVE_LIST, list) ||
	    !nvme_list_is_only(list, nd->nsid))
		return 0;
	if (nd->id.lists_allocated) {
		if (nvme_identify(nd->fd, 0, CNS_ALLOCATED_LIST, list) ||
		    !nvme_list_is_only(list, nd->nsid))
			return 0;
	} else if (nd->id.shared_subsystem) {
		return 0;
	}
	return nd->id.sanitize_kinds;
}

int
nvme_sanitize(struct be_dev *dev, enum be_sanitize kind)
{
	/* SANACT (Base 5.24); AUSE, because nothing but what this LUN held is at stake. */
	static const uint32_t action[BE_SANITIZE_MAX] = {
	    [BE_SANITIZE_EXIT] = 1,
	    [BE_SANITIZE_BLOCK] = 2 | 1 << 3,
	    [BE_SANITIZE_OVERWRITE] = 3 | 1 << 3 | 1 << 4,
	    [BE_SANITIZE_CRYPTO] = 4 | 1 << 3,
	};
	const struct nvme_dev *nd = dev->priv;
	struct nvme_admin_cmd cmd = {.opcode = SANITIZE};
	enum be_sanitize_state state;
	uint16_t progress;
	int rc;

	if (kind >= BE_SANITIZE_MAX || !(dev->sanitize_kinds & 1u << kind) ||
	    !(nvme_sanitize_kinds(nd) & 1u << kind))
		return -EOPNOTSUPP;
	if (!nvme_sanitize_state(dev, &state, &progress) && state == BE_SANITIZE_RUNS)
		return -EBUSY;
	cmd.cdw10 = action[kind];
	rc = admin(nd->fd, &cmd);
	if (rc)
		gw_warn("sanitize is refused: path=%s answer=0x%x", nd->path, (unsigned)rc);
	return rc ? -EIO : 0;
}

int
nvme_sanitize_state(struct be_dev *dev, enum be_sanitize_state *state, uint16_t *progress)
{
	const struct nvme_dev *nd = dev->priv;
	_Alignas(8) uint8_t log[LOG_SANITIZE_SIZE] = {0};
	struct nvme_admin_cmd cmd = {.opcode = GET_LOG_PAGE,
				     .nsid = UINT32_MAX,
				     .addr = (uintptr_t)log,
				     .data_len = sizeof(log),
				     .cdw10 = LOG_SANITIZE | (LOG_SANITIZE_SIZE / 4 - 1) << 16};

	if (admin(nd->fd, &cmd))
		return -EIO;
	*state = nvme_sanitize_log(log, progress);
	return 0;
}
