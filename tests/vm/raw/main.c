/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * raw_iser ADDR:PORT IQN LUN [--port N] [--key N]… [--place N]… steady LBA | cycles COUNT | list | ATTACK…
 * One line for each attack: "NAME: OUTCOME connections=N …".
 */
#include "tests/vm/raw/attack.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct raw_attack *const tables[] = {
    raw_attacks_shape, raw_attacks_login, raw_attacks_memory, raw_attacks_order, raw_attacks_life};
#define TABLES (sizeof(tables) / sizeof(*tables))

static struct raw_try try;

static void
list(void)
{
	for (size_t i = 0; i < TABLES; i++) {
		for (const struct raw_attack *a = tables[i]; a->name; a++)
			printf("%s\n", a->name);
	}
}

static bool
attack(const struct raw_where *w, const char *name)
{
	for (size_t i = 0; i < TABLES; i++) {
		for (const struct raw_attack *a = tables[i]; a->name; a++) {
			uint64_t began = raw_now_ms();
			const char *word;

			if (strcmp(a->name, name))
				continue;
			raw_connections = 0;
			try.where = w;
			try.how = a->how;
			try.said[0] = '\0';
			word = a->run(&try);
			printf("%s: %s connections=%u ms=%llu%s\n", name, word, raw_connections,
			       (unsigned long long)(raw_now_ms() - began), try.said);
			fflush(stdout);
			return true;
		}
	}
	fprintf(stderr, "no attack %s\n", name);
	return false;
}

static bool
parse_where(struct raw_where *w, char **argv)
{
	char *colon = strrchr(argv[1], ':');

	if (!colon)
		return false;
	*colon = '\0';
	w->addr.sin_family = AF_INET;
	w->addr.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	w->iqn = argv[2];
	w->lun = (unsigned)strtoul(argv[3], NULL, 10);
	return inet_pton(AF_INET, argv[1], &w->addr.sin_addr) == 1;
}

/* Options of the command line, from word 4 on; where they end. */
static int
parse_known(int argc, char **argv)
{
	int i = 4;

	for (; i + 1 < argc; i += 2) {
		uint64_t v = strtoull(argv[i + 1], NULL, 0);

		if (!strcmp(argv[i], "--port"))
			raw_port = (uint16_t)v;
		else if (!strcmp(argv[i], "--key") && try.nkey < RAW_KEYS_MAX)
			try.keys[try.nkey++] = (uint32_t)v;
		else if (!strcmp(argv[i], "--place") && try.nplace < RAW_KEYS_MAX)
			try.places[try.nplace++] = v;
		else
			break;
	}
	return i;
}

int
main(int argc, char **argv)
{
	struct raw_where w = {0};
	bool known = true;
	int i;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 5 || !parse_where(&w, argv)) {
		fprintf(stderr,
			"usage: raw_iser ADDR:PORT IQN LUN [--port N] [--key N]… [--place N]… "
			"steady LBA | cycles COUNT | list | ATTACK…\n");
		return 2;
	}
	i = parse_known(argc, argv);
	if (i + 1 < argc && !strcmp(argv[i], "steady"))
		return raw_steady(&w, (uint32_t)strtoul(argv[i + 1], NULL, 10));
	if (i + 1 < argc && !strcmp(argv[i], "cycles"))
		return raw_cycles(&w, (uint32_t)strtoul(argv[i + 1], NULL, 10));
	for (; i < argc; i++) {
		if (!strcmp(argv[i], "list"))
			list();
		else
			known &= attack(&w, argv[i]);
	}
	return !known;
}
