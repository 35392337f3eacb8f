// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommuctl map: give a device memory, for as long as the program runs.
 *
 * There is no daemon behind it: this process has the context and the device
 * open, and when it ends the kernel takes everything back. With --region it is
 * the daemon that maps memory of its own: region.c.
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

/* What --huge takes. */
static const struct huge {
	const char *name;
	enum iommu_memory_kind kind;
	__u64 size;		/* of hugetlb pages */
} huges[] = {
	{ "2M", IOMMU_MEMORY_HUGETLB, 1ULL << 21 },
	{ "1G", IOMMU_MEMORY_HUGETLB, 1ULL << 30 },
	{ "thp", IOMMU_MEMORY_THP, 0 },
};

/* What --memory takes, by the names of the library. */
static const enum iommu_memory_kind kinds[] = {
	IOMMU_MEMORY_ANONYMOUS, IOMMU_MEMORY_THP, IOMMU_MEMORY_HUGETLB,
	IOMMU_MEMORY_BUFFER,
};

/* One piece of memory to map. */
struct segment {
	unsigned int given;	/* bit for each option that was given */
	__u64 size;
	__u64 iova;
	__u64 offset;
	const char *file;
	const struct huge *huge;
	enum iommu_memory_kind kind;	/* of fresh memory */
	bool chosen;		/* kind is our choice, not the user's */
	bool read, write;
	void *va;
	struct iommu_memory memory;	/* fresh memory */
	int file_fd;		/* -1: none */
};

enum {
	OPT_SIZE = 1, OPT_IOVA, OPT_READ, OPT_WRITE, OPT_FILE, OPT_OFFSET,
	OPT_HUGE, OPT_MEMORY, OPT_GRANULE, OPT_HOLD, OPT_EXEC,
	OPT_PROGRESS, OPT_REGION,
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
	{ OPT_MEMORY, "memory", "KIND", WORD_TEXT,
	  "anonymous thp hugetlb buffer",
	  "kind of memory: anonymous, thp, hugetlb or buffer" },
	{ OPT_HUGE, "huge", "KIND", WORD_TEXT, "2M 1G thp",
	  "huge pages: 2M, 1G (both hugetlb) or thp" },
	{ OPT_GRANULE, "granule", "SIZE", WORD_TEXT, NULL,
	  "smallest page to allow in the IOAS (16K, 64K, ...)" },
	{ OPT_PROGRESS, "progress", NULL, WORD_TEXT, NULL,
	  "tell how far it is, where standard error is no terminal" },
	{ OPT_HOLD, "hold", NULL, WORD_TEXT, NULL,
	  "stay until SIGINT or SIGTERM (default)" },
	{ OPT_EXEC, "exec", "CMD...", WORD_COMMAND, NULL,
	  "stay while CMD runs; takes all words that follow" },
	{ OPT_REGION, "region", "REGION", WORD_TEXT, NULL,
	  "for an IOAS: NAME=SIZE@IOVA[,huge=SIZE][,access=WHAT]" },
	{ 0 },
};

/* The options of this run. */
static struct {
	struct segment segments[MAX_SEGMENTS];
	int nr;
	bool hold;
	bool progress;
	char **command;
	__u64 granule;		/* 0: the IOMMU's */
	struct json_object *regions;	/* of a named IOAS; NULL: none given */
} opts;

/* An option that the current segment has already begins the next one. */
static struct segment *segment_for(int id)
{
	struct segment *s;

	if (!opts.nr || opts.segments[opts.nr - 1].given & 1U << id) {
		if (opts.nr == MAX_SEGMENTS)
			return NULL;
		opts.segments[opts.nr++] = (struct segment){
			.memory.fd = -1,
			.file_fd = -1,
		};
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
	if (id == OPT_PROGRESS) {
		opts.progress = true;
		return 0;
	}
	if (id == OPT_EXEC) {
		opts.command = value;
		return 0;
	}
	if (id == OPT_REGION) {
		if (!opts.regions)
			opts.regions = new_parameters();
		return region_option(cli, opts.regions, value[0]);
	}
	if (id == OPT_GRANULE) {
		rc = set_size(cli, "granule", value[0], &opts.granule);
		if (!rc && (!opts.granule || opts.granule & (opts.granule - 1)))
			rc = cli_usage(cli, "--granule %s is no power of two",
				       value[0]);
		return rc;
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
	case OPT_MEMORY:
		for (i = 0; i < ARRAY_LEN(kinds); i++) {
			if (!strcmp(iommu_memory_kind_name(kinds[i]), value[0]))
				s->kind = kinds[i];
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
	if (s->file && given(s, OPT_MEMORY))
		return cli_usage(cli, "--memory is for fresh memory, not for "
				 "--file");
	if (s->huge && given(s, OPT_MEMORY) && s->kind != s->huge->kind)
		return cli_usage(cli, "--huge %s and --memory %s exclude each "
				 "other", s->huge->name,
				 iommu_memory_kind_name(s->kind));
	if (s->huge)
		s->kind = s->huge->kind;
	s->chosen = !s->file && !s->huge && !given(s, OPT_MEMORY);
	if (s->offset % page)
		return cli_usage(cli, "--offset %" PRIu64 " is not a multiple "
				 "of the page size, %" PRIu64,
				 (uint64_t)s->offset, (uint64_t)page);
	if (s->huge && s->huge->size && s->size & (s->huge->size - 1))
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

	s->file_fd = open(s->file, (s->write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (s->file_fd < 0)
		return fail_errno(cli, errno, s->file);
	if (fstat(s->file_fd, &st))
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

/*
 * The file's pages, aligned so that the IOMMU can use pages as large as the
 * size allows, and at least to its granule.
 */
static int get_file(struct cli *cli, struct segment *s, __u64 granule)
{
	__u64 align = s->size >= 1 << 21 && granule < 1 << 21 ? 1 << 21 :
								granule;
	int rc = open_file(cli, s);

	if (rc)
		return rc;
	rc = iommu_map_aligned(s->size, align,
			       PROT_READ | (s->write ? PROT_WRITE : 0),
			       MAP_SHARED, s->file_fd, s->offset, &s->va);
	return rc ? cli_fail(cli, iommu_errno_kind(rc),
			     "%s cannot be mapped: %s", s->file,
			     strerror(-rc)) : 0;
}

/* Fresh memory of the kind in @s; -1 and @why. */
static int get_fresh(const struct live *live, __u32 ioas, struct segment *s,
		     __u64 granule, struct iommu_why *why)
{
	struct iommu_memory_want want = {
		.kind = s->kind,
		.length = s->size,
		.granule = granule,
		.huge = s->huge ? s->huge->size : 0,
		.iommufd = live->iommufd,
		.ioas_id = ioas,
	};

	if (iommu_memory_get(&want, &s->memory, why))
		return -1;
	s->va = s->memory.va;
	return 0;
}

static void put_memory(const struct live *live, struct segment *s)
{
	if (s->file && s->va)
		munmap(s->va, s->size);
	if (s->file_fd >= 0)
		close(s->file_fd);
	iommu_memory_put(live->iommufd, &s->memory);
	s->va = NULL;
	s->file_fd = -1;
}

/* What to do with the options about memory that is not contiguous. */
static const char *hint(const struct segment *s)
{
	if (s->file)
		return "; as to --file, put it on a hugetlbfs";
	if (s->kind == IOMMU_MEMORY_THP)
		return "; no huge page was free, or they are switched off in "
		       "/sys/kernel/mm/transparent_hugepage/enabled";
	return "; that is --memory hugetlb, thp or buffer";
}

static int map_failed(struct cli *cli, const struct live *live, __u32 ioas,
		      __u32 flags, const struct segment *s, bool again, int err)
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
	if (e.out_reason == IOMMU_REASON_NOT_CONTIGUOUS && again)
		return -1;
	iommu_error_sentence(&e, cli->target, text, sizeof(text));
	return cli_fail(cli, iommu_error_kind(&e), "%s%s", text,
			e.out_reason == IOMMU_REASON_NOT_CONTIGUOUS ?
				hint(s) : "");
}

/* An exit code; -1 when the memory will not do and there is @again. */
static int map_segment(struct cli *cli, const struct live *live, __u32 ioas,
		       struct segment *s, bool again)
{
	__u32 flags = (s->read ? IOMMU_IOAS_MAP_READABLE : 0) |
		      (s->write ? IOMMU_IOAS_MAP_WRITEABLE : 0) |
		      (given(s, OPT_IOVA) ? IOMMU_IOAS_MAP_FIXED_IOVA : 0);
	int rc = iommu_ioas_map(live->iommufd, ioas, flags, s->va, s->size,
				&s->iova);

	return rc ? map_failed(cli, live, ioas, flags, s, again, rc) : 0;
}

/*
 * Fresh memory for an IOMMU whose page is larger than the CPU's, best kind
 * first. A command is to have the memory too, which THP cannot be shared for.
 */
static int choose_and_map(struct cli *cli, const struct live *live, __u32 ioas,
			  struct segment *s, __u64 granule)
{
	static const enum iommu_memory_kind order[2][2] = {
		{ IOMMU_MEMORY_THP, IOMMU_MEMORY_BUFFER },
		{ IOMMU_MEMORY_BUFFER, IOMMU_MEMORY_THP },
	};
	struct iommu_why why;
	int rc, i;

	for (i = 0; ; i++) {
		s->kind = order[!!opts.command][i];
		rc = get_fresh(live, ioas, s, granule, &why);
		if (rc && i)
			return cli_fail(cli, IOMMU_ERROR_REFUSED, "%s",
					why.text);
		if (!rc)
			rc = map_segment(cli, live, ioas, s, !i);
		if (rc != -1)
			return rc;
		put_memory(live, s);
	}
}

static int get_and_map(struct cli *cli, const struct live *live, __u32 ioas,
		       struct segment *s, __u64 granule)
{
	struct iommu_why why;
	int rc;

	if (s->chosen && granule > (__u64)sysconf(_SC_PAGESIZE))
		return choose_and_map(cli, live, ioas, s, granule);
	s->chosen = false;
	if (s->file) {
		rc = get_file(cli, s, granule);
		if (rc)
			return rc;
	} else if (get_fresh(live, ioas, s, granule, &why)) {
		return cli_fail(cli, IOMMU_ERROR_REFUSED, "%s", why.text);
	}
	return map_segment(cli, live, ioas, s, false);
}

static char *cell_memory(struct json_object *row)
{
	if (get(row, "file"))
		return text_of("%s at %s", get_string(row, "file"),
			       get_string(row, "offset"));
	if (!strcmp(get_string(row, "memory"), "anonymous"))
		return text_of("fresh");
	if (get(row, "huge") &&
	    strcmp(get_string(row, "huge"), get_string(row, "memory")))
		return text_of("fresh, %s %s", get_string(row, "memory"),
			       get_string(row, "huge"));
	return text_of("fresh, %s", get_string(row, "memory"));
}

static void map_text(struct json_object *doc, FILE *f)
{
	static const struct column columns[] = {
		{ "IOVA", .cell = cell_start }, { "LAST", .key = "last" },
		{ "SIZE", .cell = cell_size },
		{ "ACCESS", .cell = cell_access },
		{ "MEMORY", .cell = cell_memory },
	};
	char *granule;

	if (get(doc, "done")) {
		done_text(doc, f);
		return;
	}
	granule = get_size(doc, "granule");
	fprintf(f, "device %s, IOAS %s, granule %s, process %s\n",
		get_string(doc, "device"), get_string(doc, "ioas"), granule,
		get_string(doc, "pid"));
	free(granule);
	print_table(f, "", get(doc, "areas"), columns, ARRAY_LEN(columns));
	print_notes(f, doc);
	if (get_bool(doc, "hold"))
		fputs("held until SIGINT or SIGTERM\n", f);
}

static int output(struct cli *cli, const char *device, __u32 ioas,
		  __u64 granule)
{
	struct json_object *doc = new_document(), *array, *area, *notes;
	const struct segment *s;
	unsigned int chosen = 0;
	char rule[200];
	int i;

	add_string(doc, "device", device);
	add_number(doc, "ioas", ioas);
	add_number(doc, "granule", granule);
	add_number(doc, "pid", getpid());
	add(doc, "hold", json_object_new_boolean(!opts.command));
	array = add_array(doc, "areas");
	notes = add_array(doc, "notes");
	iommu_granule_rule(granule, sysconf(_SC_PAGESIZE), rule, sizeof(rule));
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
		add_string(area, "memory", s->file ? "file" :
					   iommu_memory_kind_name(s->kind));
		add_string(area, "huge", s->huge ? s->huge->name : NULL);
		chosen |= s->chosen ? 1U << s->kind : 0;
	}
	for (i = 0; i < (int)ARRAY_LEN(kinds); i++) {
		if (chosen & 1U << kinds[i])
			append_text(notes, "--memory %s was chosen, because %s",
				    iommu_memory_kind_name(kinds[i]), rule);
	}
	/* With CMD, standard output is CMD's. */
	return cli_output_to(cli, doc, opts.command ? stderr : stdout);
}

/* The file with the memory of a segment, to be shared; -1: none. */
static int memory_fd(const struct live *live, const struct segment *s)
{
	return s->file ? s->file_fd :
	       s->kind == IOMMU_MEMORY_BUFFER ? live->iommufd : s->memory.fd;
}

static void set_number(const char *name, int value)
{
	char *text = text_of("%d", value);

	setenv(name, text, 1);
	free(text);
}

/* A word for each segment in each of these. */
static void set_segments(const struct live *live)
{
	const struct segment *s;

	unsetenv("IOMMU_IOVA");
	unsetenv("IOMMU_LENGTH");
	unsetenv("IOMMU_MEMORY_FD");
	unsetenv("IOMMU_MEMORY_OFFSET");
	for (s = opts.segments; s < opts.segments + opts.nr; s++) {
		env_add("IOMMU_IOVA", text_of("0x%" PRIx64, (uint64_t)s->iova));
		env_add("IOMMU_LENGTH", text_of("%" PRIu64, (uint64_t)s->size));
		env_add("IOMMU_MEMORY_FD", text_of("%d", memory_fd(live, s)));
		env_add("IOMMU_MEMORY_OFFSET",
			text_of("%" PRIu64, (uint64_t)(s->file ? s->offset :
						       s->memory.offset)));
		inherit(memory_fd(live, s));
	}
}

/* In the child. Exit codes of a command that cannot run are the shell's. */
static void run_command(struct cli *cli, const struct live *live, __u32 ioas,
			const sigset_t *signals)
{
	int err;

	set_segments(live);
	setenv("IOMMU_DEVICE", cli->target, 1);
	set_number("IOMMU_FD", live->iommufd);
	set_number("IOMMU_DEVICE_FD", live->devfd);
	set_number("IOMMU_DEVICE_ID", live->dev_id);
	set_number("IOMMU_IOAS", ioas);
	inherit(live->iommufd);
	inherit(live->devfd);
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

static int hold(struct cli *cli, const struct live *live, __u32 ioas,
		__u64 granule)
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
	rc = output(cli, cli->target, ioas, granule);
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

/* Before the attach, so that nothing has to be checked twice. */
static int set_granule(struct cli *cli, struct live *live, __u32 ioas)
{
	int rc = iommu_ioas_set_granule(live->iommufd, ioas, opts.granule);
	char *size = size_text(opts.granule);
	struct live_error why;

	if (rc == -EOPNOTSUPP) {
		rc = cli_fail(cli, IOMMU_ERROR_REFUSED,
			      "--granule %s: this /dev/iommu has no such "
			      "option, it is not Granule's; leave it out",
			      size);
	} else if (rc) {
		live_why(live, rc, cli->target, &why);
		rc = cli_fail(cli, why.kind == IOMMU_ERROR_OTHER ?
				   IOMMU_ERROR_REFUSED : why.kind,
			      "--granule %s: %s", size, why.text);
	}
	free(size);
	return rc;
}

static int map_all(struct cli *cli, const struct live *live, __u32 ioas,
		   __u64 granule)
{
	__u64 total = 0;
	int rc = 0, i;

	for (i = 0; i < opts.nr; i++) {
		if (__builtin_add_overflow(total, opts.segments[i].size,
					   &total))
			total = UINT64_MAX;
	}
	progress_start(total, opts.progress);
	for (i = 0; i < opts.nr && !rc; i++) {
		rc = get_and_map(cli, live, ioas, &opts.segments[i], granule);
		if (!rc)
			progress_done(opts.segments[i].size);
	}
	progress_stop();
	return rc;
}

static int map_and_hold(struct cli *cli, struct live *live)
{
	struct iommu_iova_range *ranges;
	struct live_error why;
	__u32 ioas, pt, nr;
	__u64 granule;
	int rc;

	rc = iommu_ioas_alloc(live->iommufd, &ioas);
	if (!rc && opts.granule) {
		rc = set_granule(cli, live, ioas);
		if (rc)
			return rc;
	}
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
	rc = map_all(cli, live, ioas, granule);
	if (rc)
		return rc;
	return hold(cli, live, ioas, granule);
}

static int map_ioas(struct cli *cli, const char *name)
{
	if (opts.nr || opts.hold || opts.progress || opts.command ||
	    opts.granule)
		return cli_usage(cli, "--region is for an IOAS of the daemon, "
				 "the other options are for a device");
	return region_map(cli, name, opts.regions);
}

static int map(struct cli *cli, int argc, char **argv)
{
	struct iommu_sys_device *dev;
	struct live_error err;
	struct live live;
	int rc, i;

	(void)argc;
	if (opts.regions)
		return map_ioas(cli, argv[0]);
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
		for (i = 0; i < opts.nr; i++)
			put_memory(&live, &opts.segments[i]);
		live_close(&live);
	}
	iommu_sys_device_free(dev);
	return rc;
}

const struct verb map_verbs[] = {
	{
		.verb = "map",
		.args = "DEVICE|IOAS", .min = 1, .max = 1, .word = WORD_SPACE,
		.options = specs, .option = option,
		.run = map, .text = map_text,
		.help = "Map memory for a device and hold it",
		.more = "Options that are repeated describe the next piece of "
			"memory.\nWith --region, the daemon maps memory in its "
			"IOAS of that name, and keeps it\nuntil 'iommuctl "
			"unmap'.",
	},
	{ 0 },
};
