/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reservations against commands: SPC-4 5.12.1 and SBC-4 4.17 (tables of allowed commands), SPC-2
 * 5.5.1 for RESERVE, SPC-4 5.12.3 for RESERVE and RELEASE where there are registrations.
 */
#include "gateway/scsi/pr_priv.h"

/* What is on the LU. All registrants hold the types "all registrants": their role says so. */
enum on_lu {
	ON_SPC2,
	ON_REGISTERED, /* registrations without reservation */
	ON_WRITE,
	ON_ACCESS,
	ON_WRITE_SHARED, /* registrants only, all registrants */
	ON_ACCESS_SHARED,
	ON_MAX
};

/* Who may. */
#define H   (1 << SCSI_HOLDER)
#define R   (1 << SCSI_REGISTRANT | H)
#define ALL (1 << SCSI_STRANGER | R)

/* clang-format off */
static const uint8_t allowed[RES_CLASSES][ON_MAX] = {
	/*               SPC-2 registered WE    EA    WE RO/AR EA RO/AR */
	[RES_FREE] =    {ALL,  ALL,       ALL,  ALL,  ALL,     ALL},
	[RES_QUERY] =   {H,    ALL,       ALL,  ALL,  ALL,     ALL},
	[RES_READ] =    {H,    ALL,       ALL,  H,    ALL,     R},
	[RES_WRITE] =   {H,    ALL,       H,    H,    R,       R},
	[RES_PR] =      {0,    ALL,       ALL,  ALL,  ALL,     ALL},
	[RES_RESERVE] = {H,    0,         H,    H,    R,       R},
	[RES_RELEASE] = {ALL,  0,         H,    H,    R,       R},
};
/* clang-format on */

static enum on_lu
on_lu(const struct scsi_view *v)
{
	if (v->holder)
		return ON_SPC2;
	switch (v->pr->type) {
	case PR_NONE:
		return ON_REGISTERED;
	case PR_WRITE:
		return ON_WRITE;
	case PR_WRITE_RO:
	case PR_WRITE_AR:
		return ON_WRITE_SHARED;
	case PR_ACCESS_RO:
	case PR_ACCESS_AR:
		return ON_ACCESS_SHARED;
	default:
		return ON_ACCESS;
	}
}

static bool
allows(const struct scsi_view *v, uint8_t role, uint8_t class)
{
	return allowed[class][on_lu(v)] >> role & 1;
}

static bool
reserved(const struct scsi_view *v)
{
	return v->holder || v->pr;
}

bool
scsi_reservation_allows(const struct gw_nexus *n, const struct scsi_view *v, uint8_t class)
{
	return !reserved(v) || allows(v, scsi_role_of(v, n), class);
}

/* Of two commands one bit makes the difference. */
static uint8_t
class_of(const struct gw_cmd *cmd)
{
	switch (cmd->op->res_class) {
	case RES_PREVENT: /* allowing is nobody's harm */
		return cmd->cdb[4] & 3 ? RES_WRITE : RES_FREE;
	case RES_START: /* START without power condition: the medium stays ready */
		return (cmd->cdb[4] & 0xf1) == 1 ? RES_QUERY : RES_WRITE;
	default:
		return cmd->op->res_class;
	}
}

bool
scsi_res_check(const struct gw_cmd *cmd)
{
	const struct scsi_view *v = scsi_view_of(cmd);
	uint8_t role;

	if (!reserved(v))
		return true;
	if (v->holder)
		role = v->holder == cmd->nexus->id ? SCSI_HOLDER : SCSI_STRANGER;
	else
		role = cmd->itl ? cmd->itl->pr : SCSI_STRANGER;
	return allows(v, role, class_of(cmd));
}
