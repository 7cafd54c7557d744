/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "tests/unit/base/suite.h"

static char text[65536];
static int saved_stderr;
static FILE *file;

static void
capture_begin(void)
{
	file = tmpfile();
	ck_assert_ptr_nonnull(file);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(file), STDERR_FILENO);
}

static const char *
capture_end(void)
{
	size_t n;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static unsigned
lines_of(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

START_TEST(test_line_names_program_and_level)
{
	const char *s;

	unsetenv("JOURNAL_STREAM");
	gw_log_init("gate");
	capture_begin();
	gw_warn("disk is full path=%s", "/x");
	s = capture_end();
	ck_assert_ptr_nonnull(strstr(s, " gate: warning: disk is full path=/x\n"));
	ck_assert_uint_eq(lines_of(s), 1);
}
END_TEST

START_TEST(test_journal_gets_priorities)
{
	char stream[64];
	struct stat st;
	const char *s;

	capture_begin();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	gw_log_init("gate");
	gw_err("one");
	gw_info("two");
	s = capture_end();
	unsetenv("JOURNAL_STREAM");
	gw_log_init("gate");
	ck_assert_str_eq(s, "<3>one\n<6>two\n");
}
END_TEST

START_TEST(test_lines_cannot_be_forged)
{
	const char *s;

	capture_begin();
	gw_info("peer=%s", "a\nb\033[1m\xff\x7f");
	s = capture_end();
	ck_assert_uint_eq(lines_of(s), 1);
	ck_assert_ptr_nonnull(strstr(s, "peer=a?b?[1m??\n"));
}
END_TEST

START_TEST(test_long_lines_are_cut)
{
	char big[5000];
	const char *s;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	capture_begin();
	gw_info("%s", big);
	s = capture_end();
	ck_assert_uint_le(strlen(s), 1000);
	ck_assert_uint_ge(strlen(s), 990);
	ck_assert_uint_eq(lines_of(s), 1);
}
END_TEST

START_TEST(test_level_filters)
{
	const char *s;

	capture_begin();
	gw_debug("hidden");
	gw_log_level_set(GW_LOG_DEBUG);
	ck_assert(gw_log_debugging());
	gw_debug("shown");
	gw_log_level_set(GW_LOG_ERR);
	gw_warn("hidden too");
	gw_log_level_set(GW_LOG_INFO);
	s = capture_end();
	ck_assert_uint_eq(lines_of(s), 1);
	ck_assert_ptr_nonnull(strstr(s, "shown"));
}
END_TEST

/* Two windows of 10 s may meet in the loop, not three. */
START_TEST(test_rate_limit)
{
	struct gw_ratelimit rl = {0};
	unsigned passed = 0;

	capture_begin();
	for (int i = 0; i < 1000; i++)
		passed += gw_ratelimit_pass(&rl, 5);
	capture_end();
	ck_assert_uint_ge(passed, 5);
	ck_assert_uint_le(passed, 10);
}
END_TEST

START_TEST(test_rate_limit_tells_what_it_dropped)
{
	struct gw_ratelimit rl = {0};

	capture_begin();
	ck_assert(gw_ratelimit_pass(&rl, 1));
	atomic_store(&rl.dropped, 7);
	atomic_store(&rl.window, 0);
	ck_assert(gw_ratelimit_pass(&rl, 1));
	ck_assert_ptr_nonnull(strstr(capture_end(), "7 lines"));
}
END_TEST

SUITE("log", test_line_names_program_and_level, test_journal_gets_priorities,
      test_lines_cannot_be_forged, test_long_lines_are_cut, test_level_filters, test_rate_limit,
      test_rate_limit_tells_what_it_dropped)
