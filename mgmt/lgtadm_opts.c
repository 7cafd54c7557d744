/* SPDX-License-Identifier: BSD-3-Clause */
#include "mgmt/lgtadm_opts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT_JSON 'j'

/* -F and -O take no argument as short options either; scripts use the long forms. */
static const char shorts[] = "dhVL:o:m:t:s:c:l:n:v:b:E:S:f:y:T:I:Q:u:p:B:H:FP:Y:OC:";

static const struct option longs[] = {
    {"debug", no_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"lld", required_argument, NULL, 'L'},
    {"op", required_argument, NULL, 'o'},
    {"mode", required_argument, NULL, 'm'},
    {"tid", required_argument, NULL, 't'},
    {"sid", required_argument, NULL, 's'},
    {"cid", required_argument, NULL, 'c'},
    {"lun", required_argument, NULL, 'l'},
    {"name", required_argument, NULL, 'n'},
    {"value", required_argument, NULL, 'v'},
    {"backing-store", required_argument, NULL, 'b'},
    {"bstype", required_argument, NULL, 'E'},
    {"bsopts", required_argument, NULL, 'S'},
    {"bsoflags", required_argument, NULL, 'f'},
    {"blocksize", required_argument, NULL, 'y'},
    {"targetname", required_argument, NULL, 'T'},
    {"initiator-address", required_argument, NULL, 'I'},
    {"initiator-name", required_argument, NULL, 'Q'},
    {"user", required_argument, NULL, 'u'},
    {"password", required_argument, NULL, 'p'},
    {"bus", required_argument, NULL, 'B'},
    {"host", required_argument, NULL, 'H'},
    {"force", no_argument, NULL, 'F'},
    {"params", required_argument, NULL, 'P'},
    {"device-type", required_argument, NULL, 'Y'},
    {"outgoing", no_argument, NULL, 'O'},
    {"control-port", required_argument, NULL, 'C'},
    {"json", no_argument, NULL, OPT_JSON},
    {0},
};

static const char usage[] =
    "Manages the targets of a Lichgate gateway, as tgtadm does those of tgtd.\n\n"
    "Usage: lgtadm --mode MODE --op OP [OPTION]...\n\n"
    "Targets\n"
    "  -m target -o new -t TID -T NAME          create\n"
    "  -m target -o delete -t TID [--force]     delete, with all logical units\n"
    "  -m target -o show [-t TID]               list all; parameters of one\n"
    "  -m target -o update -t TID -n KEY -v VALUE\n"
    "  -m target -o bind|unbind -t TID -I ALL|ADDRESS[/BITS]\n"
    "  -m target -o bind|unbind -t TID -Q INITIATOR-NAME\n"
    "  -m target -o bind -t TID -Q INITIATOR-NAME -P luns=OWN=LUN[/ro],...|all[/ro]|none\n"
    "Logical units\n"
    "  -m logicalunit -o new -t TID -l LUN -b PATH [-E BSTYPE] [-f sync:direct]\n"
    "                 [-y BLOCKSIZE] [-S size=BYTES] [-Y cd]\n"
    "  -m logicalunit -o delete -t TID -l LUN [--force]\n"
    "  -m logicalunit -o update -t TID -l LUN -P NAME=VALUE[,NAME=VALUE]...\n"
    "Portals\n"
    "  -m portal -o new|delete -P portal=ADDR[:PORT][,tpgt=N][,transport=iser]\n"
    "  -m portal -o show\n"
    "Accounts (without -t: for discovery)\n"
    "  -m account -o new -u USER -p PASSWORD\n"
    "  -m account -o delete -u USER\n"
    "  -m account -o bind|unbind [-t TID] -u USER [--outgoing]\n"
    "  -m account -o show\n"
    "Sessions\n"
    "  -m connection -o show -t TID\n"
    "  -m connection -o delete -t TID -s SID -c CID\n"
    "System\n"
    "  -m system -o show|stat|delete\n"
    "  -m system -o stat -n cores\n"
    "  -m system -o update -n KEY -v VALUE\n\n"
    "  -C, --control-port NUM   the daemon with that number (0)\n"
    "      --json               show and stat: print JSON\n"
    "lgtadm(8) has all of it.\n";

struct rule {
	int mode;
	unsigned ops;        /* bits */
	const char *allowed; /* NULL: anything */
	bool new_wording;    /* "MODE mode: option ..." or "option ... MODE mode" */
};

#define OP(o) (1u << (o))

static const struct rule rules[] = {
    {TGT_SYSTEM, OP(TGT_UPDATE), "LmonvC", true},
    {TGT_SYSTEM, OP(TGT_SHOW) | OP(TGT_DELETE) | OP(TGT_STAT), NULL, true},
    {TGT_TARGET, OP(TGT_NEW), "LmotTC", true},
    {TGT_TARGET, OP(TGT_DELETE), "LmotCF", true},
    {TGT_TARGET, OP(TGT_SHOW) | OP(TGT_STAT), "LmotC", true},
    {TGT_TARGET, OP(TGT_BIND) | OP(TGT_UNBIND), "LmotIQBHCP", true},
    {TGT_TARGET, OP(TGT_UPDATE), "LmotnvC", true},
    {TGT_ACCOUNT, OP(TGT_NEW), "LmoupfC", true},
    {TGT_ACCOUNT, OP(TGT_SHOW), "LmoC", true},
    {TGT_ACCOUNT, OP(TGT_DELETE), "LmouC", true},
    {TGT_ACCOUNT, OP(TGT_BIND) | OP(TGT_UNBIND), "LmotuOC", true},
    /* tgtadm refuses -P here; it is how size= and the like are given at once. */
    {TGT_LUN, OP(TGT_NEW), "LmofytlbEYCSP", true},
    /* tgtadm refuses -F here and its own daemon asks for it. */
    {TGT_LUN, OP(TGT_DELETE) | OP(TGT_STAT), "LmotlCF", true},
    {TGT_LUN, OP(TGT_UPDATE), "LmofytlPC", false},
    {TGT_PORTAL, OP(TGT_NEW) | OP(TGT_DELETE), "LmoCP", true},
    {TGT_PORTAL, OP(TGT_SHOW), "LmoC", false},
    {TGT_LLD, OP(TGT_START) | OP(TGT_STOP) | OP(TGT_SHOW), "LmoC", true},
    {TGT_SESSION, ~0u, NULL, true},
    {TGT_CONN, ~0u, NULL, true},
};

static int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int
complain(const char *fmt, ...)
{
	va_list ap;

	fputs("lgtadm: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EINVAL;
}

static int
try_help(void)
{
	fputs("Try `lgtadm --help' for more information.\n", stderr);
	return EINVAL;
}

/* As tgtadm reads numbers: any base of C; but no trailing garbage. */
static int
number(char letter, const char *s, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(s, &end, 0);
	if (!isdigit((unsigned char)*s) || *end) {
		fprintf(stderr, "-%c argument value '%s' invalid\n", letter, s);
		return try_help();
	}
	if (errno == ERANGE || *out > max) {
		fprintf(stderr, "-%c argument value '%s' out of range\n", letter, s);
		return try_help();
	}
	return -1;
}

/* The SCSI host of "bus,id", as tgtadm finds it for bind by bus. */
static int
bus_host(const char *text, uint32_t *host)
{
	const char *comma = strchr(text, ',');
	struct dirent *e;
	char path[PATH_MAX];
	DIR *dir;
	int found = -1;

	if (!comma)
		return complain("bus is BUS,ID, not '%s'", text);
	snprintf(path, sizeof(path), "/sys/bus/%.*s/devices/%s", (int)(comma - text), text,
		 comma + 1);
	dir = opendir(path);
	while (dir && found < 0 && (e = readdir(dir))) {
		if (sscanf(e->d_name, "host%d", &found) != 1)
			found = -1;
	}
	if (dir)
		closedir(dir);
	if (found < 0)
		return complain("%s has no SCSI host", path);
	*host = (uint32_t)found;
	return -1;
}

static int
words(int ch, struct adm_opts *o)
{
	int type;

	switch (ch) {
	case 'm':
		o->mode = tgt_mode_by_name(optarg);
		if (o->mode < 0) {
			complain("unknown mode: %s", optarg);
			return 1;
		}
		return -1;
	case 'o':
		o->op = tgt_op_by_name(optarg);
		if (o->op < 0) {
			complain("unknown operation: %s", optarg);
			return 1;
		}
		return -1;
	default:
		type = tgt_type_by_name(optarg);
		if (type < 0)
			return complain("unknown target type: %s", optarg);
		o->req.device_type = (uint32_t)type;
		return -1;
	}
}

static int
numbers(int ch, struct adm_opts *o)
{
	uint64_t n = 0, max = ch == 's' || ch == 'l' ? UINT64_MAX : ch == 'C' ? SHRT_MAX : INT_MAX;
	int rc = number((char)ch, optarg, max, &n);

	if (rc >= 0)
		return rc;
	switch (ch) {
	case 't':
		o->req.tid = (int32_t)n;
		break;
	case 's':
		o->req.sid = n;
		break;
	case 'c':
		o->req.cid = (uint32_t)n;
		break;
	case 'l':
		o->req.lun = n;
		break;
	case 'H':
		o->req.host_no = (uint32_t)n;
		break;
	case 'C':
		o->control_port = (unsigned)n;
		break;
	}
	return -1;
}

static const char **
text_slot(int ch, struct adm_opts *o)
{
	switch (ch) {
	case 'n':
		return &o->name;
	case 'v':
		return &o->value;
	case 'b':
		return &o->path;
	case 'E':
		return &o->bstype;
	case 'S':
		return &o->bsopts;
	case 'f':
		return &o->bsoflags;
	case 'y':
		return &o->blocksize;
	case 'T':
		return &o->targetname;
	case 'I':
		return &o->address;
	case 'Q':
		return &o->initiator;
	case 'u':
		return &o->user;
	case 'p':
		return &o->password;
	case 'P':
		return o->mode == TGT_PORTAL ? &o->portal_ops : &o->target_ops;
	default:
		return NULL;
	}
}

static int
one_option(int ch, struct adm_opts *o)
{
	const char **slot = text_slot(ch, o);

	if (slot) {
		*slot = optarg;
		return -1;
	}
	switch (ch) {
	case 'm':
	case 'o':
	case 'Y':
		return words(ch, o);
	case 't':
	case 's':
	case 'c':
	case 'l':
	case 'H':
	case 'C':
		return numbers(ch, o);
	case 'B':
		return bus_host(optarg, &o->req.host_no);
	case 'L':
		snprintf(o->req.lld, sizeof(o->req.lld), "%s", optarg);
		return -1;
	case 'F':
		o->req.force = 1;
		return -1;
	case 'O':
		o->req.ac_dir = 1;
		return -1;
	case 'd':
		o->debug = true;
		return -1;
	case OPT_JSON:
		o->json = true;
		return -1;
	case 'V':
		printf("%s\n", LGT_VERSION);
		return 0;
	case 'h':
		fputs(usage, stdout);
		return 0;
	default:
		return try_help();
	}
}

static int
check_options(const struct adm_opts *o)
{
	const char *mode = tgt_mode_name((uint32_t)o->mode);

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];

		if (r->mode != o->mode || !(r->ops & OP(o->op)))
			continue;
		for (const char *g = o->given; r->allowed && *g; g++) {
			if (strchr(r->allowed, *g) || strchr("dj", *g))
				continue;
			if (r->new_wording)
				return complain("%s mode: option '-%c' is not allowed/supported",
						mode, *g);
			return complain("option '-%c' not supported in %s mode", *g, mode);
		}
		return -1;
	}
	return complain("operation %s not supported in %s mode", tgt_op_name((uint32_t)o->op),
			mode);
}

static int
check_target(const struct adm_opts *o)
{
	if (o->req.tid <= 0 && o->op != TGT_SHOW)
		return complain(o->req.tid == 0 ? "'tid' cannot be 0"
						: "'tid' option is necessary");
	return -1;
}

static int
check_lun(const struct adm_opts *o)
{
	if (o->req.tid <= 0)
		return complain(o->req.tid == 0 ? "'tid' must not be 0"
						: "'tid' option is necessary");
	if (o->req.lun == TGT_NO_LUN)
		return complain("'lun' option is necessary");
	return -1;
}

/* What an operation cannot do without, beyond the numbers. */
static int
check_needed(const struct adm_opts *o)
{
	if (o->op == TGT_UPDATE && (o->mode == TGT_SYSTEM || o->mode == TGT_TARGET) &&
	    (!o->name || !o->value))
		return complain("update operation requires 'name' and 'value' options");
	if (o->mode == TGT_TARGET && o->op == TGT_NEW && !o->targetname)
		return complain("creating new target requires a name, use --targetname");
	if (o->mode == TGT_TARGET && (o->op == TGT_BIND || o->op == TGT_UNBIND) && !o->address &&
	    !o->initiator && !o->req.host_no)
		return complain("%s operation requires initiator-address, initiator-name or bus",
				tgt_op_name((uint32_t)o->op));
	if (o->mode == TGT_ACCOUNT && o->op == TGT_NEW && (!o->user || !o->password))
		return complain("'user' and 'password' options are required");
	if (o->mode == TGT_ACCOUNT && (o->op == TGT_BIND || o->op == TGT_UNBIND) && !o->user)
		return complain("'user' option is necessary");
	if (o->mode == TGT_PORTAL && o->op != TGT_SHOW && !o->portal_ops)
		return complain("you must specify --param portal=<portal>");
	if (o->mode == TGT_LUN && o->op == TGT_NEW && !o->path &&
	    (o->req.device_type == TGT_TYPE_CHANGER || o->req.device_type == TGT_TYPE_OSD ||
	     o->req.device_type == TGT_TYPE_PT))
		return complain("'backing-store' option is necessary");
	return -1;
}

static int
check(struct adm_opts *o)
{
	int rc = -1;

	if (o->op < 0)
		return complain("specify the operation type");
	if (o->mode < 0)
		return complain("specify the mode");
	if (o->mode == TGT_TARGET)
		rc = check_target(o);
	else if (o->mode == TGT_LUN)
		rc = check_lun(o);
	if (rc < 0)
		rc = check_options(o);
	if (rc < 0)
		rc = check_needed(o);
	if (rc < 0 && o->json && o->op != TGT_SHOW && o->op != TGT_STAT)
		rc = complain("--json is for show and stat");
	return rc;
}

int
adm_parse(int argc, char **argv, struct adm_opts *o)
{
	size_t n = 0;
	int ch, rc;

	memset(o, 0, sizeof(*o));
	o->mode = o->op = -1;
	o->req.tid = TGT_NO_TID;
	o->req.lun = TGT_NO_LUN;
	optind = 1;
	while ((ch = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
		rc = one_option(ch, o);
		if (rc >= 0)
			return rc;
		if (n < sizeof(o->given) - 1)
			o->given[n++] = (char)ch;
	}
	if (optind < argc) {
		complain("unrecognized option '%s'", argv[optind]);
		return try_help();
	}
	rc = check(o);
	o->req.mode = (uint32_t)o->mode;
	o->req.op = (uint32_t)o->op;
	return rc;
}

struct joined {
	char *dst;
	unsigned size, len;
	bool full;
};

static void
join(struct joined *j, const char *key, const char *value)
{
	int n;

	if (!value || j->full)
		return;
	n = snprintf(j->dst + j->len, j->size - j->len, "%s%s%s", j->len ? "," : "", key, value);
	if (n < 0 || (unsigned)n >= j->size - j->len)
		j->full = true;
	else
		j->len += (unsigned)n;
}

int
adm_payload(const struct adm_opts *o, char *dst, unsigned size)
{
	struct joined j = {.dst = dst, .size = size};
	char name[256];

	*dst = '\0';
	if (o->name) {
		if (snprintf(name, sizeof(name), "%s=", o->name) >= (int)sizeof(name))
			return -1;
		join(&j, name, o->value ? o->value : "");
	}
	join(&j, "path=", o->path);
	join(&j, "bstype=", o->req.device_type == TGT_TYPE_TAPE ? "ssc" : o->bstype);
	join(&j, "bsopts=", o->bsopts);
	join(&j, "bsoflags=", o->bsoflags);
	join(&j, "blocksize=", o->blocksize);
	join(&j, "targetname=", o->targetname);
	join(&j, "initiator-address=", o->address);
	join(&j, "initiator-name=", o->initiator);
	join(&j, "user=", o->user);
	join(&j, "password=", o->password);
	join(&j, "format=", o->json ? "json" : NULL);
	join(&j, "targetOps ", o->target_ops);
	join(&j, "portalOps ", o->portal_ops);
	if (o->target_ops || o->portal_ops)
		join(&j, "", "");
	return j.full ? -1 : (int)j.len;
}
