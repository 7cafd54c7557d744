/* SPDX-License-Identifier: BSD-3-Clause */
/* lichgate-mgmtd: options, directories, the event loop; the only exit() is the return from main. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "mgmt/gateway_watch.h"
#include "mgmt/mgmt.h"
#include "mgmt/names.h"
#include "mgmt/paths.h"
#include "mgmt/tgt_ipc.h"

#define PORTALS_MAX 64

struct options {
	bool foreground, debug;
	unsigned control_port;
	const char *portal[PORTALS_MAX];
	unsigned nportal;
};

static const char usage[] =
    "Usage: lichgate-mgmtd [OPTION]...\n"
    "The management daemon of Lichgate: keeps the configuration, tells the gateway,\n"
    "answers lgtadm and tgtadm.\n\n"
    "  -f, --foreground         do not become a daemon\n"
    "  -C, --control-port NUM   number of the control socket (0)\n"
    "      --portal ADDR:PORT   listen there until portals are changed ([::]:3260);\n"
    "                           may be given several times\n"
    "  -d, --debug              log more\n"
    "  -V, --version            print the version\n"
    "  -h, --help               print this text\n\n"
    "Environment: LGT_RUN_DIR (/run/lichgate), LGT_STATE_DIR (/var/lib/lichgate),\n"
    "TGT_IPC_SOCKET.\n";

/* 0: go on; 1: done, end well; -1: a sentence was printed. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	enum {
		OPT_PORTAL = 256
	};
	static const struct option longs[] = {
	    {"foreground", no_argument, NULL, 'f'},
	    {"control-port", required_argument, NULL, 'C'},
	    {"portal", required_argument, NULL, OPT_PORTAL},
	    {"debug", no_argument, NULL, 'd'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	uint64_t n;
	int ch;

	while ((ch = getopt_long(argc, argv, "fC:dVh", longs, NULL)) >= 0) {
		switch (ch) {
		case 'f':
			o->foreground = true;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'C':
			if (!gw_str_u64(optarg, &n) || n > SHRT_MAX) {
				fprintf(stderr,
					"lichgate-mgmtd: \"%s\" is no control port "
					"(0 to %d)\n",
					optarg, SHRT_MAX);
				return -1;
			}
			o->control_port = (unsigned)n;
			break;
		case OPT_PORTAL:
			if (o->nportal == PORTALS_MAX) {
				fprintf(stderr, "lichgate-mgmtd: more than %d portals\n",
					PORTALS_MAX);
				return -1;
			}
			o->portal[o->nportal++] = optarg;
			break;
		case 'V':
			printf("lichgate-mgmtd %s\n", LGT_VERSION);
			return 1;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			fprintf(stderr, "Try `lichgate-mgmtd --help' for more information.\n");
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "lichgate-mgmtd: unexpected argument \"%s\"\n", argv[optind]);
		return -1;
	}
	return 0;
}

static int
make_run_dirs(struct mgmt_err *err)
{
	const char *dir[] = {mgmt_run_dir(), mgmt_ipc_default_dir()};

	for (unsigned i = 0; i < 2; i++) {
		if (dir[i] && mkdir(dir[i], 0755) && errno != EEXIST)
			return mgmt_fail(err, 1, "cannot create %s: %s", dir[i], strerror(errno));
	}
	return 0;
}

static int
stored_portals(const struct mgmt *m)
{
	json_t *list = mgmt_model_list(&m->model, "portal:");
	int n = (int)json_array_size(list);

	json_decref(list);
	return n;
}

static int
default_portals(struct mgmt *m, const struct options *o, struct mgmt_err *err)
{
	int stored = stored_portals(m);

	if (stored || mgmt_portals_kept(m)) {
		if (o->nportal)
			gw_info("--portal is not used: portals are stored n=%d", stored);
		return 0;
	}
	for (unsigned i = 0; i < o->nportal; i++) {
		if (mgmt_default_portal(m, o->portal[i], err))
			return -1;
	}
	return o->nportal ? 0 : mgmt_default_portal(m, MGMT_DEFAULT_PORTAL, err);
}

static void
write_pid_file(void)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/mgmtd.pid", mgmt_run_dir());
	f = fopen(path, "we");
	if (!f) {
		gw_warn("cannot write the pid file path=%s reason=%s", path, strerror(errno));
		return;
	}
	fprintf(f, "%d\n", (int)getpid());
	fclose(f);
}

static int
on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
	gw_info("ending on a signal signal=%u", si->ssi_signo);
	return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int
catch_signals(sd_event *event)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* A store at the limit of its size is an error to report, like a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	return sd_event_add_signal(event, NULL, SIGTERM, on_signal, NULL) < 0 ||
	       sd_event_add_signal(event, NULL, SIGINT, on_signal, NULL) < 0;
}

/* Messages go to the journal or, where there is none, to a file in the run directory. */
static void
leave_terminal(void)
{
	char path[PATH_MAX];
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log_fd = sd_journal_stream_fd("lichgate-mgmtd", LOG_INFO, 1);

	if (log_fd < 0) {
		snprintf(path, sizeof(path), "%s/lichgate-mgmtd.log", mgmt_run_dir());
		log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	}
	if (null_fd >= 0) {
		dup2(null_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
	}
	if (log_fd >= 0 || null_fd >= 0)
		dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
	if (log_fd >= 0)
		close(log_fd);
	if (null_fd >= 0)
		close(null_fd);
}

/* The parent waits on ready_fd for one byte: the daemon answers requests. */
static void
tell_ready(int ready_fd)
{
	write_pid_file();
	sd_notify(0, "READY=1\nSTATUS=answering requests");
	if (ready_fd < 0)
		return;
	leave_terminal();
	if (write(ready_fd, "", 1) < 0)
		gw_warn("nobody waits for the daemon to be ready");
	close(ready_fd);
}

static int
serve(const struct options *o, int ready_fd)
{
	char ipc_path[PATH_MAX], gateway_path[PATH_MAX];
	struct mgmt_store *store = NULL;
	struct mgmt_ipc *ipc = NULL;
	struct mgmt_watch watch = {0};
	struct mgmt_err err = {.text = "out of memory"};
	struct mgmt m = {0};
	sd_event *event = NULL;
	int rc = 1;

	snprintf(gateway_path, sizeof(gateway_path), "%s/gateway.sock", mgmt_run_dir());
	if (!mgmt_ipc_path(ipc_path, sizeof(ipc_path), o->control_port)) {
		mgmt_fail(&err, 1, "the path of the control socket is too long");
		goto out;
	}
	/* The lock of the socket comes first: it is what a second daemon should hear of. */
	if (make_run_dirs(&err) || sd_event_new(&event) < 0 || catch_signals(event) ||
	    sd_event_set_watchdog(event, true) < 0 ||
	    mgmt_ipc_new(&m, event, ipc_path, &ipc, &err))
		goto out_event;
	if (mgmt_store_open(mgmt_state_dir(), &store, &err))
		goto out_event;
	if (mgmt_init(&m, store, gateway_path, &err))
		goto out_store;
	if (default_portals(&m, o, &err) || mgmt_watch_start(&watch, &m, ipc, event) < 0)
		goto out_mgmt;
	gw_info("managing socket=%s state=%s objects=%zu", ipc_path, mgmt_state_dir(),
		json_object_size(m.model.objects));
	tell_ready(ready_fd);
	rc = sd_event_loop(event) < 0;
	sd_notify(0, "STOPPING=1");
out_mgmt:
	mgmt_watch_stop(&watch);
	mgmt_fini(&m);
out_store:
	mgmt_store_close(store);
out_event:
	mgmt_ipc_free(ipc);
	sd_event_unref(event);
out:
	if (rc)
		gw_err("%s", err.text);
	return rc;
}

/* Forks; the parent returns the exit code of the start, the child -1 and its end of the pipe. */
static int
daemonize(int *ready_fd)
{
	int fd[2], status;
	char byte;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) || (pid = fork()) < 0) {
		fprintf(stderr, "lichgate-mgmtd: cannot start: %s\n", strerror(errno));
		return 1;
	}
	if (!pid) {
		close(fd[0]);
		*ready_fd = fd[1];
		setsid();
		if (chdir("/"))
			return 1;
		return -1;
	}
	close(fd[1]);
	if (read(fd[0], &byte, 1) == 1)
		return 0;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	int ready_fd = -1, rc = parse_options(argc, argv, &o);

	if (rc)
		return rc < 0;
	gw_log_init("lichgate-mgmtd");
	if (o.debug)
		gw_log_level_set(GW_LOG_DEBUG);
	if (!o.foreground) {
		rc = daemonize(&ready_fd);
		if (rc >= 0)
			return rc;
	}
	return serve(&o, ready_fd);
}
