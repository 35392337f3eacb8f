// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of the test VM: makes the host's root file system the guest's, runs
 * one command in it and reports what the command said and how it ended.
 *
 * tools/vm puts three directories into the VM over 9p: "root" (the host's /,
 * read only), "ctl" (the conversation between us two) and, if asked for,
 * "share" (writable). In "ctl" lie
 *
 *   config, argv, env   written by tools/vm, lists of NUL-terminated strings
 *   modules/            extra/ and an index for modprobe, laid over lib/modules;
 *                       read through "root", which is cached
 *   system/             for --system: laid over the host's files, exported by
 *                       itself as "over"
 *   report              ours: frames of {type, length, data}, see enum frame
 *   dmesg               ours: the kernel's log at the end
 *   alive               ours: written each second
 *
 * A file over 9p is used instead of a serial line because it changes no byte
 * and every kernel we boot has it, debug kernels included.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Where tools/vm puts QEMU's isa-debug-exit, and what a clean end writes. */
#define EXIT_PORT 0xf4
#define EXIT_DONE 0x10
/* Where there are no ports, the machine powers off. */
#ifdef __x86_64__
#define HAS_EXIT_PORT true
#else
#define HAS_EXIT_PORT false
#endif

/* In the initramfs: out of the command's reach. */
#define CTL "/ctl"
#define P9_OPTIONS "trans=virtio,version=9p2000.L,msize=512000,"

/* systemd's: by root, it needs no bus. Its signal for an orderly shutdown. */
#define SYSTEMD "/lib/systemd/systemd"
#define SYSTEMD_SOCKET "/run/systemd/private"
#define SYSTEMD_POWER_OFF (SIGRTMIN + 4)

/* Read by tools/vm. */
enum frame {
	FRAME_STDOUT = 1,
	FRAME_STDERR = 2,
	FRAME_STATUS = 3,	/* data: the exit status in decimal */
	FRAME_FAILED = 4,	/* data: why the command could not be run */
	FRAME_STARTED = 5,	/* no data: the command is about to run */
	FRAME_LOADING = 6,	/* no data: modules of ours are about to be */
};

static int report_fd = -1, dmesg_fd = -1, alive_fd = -1, port_fd = -1;

/* The roots of what is mounted over 9p. */
static int servers[4];
static unsigned int nr_servers;

static void write_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		length -= n;
	}
}

static void report(enum frame type, const char *data, uint32_t length)
{
	static char frame[1 + sizeof(length) + 65536];

	frame[0] = type;
	memcpy(frame + 1, &length, sizeof(length));
	memcpy(frame + 1 + sizeof(length), data, length);
	write_all(report_fd, frame, 1 + sizeof(length) + length);
}

static void log_kernel(const char *message)
{
	int fd = open("/dev/kmsg", O_WRONLY);

	if (fd >= 0) {
		dprintf(fd, "<3>granule-vm: %s\n", message);
		close(fd);
	}
}

static void __attribute__((noreturn)) finish(void)
{
	const char done = EXIT_DONE;

	/* Not by ioperm(), which not every kernel has. */
	if (HAS_EXIT_PORT && pwrite(port_fd, &done, 1, EXIT_PORT) < 0)
		log_kernel("cannot write to /dev/port");
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	log_kernel(message);
	if (report_fd >= 0)
		report(FRAME_FAILED, message, strlen(message));
	finish();
}

static void make_path(const char *path)
{
	char part[PATH_MAX];
	char *slash = part;

	snprintf(part, sizeof(part), "%s", path);
	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		mkdir(part, 0755);
		*slash = '/';
	}
	mkdir(part, 0755);
}

static void mount_or_fail(const char *source, const char *target,
			  const char *type, unsigned long flags,
			  const char *options)
{
	make_path(target);
	if (mount(source, target, type, flags, options))
		fail("cannot mount %s (%s) on %s: %s", source, type, target,
		     strerror(errno));
}

/* The modules that the root file system needs, named in loading order. */
static void load_boot_modules(void)
{
	char path[64];
	int i, fd;

	for (i = 0; ; i++) {
		snprintf(path, sizeof(path), "/modules/%02d.ko", i);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
			fail("cannot load %s of the initramfs: %s", path,
			     strerror(errno));
		close(fd);
	}
}

/* Strings of a file of NUL-terminated strings, NULL at the end. */
static char **read_list(const char *path)
{
	char *text = NULL, **list = NULL;
	size_t size = 0, count = 0, at;
	FILE *f = fopen(path, "r");

	if (!f)
		fail("cannot read %s: %s", path, strerror(errno));
	for (;;) {
		text = realloc(text, size + 65536);
		if (!text)
			fail("out of memory");
		at = fread(text + size, 1, 65536, f);
		if (!at)
			break;
		size += at;
	}
	fclose(f);
	for (at = 0; at < size; at += strlen(text + at) + 1) {
		list = realloc(list, (count + 2) * sizeof(*list));
		if (!list)
			fail("out of memory");
		list[count++] = text + at;
	}
	if (!list)
		list = calloc(1, sizeof(*list));
	else
		list[count] = NULL;
	return list;
}

/* Value of the first "KEY=..." in a list. */
static const char *list_value(char **list, const char *key)
{
	size_t length = strlen(key);

	for (; *list; list++)
		if (!strncmp(*list, key, length) && (*list)[length] == '=')
			return *list + length + 1;
	return NULL;
}

static const struct {
	const char *type, *target, *options;
	unsigned long flags;
	bool optional;
} guest_mounts[] = {
	{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
	{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false },
	{ "cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV, false },
	{ "debugfs", "/sys/kernel/debug", NULL, MS_NOSUID | MS_NODEV, false },
	{ "tracefs", "/sys/kernel/tracing", NULL, MS_NOSUID | MS_NODEV, true },
	{ "devtmpfs", "/dev", NULL, MS_NOSUID, false },
	{ "devpts", "/dev/pts", "ptmxmode=0666,mode=0620", MS_NOSUID, false },
	{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, false },
	{ "hugetlbfs", "/dev/hugepages", NULL, MS_NOSUID | MS_NODEV, true },
	{ "tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV, false },
};

static const struct {
	const char *target, *name;
} dev_links[] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

static void mount_9p(const char *source, const char *target,
		     unsigned long flags, const char *options)
{
	int fd;

	mount_or_fail(source, target, "9p", flags, options);
	fd = open(target, O_PATH | O_CLOEXEC);
	if (fd >= 0 && nr_servers < ARRAY_SIZE(servers))
		servers[nr_servers++] = fd;
}

/*
 * QEMU loses a notification of a busy host's guest now and then: a request that
 * its file server has not seen, or an answer that the guest has not. The next
 * one of the same server brings both to light, so there is always a next one,
 * by two who ask. It tells tools/vm as well that time goes by here.
 */
static void *ask_servers(void *unused)
{
	struct statfs answer;
	unsigned int i;

	(void)unused;
	for (;; sleep(1)) {
		for (i = 0; i < nr_servers; i++)
			fstatfs(servers[i], &answer);
		if (pwrite(alive_fd, "", 1, 0) < 0)
			break;
	}
	return NULL;
}

/* Of each CPU's keeper, an eventfd by which others wake it. */
static int pokes[8];
static unsigned int nr_cpus;

/*
 * In the same way QEMU loses what should wake a CPU that has nothing to do: its
 * timer, or word of a task that it should run. So each has a keeper, which wakes
 * the other CPUs when it was not woken itself for a second.
 */
static void *keep_cpu(void *number)
{
	unsigned int cpu = (uintptr_t)number, i;
	struct pollfd poke = { .fd = pokes[cpu], .events = POLLIN };
	uint64_t count;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (;;) {
		if (poll(&poke, 1, 1000) > 0) {
			if (read(poke.fd, &count, sizeof(count)) < 0)
				return NULL;
			continue;
		}
		count = 1;
		for (i = 0; i < nr_cpus; i++)
			if (i != cpu && write(pokes[i], &count,
					      sizeof(count)) < 0)
				return NULL;
	}
}

static void start_thread(void *(*fn)(void *arg), unsigned int number)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, (void *)(uintptr_t)number))
		fail("cannot start a thread");
}

static void keep_asking(void)
{
	sigset_t all, old;
	unsigned int i;

	nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nr_cpus > ARRAY_SIZE(pokes))
		nr_cpus = ARRAY_SIZE(pokes);
	for (i = 0; i < nr_cpus; i++) {
		pokes[i] = eventfd(0, EFD_CLOEXEC);
		if (pokes[i] < 0)
			fail("cannot make an eventfd: %s", strerror(errno));
	}
	/* Signals are for the thread that waits for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	start_thread(ask_servers, 0);
	start_thread(ask_servers, 1);
	for (i = 0; nr_cpus > 1 && i < nr_cpus; i++)
		start_thread(keep_cpu, i);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void open_ctl(void)
{
	mount_9p("ctl", CTL, 0, P9_OPTIONS "cache=none");
	report_fd = open(CTL "/report", O_WRONLY | O_APPEND | O_CLOEXEC);
	dmesg_fd = open(CTL "/dmesg", O_WRONLY | O_APPEND | O_CLOEXEC);
	alive_fd = open(CTL "/alive", O_WRONLY | O_CLOEXEC);
	if (report_fd < 0 || dmesg_fd < 0 || alive_fd < 0)
		fail("cannot open the report: %s", strerror(errno));
}

/* @lower, with what the guest writes going to a place called @name. */
static void mount_overlay(const char *lower, const char *target,
			  const char *name)
{
	char upper[64], work[64], options[2 * PATH_MAX + 256];

	snprintf(upper, sizeof(upper), "/rw/%s/upper", name);
	snprintf(work, sizeof(work), "/rw/%s/work", name);
	make_path(upper);
	make_path(work);
	snprintf(options, sizeof(options),
		 "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
	mount_or_fail(name, target, "overlay", 0, options);
}

/*
 * The host's files below a tmpfs that takes what the guest writes. @over:
 * NULL, or those directories, separated by blanks, in which the host's files
 * are hidden by those that tools/vm lays over all of them.
 */
static void mount_root(const char *over)
{
	char directories[1024], lower[128], target[128], name[16];
	const char *directory;
	int i = 0;

	mount_9p("root", "/host", MS_RDONLY, P9_OPTIONS "cache=loose");
	mount_or_fail("tmpfs", "/rw", "tmpfs", 0, "mode=0755,size=75%");
	if (!over) {
		mount_overlay("/host", "/new", "overlay");
		return;
	}
	mount_9p("over", "/over", MS_RDONLY, P9_OPTIONS "cache=loose");
	mount_overlay("/over:/host", "/new", "overlay");
	snprintf(directories, sizeof(directories), "%s", over);
	for (directory = strtok(directories, " "); directory;
	     directory = strtok(NULL, " ")) {
		snprintf(lower, sizeof(lower), "/over%s", directory);
		snprintf(target, sizeof(target), "/new%s", directory);
		snprintf(name, sizeof(name), "over-%d", i++);
		mount_overlay(lower, target, name);
	}
}

/*
 * lib/modules of this kernel, our own modules and their index on top.
 * @extra: our modules directory, @base: the kernel's or NULL; host's paths.
 */
static void mount_modules(const char *extra, const char *base)
{
	char target[128], lower[2 * PATH_MAX];
	struct utsname name;

	uname(&name);
	snprintf(target, sizeof(target), "/new/lib/modules/%s", name.release);
	snprintf(lower, sizeof(lower), "/host%s%s%s", extra,
		 base ? ":/host" : "", base ?: "");
	mount_overlay(lower, target, "modules");
}

static void enter_root(void)
{
	if (chdir("/new") || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		fail("cannot enter the root file system: %s", strerror(errno));
}

static void mount_guest(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(guest_mounts); i++) {
		make_path(guest_mounts[i].target);
		if (mount(guest_mounts[i].type, guest_mounts[i].target,
			  guest_mounts[i].type, guest_mounts[i].flags,
			  guest_mounts[i].options) &&
		    !guest_mounts[i].optional)
			fail("cannot mount %s on %s: %s", guest_mounts[i].type,
			     guest_mounts[i].target, strerror(errno));
	}
	for (i = 0; i < ARRAY_SIZE(dev_links); i++)
		if (symlink(dev_links[i].target, dev_links[i].name) &&
		    errno != EEXIST)
			fail("cannot make %s: %s", dev_links[i].name,
			     strerror(errno));
	make_path("/run/lock");
}

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		fail("cannot raise lo: %s", strerror(errno));
	close(fd);
}

/* Exit status as a shell has it: 128 and more for a signal. */
static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* "load" is a list of modules, separated by blanks. */
static void load_modules(const char *load, char **env)
{
	char command[1024], message[256];
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	report(FRAME_LOADING, "", 0);
	snprintf(command, sizeof(command), "exec modprobe -a -- %s", load);
	if (pipe2(pipes, O_CLOEXEC))
		fail("cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDERR_FILENO);
		execle("/bin/sh", "sh", "-c", command, NULL, env);
		_exit(127);
	}
	close(pipes[1]);
	n = read(pipes[0], message, sizeof(message) - 1);
	message[n > 0 ? n : 0] = '\0';
	close(pipes[0]);
	while (waitpid(pid, &status, 0) != pid)
		;
	if (status)
		fail("cannot load modules (%s), status %d: %s", load,
		     exit_status(status), message);
	/* What udev's rule does on a real system. */
	chmod("/dev/iommu", 0660);
}

/* Never returns: becomes the command. @tty: its terminal, or NULL. */
static void become_command(char **config, char **argv, char **env,
			   const char *tty, int out, int err)
{
	const char *cwd = list_value(config, "cwd");
	const char *path = list_value(env, "PATH");
	const char *lines = list_value(config, "lines");
	const char *columns = list_value(config, "columns");
	struct winsize size = { 0 };
	sigset_t none;
	int in;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	in = open(tty ?: "/dev/null", O_RDWR);
	if (tty) {
		ioctl(in, TIOCSCTTY, 1);
		size.ws_row = atoi(lines ?: "24");
		size.ws_col = atoi(columns ?: "80");
		ioctl(in, TIOCSWINSZ, &size);
		out = err = in;
	}
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	if (in > STDERR_FILENO)
		close(in);
	if (chdir(cwd)) {
		dprintf(STDERR_FILENO, "granule-vm: cannot enter %s: %s\n",
			cwd, strerror(errno));
		_exit(126);
	}
	/* execvpe() searches the PATH of the caller. */
	if (path)
		setenv("PATH", path, 1);
	execvpe(argv[0], argv, env);
	dprintf(STDERR_FILENO, "granule-vm: cannot run %s: %s\n", argv[0],
		strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Passes on what is there; false at the end of the file. */
static bool relay(int fd, enum frame type)
{
	char data[65536];
	ssize_t n = read(fd, data, sizeof(data));

	if (n > 0)
		report(type, data, n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Buries whoever died; true if @pid is among them, with its @status. */
static bool reap(int signals, pid_t pid, int *status)
{
	struct signalfd_siginfo info;
	bool found = false;
	pid_t dead;
	int how;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while ((dead = waitpid(-1, &how, WNOHANG)) > 0) {
		if (dead != pid)
			continue;
		*status = how;
		found = true;
	}
	return found;
}

static int run_command(char **config, char **argv, char **env, bool kill_rest)
{
	enum { OUT, ERR, SIGNALS, FDS };
	const char *tty = list_value(config, "tty");
	int out[2], err[2], status = 0, i;
	struct pollfd fds[FDS];
	bool running = true;
	sigset_t child;
	pid_t pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	fds[SIGNALS].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fds[SIGNALS].fd < 0 || pipe2(out, O_CLOEXEC) ||
	    pipe2(err, O_CLOEXEC))
		fail("cannot make a pipe: %s", strerror(errno));
	report(FRAME_STARTED, "", 0);
	pid = fork();
	if (!pid)
		become_command(config, argv, env, tty, out[1], err[1]);
	if (pid < 0)
		fail("cannot fork: %s", strerror(errno));
	close(out[1]);
	close(err[1]);
	fds[OUT].fd = out[0];
	fds[ERR].fd = err[0];
	for (i = 0; i < FDS; i++)
		fds[i].events = POLLIN;

	/*
	 * Once the command has ended, so does everything else if @kill_rest,
	 * and what is left in the pipes is passed on.
	 */
	for (;;) {
		int ready = poll(fds, FDS, running ? -1 : 0);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			break;
		if (fds[OUT].revents && !relay(out[0], FRAME_STDOUT))
			fds[OUT].fd = -1;
		if (fds[ERR].revents && !relay(err[0], FRAME_STDERR))
			fds[ERR].fd = -1;
		if (fds[SIGNALS].revents &&
		    reap(fds[SIGNALS].fd, pid, &status)) {
			if (kill_rest)
				kill(-1, SIGKILL);
			running = false;
			fds[SIGNALS].fd = -1;
		}
	}
	return exit_status(status);
}

/* One line per record, as dmesg(1) prints it. */
static void save_kernel_log(void)
{
	int in = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	FILE *out = fdopen(dmesg_fd, "w");
	unsigned long long usec;
	char record[8192];
	char *text;
	ssize_t n;

	if (in < 0 || !out)
		fail("cannot save the kernel's log: %s", strerror(errno));
	for (;;) {
		n = read(in, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text || sscanf(record, "%*u,%*u,%llu", &usec) != 1)
			continue;
		text++;
		text[strcspn(text, "\n")] = '\0';
		fprintf(out, "[%5llu.%06llu] %s\n", usec / 1000000,
			usec % 1000000, text);
	}
	fclose(out);
	close(in);
}

/* Lockdep goes silent after its first report and after an overflow. */
static void check_lockdep(void)
{
	FILE *f = fopen("/proc/lockdep_stats", "r");
	char line[256];
	int on;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " debug_locks: %d", &on) == 1 && !on)
			log_kernel("BUG: lockdep has switched itself off");
	fclose(f);
}

/*
 * Become systemd, all but a child that goes on as what we were. That returns
 * when the system is up, whatever became of its units.
 */
static void start_system(char **env)
{
	int status, i;
	pid_t pid;

	/* It loads what is there to be loaded. */
	report(FRAME_LOADING, "", 0);
	pid = fork();
	if (pid < 0)
		fail("cannot fork: %s", strerror(errno));
	if (pid) {
		execl(SYSTEMD, SYSTEMD, NULL);
		fail("cannot run " SYSTEMD ": %s", strerror(errno));
	}
	setsid();
	for (i = 0; access(SYSTEMD_SOCKET, F_OK); i++) {
		if (i == 30000)
			fail("systemd does not come up");
		usleep(10000);
	}
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execle("/bin/systemctl", "systemctl", "is-system-running",
		       "--wait", NULL, env);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) != pid)
		;
	if (exit_status(status) == 127)
		fail("there is no systemctl");
}

/* All drivers shut their devices down, whatever is going on. */
static void __attribute__((noreturn)) power_off(bool system)
{
	if (system && !kill(1, SYSTEMD_POWER_OFF))
		for (;;)
			pause();
	reboot(RB_POWER_OFF);
	fail("cannot power off: %s", strerror(errno));
}

int main(void)
{
	const char *extra, *share, *load, *end;
	char **config, **argv, **env, number[16];
	bool system;
	int status;

	umask(0022);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	port_fd = open("/dev/port", O_WRONLY | O_CLOEXEC);
	load_boot_modules();
	open_ctl();
	config = read_list(CTL "/config");
	argv = read_list(CTL "/argv");
	env = read_list(CTL "/env");
	extra = list_value(config, "extra");
	if (!argv[0] || !extra || !list_value(config, "cwd"))
		fail("tools/vm left out something of the configuration");

	system = list_value(config, "system");
	mount_root(list_value(config, "over"));
	mount_modules(extra, list_value(config, "modules"));
	enter_root();
	mount_guest();
	share = list_value(config, "share");
	if (share)
		mount_9p("share", share, 0, P9_OPTIONS "cache=mmap");
	sethostname("granule-vm", strlen("granule-vm"));
	raise_loopback();
	/* Before systemd, it would be a thread of systemd's process. */
	if (!system)
		keep_asking();
	load = list_value(config, "load");
	if (load)
		load_modules(load, env);
	if (system) {
		start_system(env);
		keep_asking();
	}

	end = list_value(config, "end");
	status = run_command(config, argv, env, !end && !system);

	check_lockdep();
	save_kernel_log();
	snprintf(number, sizeof(number), "%d", status);
	report(FRAME_STATUS, number, strlen(number));
	if (end)
		power_off(system);
	finish();
}
