/* SPDX-License-Identifier: BSD-3-Clause */
/* The drive's temperature: where it is looked for in sysfs, and what is made of it. */
#include <sys/sysmacros.h>

#include "backend/backend_priv.h"
#include "tests/unit/backend/stub.h"
#include "tests/unit/base/suite.h"

static struct bench b;
static struct tmpfile tmp;
static char root[] = "/tmp/lgt-sys-XXXXXX";

/* A shell's command in the stand-in for sysfs. */
static void
sh(const char *what, const char *arg)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd), "cd %s && %s %s", root, what, arg);
	ck_assert_int_eq(system(cmd), 0);
}

/* "MAJOR:MINOR" of the device that the file lies on, below dev/block. */
static const char *
number_of(const char *path)
{
	static char text[64];
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	snprintf(text, sizeof(text), "dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	return text;
}

static bool
found(void)
{
	int fd = be_thermometer_open(root, tmp.path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

START_TEST(test_where_it_is)
{
	static const char *const at[] = {"device/hwmon/hwmon3", "device/hwmon0"};
	char dir[128];

	ck_assert_ptr_nonnull(mkdtemp(root));
	tmp_new(&tmp, "/var/tmp", 65536);
	for (unsigned part = 0; part < 2; part++) {
		for (unsigned i = 0; i < GW_ARRAY_LEN(at); i++) {
			ck_assert(!found());
			snprintf(dir, sizeof(dir), "dev/block disk/part disk/%s", at[i]);
			sh("mkdir -p", dir);
			sh(part ? "ln -s ../../disk/part" : "ln -s ../../disk",
			   number_of(tmp.path));
			ck_assert(!found());
			snprintf(dir, sizeof(dir), "disk/%s/temp1_input", at[i]);
			sh("echo 30000 >", dir);
			ck_assert(found());
			sh("rm -r", "dev disk");
		}
	}
	ck_assert_int_eq(be_thermometer_open(root, "/nowhere"), -1);
	ck_assert_int_eq(rmdir(root), 0);
	tmp_free(&tmp);
}
END_TEST

START_TEST(test_what_it_tells)
{
	static const struct {
		const char *text;
		uint8_t celsius;
	} row[] = {{"41850\n", 41}, {"0\n", 0}, {"-5000\n", 0}, {"999000\n", 254}, {"", 255}};

	bench_open(&b, "mem", KV("size=64k"));
	ck_assert(!b.dev->thermometer);
	b.dev->thermometer = true;
	for (unsigned i = 0; i < GW_ARRAY_LEN(row); i++) {
		struct one_io one = {.io = {.op = BE_TEMPERATURE, .done = one_done}};
		FILE *f = tmpfile();

		fputs(row[i].text, f);
		fflush(f);
		b.dev->thermometer_fd = fileno(f);
		be_submit(b.chan, &one.io);
		ck_assert_uint_eq(one.done, 0);
		while (stub_turn(&b.s))
			;
		ck_assert_uint_eq(one.done, 1);
		ck_assert_int_eq(one.io.st, BE_OK);
		ck_assert_uint_eq(one.io.celsius, row[i].celsius);
		fclose(f);
	}
	b.dev->thermometer = false;
	bench_close(&b);
}
END_TEST

SUITE("backend/thermometer", test_where_it_is, test_what_it_tells)
