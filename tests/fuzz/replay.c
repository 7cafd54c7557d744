// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs a fuzz harness over its corpus without a fuzzer: each file as it is, all its prefixes, and
 * a few hundred single-byte changes that are the same on every run. replay_NAME reads
 * tests/fuzz/corpus/NAME, or the files and folders that it is given.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The harnesses have one thread: ThreadSanitizer makes them slow and has little to find. */
#ifdef __SANITIZE_THREAD__
#define CHANGES 32
#else
#define CHANGES 512
#endif

enum {
	PREFIXES_MAX = 2048,
	FILE_LIMIT = 1 << 20
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A copy of exactly len bytes, so that a sanitizer sees a read past the end. */
static void
run_exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void
run_prefixes(const uint8_t *data, size_t len)
{
	size_t step = len / PREFIXES_MAX + 1;

	for (size_t n = 0; n < len; n += step)
		run_exact(data, n);
}

static void
run_changes(uint8_t *data, size_t len)
{
	uint32_t x = 2463534242u;

	for (int i = 0; len && i < CHANGES; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		uint8_t *at = &data[(x >> 8) % len];
		uint8_t was = *at;

		*at = (uint8_t)x;
		run_exact(data, len);
		*at = was;
	}
}

static bool
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(FILE_LIMIT);
	size_t len;

	if (!f || !data) {
		printf("not ok %s: %s\n", path, strerror(errno));
		if (f)
			fclose(f);
		free(data);
		return false;
	}
	len = fread(data, 1, FILE_LIMIT, f);
	fclose(f);
	/* Named before it runs: a crash must say where. */
	fprintf(stderr, "input %s\n", path);
	run_exact(data, len);
	run_prefixes(data, len);
	run_changes(data, len);
	free(data);
	printf("ok %s\n", path);
	return true;
}

static bool
run_dir(const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	bool good = true;
	int files = 0;

	for (int i = 0; i < n; i++) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			good &= run_file(path);
			files++;
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (files == 0) {
		printf("not ok %s: no corpus\n", dir);
		return false;
	}
	return good;
}

int
main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	const char *name = strstr(base ? base : argv[0], "replay_");
	char dir[4096];
	bool good = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 1) {
		name = name ? name + strlen("replay_") : "";
		snprintf(dir, sizeof(dir), "tests/fuzz/corpus/%s", name);
		return run_dir(dir) ? 0 : 1;
	}
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			good &= run_dir(argv[i]);
		else
			good &= run_file(argv[i]);
	}
	return good ? 0 : 1;
}
