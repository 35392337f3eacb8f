// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommuctl map: give a device memory, for as long as the program runs.
 *
 * There is no daemon behind it: this process has the context and the device
 * open, and when it ends the kernel takes everything back.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

#define MAX_SEGMENTS 256

/* Sizes of hugetlb pages as in <linux/memfd.h>: log2 << 26. */
#define HUGE_SHIFT 26

/* What --huge takes. */
static const struct huge {
	const char *name;
	unsigned int log2;	/* 0: transparent */
} huges[] = {
	{ "2M", 21 },
	{ "1G", 30 },
	{ "thp", 0 },
};

/* One piece of memory to map. */
struct segment {
	unsigned int given;	/* bit for each option that was given */
	__u64 size;
	__u64 iova;
	__u64 offset;
	const char *file;
	const struct huge *huge;
	bool read, write;
	int fd;			/* of the memory; -1: none to share */
	void *va;
	void *reserved;		/* what to unmap in the end, NULL: nothing */
	size_t reserved_size;
};

enum {
	OPT_SIZE = 1, OPT_IOVA, OPT_READ, OPT_WRITE, OPT_FILE, OPT_OFFSET,
	OPT_HUGE, OPT_HOLD, OPT_EXEC,
};

static const struct option_spec specs[] = {
	{ OPT_SIZE, "size", "SIZE", WORD_TEXT, NULL,
	  "bytes to map; K, M, G, T may follow" },
	{ OPT_IOVA, "iova", "ADDR", WORD_TEXT, NULL,
	  "where to map, in hex; else the kernel chooses" },
	{ OPT_READ, "read", NULL, WORD_TEXT, NULL,
	  "the device may read (default: read and write)" },
	{ OPT_WRITE, "write", NULL, WORD_TEXT, NULL,
	  "the device may write" },
	{ OPT_FILE, "file", "PATH", WORD_FILE, NULL,
	  "map this file instead of fresh memory" },
	{ OPT_OFFSET, "offset", "N", WORD_TEXT, NULL,
	  "where in the file to start" },
	{ OPT_HUGE, "huge", "KIND", WORD_TEXT, "2M 1G thp",
	  "huge pages: 2M, 1G (both hugetlb) or thp" },
	{ OPT_HOLD, "hold", NULL, WORD_TEXT, NULL,
	  "stay until SIGINT or SIGTERM (default)" },
	{ OPT_EXEC, "exec", "CMD...", WORD_COMMAND, NULL,
	  "stay while CMD runs; takes all words that follow" },
	{ 0 },
};

/* The options of this run. */
static struct {
	struct segment segments[MAX_SEGMENTS];
	int nr;
	bool hold;
	char **command;
} opts;

/* An option that the current segment has already begins the next one. */
static struct segment *segment_for(int id)
{
	struct segment *s;

	if (!opts.nr || opts.segments[opts.nr - 1].given & 1U << id) {
		if (opts.nr == MAX_SEGMENTS)
			return NULL;
		opts.segments[opts.nr++] = (struct segment){ .fd = -1 };
	}
	s = &opts.segments[opts.nr - 1];
	s->given |= 1U << id;
	return s;
}

static bool given(const struct segment *s, int id)
{
	return s->given & 1U << id;
}

static int set_size(struct cli *cli, const char *name, const char *text,
		    __u64 *ret)
{
	int rc = parse_size(text, ret);

	if (rc == -ERANGE)
		return cli_usage(cli, "--%s %s does not fit into 64 bits", name,
				 text);
	if (rc)
		return cli_usage(cli, "--%s '%s' is no size; give a number of "
				 "bytes that K, M, G or T may follow", name,
				 text);
	return 0;
}

static int option(struct cli *cli, int id, char **value)
{
	struct segment *s;
	size_t i;
	int rc;

	if (id == OPT_HOLD) {
		opts.hold = true;
		return 0;
	}
	if (id == OPT_EXEC) {
		opts.command = value;
		return 0;
	}
	s = segment_for(id);
	if (!s)
		return cli_usage(cli, "more than %d pieces of memory",
				 MAX_SEGMENTS);
	switch (id) {
	case OPT_SIZE:
		rc = set_size(cli, "size", value[0], &s->size);
		if (!rc && !s->size)
			rc = cli_usage(cli, "--size is 0, but a mapping has at "
				       "least one page");
		return rc;
	case OPT_OFFSET:
		return set_size(cli, "offset", value[0], &s->offset);
	case OPT_IOVA:
		rc = parse_address(value[0], &s->iova);
		if (rc == -ERANGE)
			return cli_usage(cli, "--iova %s does not fit into 64 "
					 "bits", value[0]);
		if (rc)
			return cli_usage(cli, "--iova '%s' is no hexadecimal "
					 "address like 0x100000", value[0]);
		return 0;
	case OPT_READ:
		s->read = true;
		return 0;
	case OPT_WRITE:
		s->write = true;
		return 0;
	case OPT_FILE:
		s->file = value[0];
		return 0;
	case OPT_HUGE:
		for (i = 0; i < ARRAY_LEN(huges); i++) {
			if (!strcmp(huges[i].name, value[0]))
				s->huge = &huges[i];
		}
		return 0;
	}
	return 0;
}

/* What can be said before anything is opened. */
static int check_segment(struct cli *cli, struct segment *s)
{
	__u64 page = sysconf(_SC_PAGESIZE);

	if (!given(s, OPT_SIZE))
		return cli_usage(cli, opts.nr > 1 ?
				 "each piece of memory needs a --size" :
				 "--size is missing");
	if (!given(s, OPT_READ) && !given(s, OPT_WRITE))
		s->read = s->write = true;
	if (given(s, OPT_OFFSET) && !s->file)
		return cli_usage(cli, "--offset goes with --file");
	if (s->file && s->huge)
		return cli_usage(cli, "--huge is for fresh memory, not for "
				 "--file; put the file on a hugetlbfs");
	if (s->offset % page)
		return cli_usage(cli, "--offset %" PRIu64 " is not a multiple "
				 "of the page size, %" PRIu64,
				 (uint64_t)s->offset, (uint64_t)page);
	if (s->huge && s->huge->log2 &&
	    s->size & ((1ULL << s->huge->log2) - 1))
		return cli_usage(cli, "--size %" PRIu64 " is not a multiple of "
				 "the huge page, %s", (uint64_t)s->size,
				 s->huge->name);
	return 0;
}

static int fail_errno(struct cli *cli, int err, const char *what)
{
	return cli_fail(cli, iommu_errno_kind(err), "%s: %s", what,
			strerror(err));
}

static int open_file(struct cli *cli, struct segment *s)
{
	struct stat st;
	__u64 end;

	s->fd = open(s->file, (s->write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (s->fd < 0)
		return fail_errno(cli, errno, s->file);
	if (fstat(s->fd, &st))
		return fail_errno(cli, errno, s->file);
	if (S_ISREG(st.st_mode) &&
	    (__builtin_add_overflow(s->offset, s->size, &end) ||
	     end > (__u64)st.st_size))
		return cli_fail(cli, IOMMU_ERROR_REFUSED,
				"%s has %" PRIu64 " bytes, but %" PRIu64
				" from offset %" PRIu64 " on are asked for; "
				"make it longer, or map less", s->file,
				(uint64_t)st.st_size, (uint64_t)s->size,
				(uint64_t)s->offset);
	return 0;
}

/* Fresh memory that CMD can have too, unless transparent huge pages. */
static int open_memory(struct cli *cli, struct segment *s)
{
	unsigned int flags = MFD_CLOEXEC;

	if (s->huge && !s->huge->log2)
		return 0;
	if (s->huge)
		flags |= MFD_HUGETLB | s->huge->log2 << HUGE_SHIFT;
	s->fd = memfd_create("iommuctl", flags);
	if (s->fd < 0 && s->huge)
		return cli_fail(cli, IOMMU_ERROR_REFUSED,
				"this kernel has no huge pages of %s: %s",
				s->huge->name, strerror(errno));
	if (s->fd < 0)
		return fail_errno(cli, errno, "memory cannot be had");
	if (s->size > INT64_MAX || ftruncate(s->fd, s->size))
		return cli_fail(cli, IOMMU_ERROR_REFUSED,
				"%" PRIu64 " bytes of memory cannot be had: %s",
				(uint64_t)s->size,
				strerror(s->size > INT64_MAX ? EFBIG : errno));
	return 0;
}

static int no_memory(struct cli *cli, const struct segment *s, int err)
{
	if (s->huge && s->huge->log2)
		return cli_fail(cli, IOMMU_ERROR_REFUSED,
				"%" PRIu64 " huge pages of %s are not free: "
				"%s; reserve them in /sys/kernel/mm/hugepages",
				(uint64_t)(s->size >> s->huge->log2),
				s->huge->name, strerror(err));
	return cli_fail(cli, IOMMU_ERROR_REFUSED,
			"%" PRIu64 " bytes of memory cannot be had: %s",
			(uint64_t)s->size, strerror(err));
}

/*
 * Get the memory, aligned so that the IOMMU can use pages as large as the size
 * allows, and at least to its granule.
 */
static int get_memory(struct cli *cli, struct segment *s, __u64 granule)
{
	__u64 page = sysconf(_SC_PAGESIZE), align = granule, room;
	int prot = PROT_READ | (s->write || !s->file ? PROT_WRITE : 0);
	int rc;

	rc = s->file ? open_file(cli, s) : open_memory(cli, s);
	if (rc)
		return rc;
	if (s->size >= 1 << 21 && align < 1 << 21)
		align = 1 << 21;
	if (s->huge && align < 1ULL << s->huge->log2)
		align = 1ULL << s->huge->log2;
	if (align < page)
		align = page;
	if (__builtin_add_overflow(s->size, page - 1, &room) ||
	    __builtin_add_overflow(room & -page, align, &room) ||
	    room > SIZE_MAX)
		return no_memory(cli, s, ENOMEM);
	s->reserved = mmap(NULL, room, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->reserved == MAP_FAILED) {
		s->reserved = NULL;
		return no_memory(cli, s, errno);
	}
	s->reserved_size = room;
	s->va = (void *)(((uintptr_t)s->reserved + align - 1) & -align);
	s->va = mmap(s->va, s->size, prot,
		     MAP_FIXED | (s->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS :
					      MAP_SHARED),
		     s->fd, s->offset);
	if (s->va == MAP_FAILED) {
		rc = errno;
		if (s->file)
			return cli_fail(cli, iommu_errno_kind(rc),
					"%s cannot be mapped: %s", s->file,
					strerror(rc));
		return no_memory(cli, s, rc);
	}
	if (s->huge && !s->huge->log2 &&
	    madvise(s->va, s->size, MADV_HUGEPAGE))
		return cli_fail(cli, IOMMU_ERROR_REFUSED,
				"this kernel has no transparent huge pages: %s",
				strerror(errno));
	return 0;
}

static void put_memory(struct segment *s)
{
	if (s->reserved)
		munmap(s->reserved, s->reserved_size);
	if (s->fd >= 0)
		close(s->fd);
}

static int map_failed(struct cli *cli, const struct live *live, __u32 ioas,
		      __u32 flags, const struct segment *s, int err)
{
	struct iommu_sys_group *group = NULL;
	struct iommu_sys_device *dev;
	struct iommu_last_error e;
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)s->va,
		.length = s->size,
		.iova = s->iova,
	};
	char text[600];

	/* The kernel's reason first: a later call could replace it. */
	iommu_map_explain(live->iommufd, &map, err, NULL, 0, &e);
	if (e.out_reason == IOMMU_REASON_ERRNO ||
	    e.out_reason == IOMMU_REASON_RESERVED) {
		if (!iommu_sys_device_get(cli->sys, cli->target, &dev)) {
			(void)iommu_sys_group_get(cli->sys, dev->group, &group);
			iommu_sys_device_free(dev);
		}
		if (group)
			iommu_map_explain(live->iommufd, &map, err,
					  group->regions, group->nr_regions,
					  &e);
		iommu_sys_group_free(group);
	}
	iommu_error_sentence(&e, cli->target, text, sizeof(text));
	return cli_fail(cli, iommu_error_kind(&e), "%s", text);
}

static int map_segment(struct cli *cli, const struct live *live, __u32 ioas,
		       struct segment *s)
{
	__u32 flags = (s->read ? IOMMU_IOAS_MAP_READABLE : 0) |
		      (s->write ? IOMMU_IOAS_MAP_WRITEABLE : 0) |
		      (given(s, OPT_IOVA) ? IOMMU_IOAS_MAP_FIXED_IOVA : 0);
	int rc = iommu_ioas_map(live->iommufd, ioas, flags, s->va, s->size,
				&s->iova);

	return rc ? map_failed(cli, live, ioas, flags, s, rc) : 0;
}

static char *cell_memory(struct json_object *row)
{
	if (get(row, "file"))
		return text_of("%s at %s", get_string(row, "file"),
			       get_string(row, "offset"));
	if (get(row, "huge"))
		return text_of("fresh, %s", get_string(row, "huge"));
	return text_of("fresh");
}

static void map_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "IOVA", cell_start }, { "LAST", cell_last },
		{ "SIZE", cell_size }, { "ACCESS", cell_access },
		{ "MEMORY", cell_memory },
	};

	fprintf(f, "device %s, IOAS %s, process %s\n",
		get_string(doc, "device"), get_string(doc, "ioas"),
		get_string(doc, "pid"));
	print_table(f, "", get(doc, "areas"), columns, ARRAY_LEN(columns));
	if (get_bool(doc, "hold"))
		fputs("held until SIGINT or SIGTERM\n", f);
}

static int output(struct cli *cli, const char *device, __u32 ioas)
{
	struct json_object *doc = new_document(), *array, *area;
	const struct segment *s;
	int i;

	add_string(doc, "device", device);
	add_number(doc, "ioas", ioas);
	add_number(doc, "pid", getpid());
	add(doc, "hold", json_object_new_boolean(!opts.command));
	array = add_array(doc, "areas");
	for (i = 0; i < opts.nr; i++) {
		struct iommu_area_info info;

		s = &opts.segments[i];
		info = (struct iommu_area_info){
			.iova = s->iova,
			.length = s->size,
			.user_va = (uintptr_t)s->va,
			.flags = (s->read ? IOMMU_IOAS_MAP_READABLE : 0) |
				 (s->write ? IOMMU_IOAS_MAP_WRITEABLE : 0),
			.source = IOMMU_AREA_SOURCE_USER,
		};
		area = iommu_json_area(&info);
		append(array, area);
		add_string(area, "file", s->file);
		if (s->file)
			add_number(area, "offset", s->offset);
		else
			add_null(area, "offset");
		add_string(area, "huge", s->huge ? s->huge->name : NULL);
	}
	/* With CMD, standard output is CMD's. */
	return cli_output_to(cli, doc, opts.command ? stderr : stdout);
}

/* A variable with a number for each segment, by blanks. */
static void set_list(const char *name, char *(*fn)(const struct segment *s))
{
	char *all = text_of("%s", ""), *one, *more;
	int i;

	for (i = 0; i < opts.nr; i++) {
		one = fn(&opts.segments[i]);
		more = text_of("%s%s%s", all, i ? " " : "", one);
		free(one);
		free(all);
		all = more;
	}
	setenv(name, all, 1);
	free(all);
}

static char *iova_of(const struct segment *s)
{
	return text_of("0x%" PRIx64, (uint64_t)s->iova);
}

static char *length_of(const struct segment *s)
{
	return text_of("%" PRIu64, (uint64_t)s->size);
}

static char *memory_of(const struct segment *s)
{
	return text_of("%d", s->fd);
}

static void set_number(const char *name, int value)
{
	char *text = text_of("%d", value);

	setenv(name, text, 1);
	free(text);
}

static void inherit(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

/* In the child. Exit codes of a command that cannot run are the shell's. */
static void run_command(struct cli *cli, const struct live *live, __u32 ioas,
			const sigset_t *signals)
{
	int i, err;

	set_list("IOMMU_IOVA", iova_of);
	set_list("IOMMU_LENGTH", length_of);
	set_list("IOMMU_MEMORY_FD", memory_of);
	setenv("IOMMU_DEVICE", cli->target, 1);
	set_number("IOMMU_FD", live->iommufd);
	set_number("IOMMU_DEVICE_FD", live->devfd);
	set_number("IOMMU_DEVICE_ID", live->dev_id);
	set_number("IOMMU_IOAS", ioas);
	inherit(live->iommufd);
	inherit(live->devfd);
	for (i = 0; i < opts.nr; i++)
		inherit(opts.segments[i].fd);
	sigprocmask(SIG_SETMASK, signals, NULL);
	execvp(opts.command[0], opts.command);
	err = errno;
	cli_fail(cli, IOMMU_ERROR_OTHER, "%s cannot be run: %s",
		 opts.command[0], strerror(err));
	_exit(err == ENOENT ? 127 : 126);
}

/* Wait for CMD; SIGTERM and SIGHUP go to it, SIGINT it gets from the tty. */
static int wait_command(pid_t pid, const sigset_t *set)
{
	int status, sig;

	for (;;) {
		if (sigwait(set, &sig))
			continue;
		if (sig == SIGTERM || sig == SIGHUP)
			kill(pid, sig);
		if (sig == SIGCHLD && waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

static int hold(struct cli *cli, const struct live *live, __u32 ioas)
{
	sigset_t set, before;
	struct sigaction hup;
	int sig, rc;
	pid_t pid;

	/*
	 * Blocked before anything is printed: who reads that may send a signal
	 * at once. Until then a signal just ends the program.
	 */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	/* Under nohup(1), SIGHUP is to be ignored. */
	if (sigaction(SIGHUP, NULL, &hup) || hup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	/* Inherited from the parent it may be ignored, and never come. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &before);
	rc = output(cli, cli->target, ioas);
	if (rc)
		return rc;
	if (!opts.command) {
		sigdelset(&set, SIGCHLD);
		while (sigwait(&set, &sig))
			;
		return 0;
	}
	pid = fork();
	if (pid < 0)
		return fail_errno(cli, errno, "no process can be started");
	if (!pid)
		run_command(cli, live, ioas, &before);
	return wait_command(pid, &set);
}

static int map_and_hold(struct cli *cli, struct live *live)
{
	struct iommu_iova_range *ranges;
	struct live_error why;
	__u32 ioas, pt, nr;
	__u64 granule;
	int rc, i;

	rc = iommu_ioas_alloc(live->iommufd, &ioas);
	if (!rc) {
		pt = ioas;
		rc = iommu_vfio_attach(live->devfd, &pt);
	}
	if (!rc)
		rc = iommu_ioas_iova_ranges(live->iommufd, ioas, &ranges, &nr,
					    &granule);
	if (rc) {
		live_why(live, rc, cli->target, &why);
		return cli_fail(cli, why.kind, "the device cannot be attached "
				"to an address space: %s", why.text);
	}
	free(ranges);
	for (i = 0; i < opts.nr; i++) {
		rc = get_memory(cli, &opts.segments[i], granule);
		if (!rc)
			rc = map_segment(cli, live, ioas, &opts.segments[i]);
		if (rc)
			return rc;
	}
	return hold(cli, live, ioas);
}

static int map(struct cli *cli, int argc, char **argv)
{
	struct iommu_sys_device *dev;
	struct live_error err;
	struct live live;
	int rc, i;

	(void)argc;
	if (!opts.nr)
		segment_for(OPT_HOLD);
	if (opts.hold && opts.command)
		return cli_usage(cli, "--hold and --exec exclude each other");
	for (i = 0; i < opts.nr; i++) {
		rc = check_segment(cli, &opts.segments[i]);
		if (rc)
			return rc;
	}
	rc = cli_device(cli, argv[0], &dev);
	if (rc)
		return rc;
	if (live_open(cli, dev, &live, &err)) {
		rc = cli_fail(cli, err.kind, "%s", err.text);
	} else {
		rc = map_and_hold(cli, &live);
		live_close(&live);
	}
	for (i = 0; i < opts.nr; i++)
		put_memory(&opts.segments[i]);
	iommu_sys_device_free(dev);
	return rc;
}

const struct verb map_verbs[] = {
	{
		.verb = "map",
		.args = "DEVICE", .min = 1, .max = 1, .word = WORD_DEVICE,
		.options = specs, .option = option,
		.run = map, .text = map_text,
		.help = "Map memory for a device and hold it",
		.more = "Options that are repeated describe the next piece of "
			"memory.",
	},
	{ 0 },
};
