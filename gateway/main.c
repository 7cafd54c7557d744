/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway process: options, wiring, readiness, the end. The only calls of exit(). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "gateway/api/config.h"
#include "gateway/base/log.h"
#include "gateway/base/str.h"
#include "gateway/control/control.h"
#include "gateway/core/core.h"
#include "gateway/scsi/pr_store.h"
#include "iscsi/login.h"
#include "iscsi/core.h"
#include "iscsi/tcp_xport.h"
#include "iser/xport.h"

#define RUN_DIR_DEFAULT "/run/lichgate"
#define STATE_DIR_DEFAULT "/var/lib/lichgate"
#define FD_LIMIT        1048576u
#define BUF_MB_MAX      65536
#define POLL_US_MAX     10000

/* The end takes less than 10 s: initiators get 3 to log out, connections 3 to close. */
#define END_SEC     9
#define ASK_MS      3000
#define CLOSE_MS    3000
#define ISCSI_STOP_MS 1000

struct options {
	bool foreground, debug, iwarp;
	struct gw_core_conf core;
};

static struct {
	const char *run_dir;
	char pid_path[4096];
	int pid_fd;
	int ready_fd; /* tells the waiting parent; -1: nobody waits */
} proc = {.pid_fd = -1, .ready_fd = -1};

/* --- options --- */

static const char usage[] =
    "Usage: lichgated [-f] [--cores LIST] [--engine NAME] [--poll-us N] [--buf-mb N]\n"
    "                 [--iwarp] [--debug]\n"
    "The Lichgate iSCSI gateway. It is configured by lichgate-mgmtd.\n"
    "\n"
    "  -f, --foreground   stay in the foreground, log to standard error\n"
    "      --cores LIST   CPUs to run on, as in taskset: 0,2-3 (default: all allowed)\n"
    "      --engine NAME  uring, or epoll for where io_uring is forbidden (default: what works)\n"
    "      --poll-us N    before sleeping, look N us for more work (default: 0); costs CPU time\n"
    "      --buf-mb N     MiB of I/O buffers for each core (default: 64)\n"
    "      --iwarp        use iWARP devices, too: their peers are trusted with all data\n"
    "      --debug        log more\n"
    "      --version      print the version and exit\n"
    "  -h, --help         print this and exit\n"
    "\n"
    "LGT_RUN_DIR (default /run/lichgate) holds the sockets and the pid file, LGT_STATE_DIR\n"
    "(default /var/lib/lichgate) the persistent reservations that outlive a restart.\n";

_Noreturn static void
die_usage(const char *what, const char *why)
{
	fprintf(stderr, "lichgated: %s%s (try lichgated --help)\n", what, why);
	exit(2);
}

static void
choose_engine(struct options *o, const char *name)
{
	if (strcmp(name, "uring") != 0 && strcmp(name, "epoll") != 0)
		die_usage(name, ": there is no such engine");
	o->core.engine = name;
}

static void
parse_options(int argc, char **argv, struct options *o)
{
	enum {
		OPT_CORES = 256,
		OPT_ENGINE,
		OPT_POLL,
		OPT_BUF,
		OPT_IWARP,
		OPT_DEBUG,
		OPT_VERSION
	};
	static const struct option longs[] = {
	    {"foreground", no_argument, NULL, 'f'},
	    {"cores", required_argument, NULL, OPT_CORES},
	    {"engine", required_argument, NULL, OPT_ENGINE},
	    {"poll-us", required_argument, NULL, OPT_POLL},
	    {"buf-mb", required_argument, NULL, OPT_BUF},
	    {"iwarp", no_argument, NULL, OPT_IWARP},
	    {"debug", no_argument, NULL, OPT_DEBUG},
	    {"version", no_argument, NULL, OPT_VERSION},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	uint64_t mb, us;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":fh", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->foreground = true;
			break;
		case OPT_CORES:
			o->core.cores = optarg;
			break;
		case OPT_ENGINE:
			choose_engine(o, optarg);
			break;
		case OPT_POLL:
			if (!gw_str_u64(optarg, &us) || us > POLL_US_MAX)
				die_usage(optarg,
					  ": --poll-us takes a number of us within 0..10000");
			o->core.poll_us = (uint32_t)us;
			break;
		case OPT_IWARP:
			o->iwarp = true;
			break;
		case OPT_BUF:
			if (!gw_str_u64(optarg, &mb) || mb < 1 || mb > BUF_MB_MAX)
				die_usage(optarg,
					  ": --buf-mb takes a number of MiB within 1..65536");
			o->core.buf_bytes = mb << 20;
			break;
		case OPT_DEBUG:
			o->debug = true;
			break;
		case OPT_VERSION:
			printf("lichgated %s\n", LGT_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case ':':
			die_usage(argv[optind - 1], " needs a value");
		default:
			die_usage(argv[optind - 1], ": unknown option");
		}
	}
	if (optind < argc)
		die_usage(argv[optind], ": unexpected argument");
}

/* --- the process --- */

/* Ends a start that failed: the sentence has been said. The parent, if one waits, exits 1 too. */
_Noreturn static void
die(void)
{
	exit(1);
}

/*
 * The parent waits here until the child is ready or has ended, so that its exit status is the
 * truth. Before any thread.
 */
static void
detach(void)
{
	int fds[2];
	char ok = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		gw_err("cannot go to the background: error=\"%s\"", strerror(errno));
		die();
	}
	if (pid > 0) {
		close(fds[1]);
		_exit(read(fds[0], &ok, 1) == 1 && ok == 1 ? 0 : 1);
	}
	close(fds[0]);
	proc.ready_fd = fds[1];
	setsid();
}

/* From now on messages go to the journal or, where there is none, to a file in the run directory.
 */
static void
leave_terminal(void)
{
	char path[4200];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = sd_journal_stream_fd("lichgated", 6 /* LOG_INFO */, 1);

	if (log < 0) {
		snprintf(path, sizeof(path), "%s/lichgated.log", proc.run_dir);
		log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	}
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (log >= 0 || null >= 0)
		dup2(log >= 0 ? log : null, STDERR_FILENO);
	if (chdir("/") != 0)
		gw_warn("cannot change to the root directory: error=\"%s\"", strerror(errno));
}

static void
tell_ready(void)
{
	char ok = 1;

	if (proc.ready_fd >= 0) {
		leave_terminal();
		if (write(proc.ready_fd, &ok, 1) != 1)
			gw_debug("nobody waited for the start");
		close(proc.ready_fd);
	}
	sd_notify(0, "READY=1");
}

static void
make_run_dir(void)
{
	const char *dir = getenv("LGT_RUN_DIR");

	proc.run_dir = dir && *dir ? dir : RUN_DIR_DEFAULT;
	if (mkdir(proc.run_dir, 0755) != 0 && errno != EEXIST) {
		gw_err("cannot make the run directory: path=%s error=\"%s\"", proc.run_dir,
		       strerror(errno));
		die();
	}
	/* In the background the working directory is another. */
	proc.run_dir = realpath(proc.run_dir, NULL);
	if (!proc.run_dir) {
		gw_err("cannot use the run directory: path=%s error=\"%s\"", dir, strerror(errno));
		die();
	}
}

/* It need not be there yet; in the background the working directory is another. */
static void
open_pr_store(void)
{
	const char *dir = getenv("LGT_STATE_DIR");
	char here[4096] = "", path[8192];
	int rc = 0;

	if (!dir || !*dir)
		dir = STATE_DIR_DEFAULT;
	if (*dir != '/' && !getcwd(here, sizeof(here)))
		rc = -errno;
	snprintf(path, sizeof(path), "%s%s%s", here, *here ? "/" : "", dir);
	if (!rc)
		rc = pr_store_init(path);
	if (!rc)
		return;
	gw_err("cannot use the state directory: path=%s error=\"%s\"", dir, strerror(-rc));
	die();
}

/* One gateway in a run directory: whoever holds the lock of the pid file owns the sockets. */
static void
lock_pid_file(void)
{
	char text[32];
	ssize_t n;

	snprintf(proc.pid_path, sizeof(proc.pid_path), "%s/lichgated.pid", proc.run_dir);
	/* Whoever can open it, for reading only even, can hold its lock and keep us from starting.
	 */
	proc.pid_fd = open(proc.pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (proc.pid_fd < 0) {
		gw_err("cannot open the pid file: path=%s error=\"%s\"", proc.pid_path,
		       strerror(errno));
		die();
	}
	if (flock(proc.pid_fd, LOCK_EX | LOCK_NB) != 0) {
		n = read(proc.pid_fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		gw_err("another lichgated runs in this directory: path=%s pid=%s", proc.run_dir,
		       text);
		die();
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(proc.pid_fd, 0) != 0 || write(proc.pid_fd, text, (size_t)n) != n) {
		gw_err("cannot write the pid file: path=%s error=\"%s\"", proc.pid_path,
		       strerror(errno));
		die();
	}
}

/* All best effort: without privileges the defaults must do. */
static void
raise_limits(void)
{
	struct rlimit lim;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		rlim_t hard = lim.rlim_max;

		lim.rlim_cur = lim.rlim_max = FD_LIMIT;
		if (setrlimit(RLIMIT_NOFILE, &lim) != 0) {
			lim.rlim_cur = lim.rlim_max = hard;
			setrlimit(RLIMIT_NOFILE, &lim);
		}
	}
	lim.rlim_cur = lim.rlim_max = RLIM_INFINITY;
	if (setrlimit(RLIMIT_MEMLOCK, &lim) != 0 && getrlimit(RLIMIT_MEMLOCK, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &lim);
	}
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "-1000", 5) != 5)
			gw_debug("the kernel may end this process when memory is short");
		close(fd);
	}
}

/* Blocked here, before the first thread, so that every thread has them blocked and the loop reads
 * them. */
static void
set_signals(void)
{
	sigset_t set;

	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* A file larger than RLIMIT_FSIZE: the write fails, we live. */
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* --- life --- */

static void
init_all(const struct options *o)
{
	char err[400] = "";

	if (gw_cores_init(&o->core, err, sizeof(err)) != 0) {
		gw_err("cannot start: %s", err);
		die();
	}
#if LGT_RDMA
	iser_init(o->iwarp);
	gw_conf_xports(&tcp_xport, &iser_xport);
#else
	gw_conf_xports(&tcp_xport, NULL);
#endif
	if (scsi_init() != 0 || iscsi_init() != 0 || gw_conf_init() != 0) {
		gw_err("cannot start: out of memory");
		die();
	}
}

static struct gw_control *
open_control(void)
{
	struct gw_control_conf conf = {.engine = gw_cores_engine(),
				       .chap_mask = iscsi_chap_available()};
	struct gw_control *ctl;
	char path[4200], err[400] = "";

	snprintf(path, sizeof(path), "%s/gateway.sock", proc.run_dir);
	conf.path = path;
	if (gw_control_open(&conf, &ctl, err, sizeof(err)) != 0) {
		gw_err("cannot start: %s", err);
		die();
	}
	return ctl;
}

static void
on_late(int sig)
{
	static const char text[] = "lichgated: not everything ended in time, ending anyway\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(0);
	_exit(0);
}

/*
 * Whatever a hung device or a silent peer does, the process ends in END_SEC. Data that was
 * acknowledged without FUA and never flushed is in the page cache, as the write cache that was
 * reported says.
 */
static void
end_all(void)
{
	bool drained;

	sd_notify(0, "STOPPING=1");
	signal(SIGALRM, on_late);
	alarm(END_SEC);
	drained = gw_conf_drain(ASK_MS, CLOSE_MS);
	drained = iscsi_stop(ISCSI_STOP_MS) && drained;
	if (!drained) {
		gw_warn("some sessions did not end in time");
		_exit(0);
	}
	gw_conf_fini();
#if LGT_RDMA
	iser_stop();
	iser_fini();
#endif
	/* Nothing wakes the cores any more but gw_cores_fini(). */
	iscsi_fini();
	scsi_fini();
	pr_store_fini();
	gw_cores_fini();
	if (ftruncate(proc.pid_fd, 0) != 0)
		gw_debug("the pid file stays");
	gw_info("ended");
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	struct gw_control *ctl;

	gw_log_init("lichgated");
	parse_options(argc, argv, &o);
	if (o.debug)
		gw_log_level_set(GW_LOG_DEBUG);
	make_run_dir();
	if (!o.foreground)
		detach();
	lock_pid_file();
	raise_limits();
	set_signals();
	open_pr_store();
	init_all(&o);
	if (gw_cores_start() != 0) {
		gw_err("cannot start: the threads cannot be made");
		die();
	}
	ctl = open_control();
	gw_info("ready: version=%s cores=%u engine=%s run_dir=%s", LGT_VERSION, gw_ncores(),
		gw_cores_engine(), proc.run_dir);
	tell_ready();
	gw_control_run(ctl);
	gw_control_close(ctl);
	end_all();
	exit(0);
}
