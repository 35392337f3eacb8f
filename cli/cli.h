/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of iommuctl share: the verb table, output and errors.
 *
 * Help, usage errors, completion and --list-verbs all come from the tables, so
 * a new verb is a row, a function that makes a JSON object, and one that
 * renders the object as text.
 */
#ifndef CLI_H
#define CLI_H

#include <limits.h>
#include <stdio.h>
#include <json-c/json.h>

#include "libiommu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct cli;

/* What the shell offers for a word. */
enum word_kind {
	WORD_TEXT,
	WORD_DEVICE,
	WORD_GROUP,
	WORD_IOAS,	/* of the daemon, by name */
	WORD_SPACE,	/* a device or an IOAS */
	WORD_FILE,
	WORD_SHELL,	/* of completion */
	WORD_VERB,
	WORD_COMMAND,	/* an option that takes all that follows */
};

struct option_spec {
	int id;			/* for verb->option() */
	const char *name;	/* without the dashes */
	const char *arg;	/* how help calls its value; NULL: a flag */
	enum word_kind word;	/* of the value */
	const char *choices;	/* the only values, by blanks; NULL: any */
	const char *help;
};

struct verb {
	const char *object;	/* NULL where the verb has none */
	const char *verb;
	const char *args;	/* how help calls the arguments */
	int min, max;		/* how many arguments */
	bool command;		/* and after "--" a command, cli->command */
	enum word_kind word;	/* of each argument */
	const struct option_spec *options;	/* ends with an empty name */
	int (*option)(struct cli *cli, int id, char **value);
	int (*run)(struct cli *cli, int argc, char **argv);
	void (*text)(struct json_object *obj, FILE *f);
	const char *help;	/* one line */
	const char *more;	/* further text, or NULL */
};

/* The tables, one a file; each ends with an empty row. */
extern const struct verb cdi_verbs[];
extern const struct verb daemon_verbs[];
extern const struct verb device_verbs[];
extern const struct verb doctor_verbs[];
extern const struct verb group_verbs[];
extern const struct verb ioas_verbs[];
extern const struct verb map_verbs[];
extern const struct verb maps_verbs[];
extern const struct verb meta_verbs[];
extern const struct verb monitor_verbs[];
extern const struct verb plot_verbs[];
extern const struct verb policy_verbs[];
extern const struct verb ps_verbs[];
extern const struct verb ranges_verbs[];
extern const struct verb run_verbs[];
extern const struct verb unmap_verbs[];
extern const struct verb *const verb_tables[];

/* One run of the program. */
struct cli {
	const struct verb *verb;
	struct iommu_sys *sys;
	bool json;
	char **command;		/* what follows "--"; NULL: nothing */
	char target[128];	/* what errors are about; may be empty */
};

/* main.c */
const char *verb_name(const struct verb *v);
const struct verb *find_verb(const char *object, const char *verb);
bool is_object(const char *name);
void print_help(FILE *f, const char *object);
void print_verb_help(FILE *f, const struct verb *v);
void print_verbs(FILE *f);

/* error.c: print one sentence to stderr and return the exit code. */
int cli_fail(const struct cli *cli, enum iommu_error_kind kind,
	     const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int cli_errno(const struct cli *cli, int err, const char *what);
int cli_usage(const struct cli *cli, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Does what is written to stdout arrive? 0, or an error that is printed. */
int cli_flush(const struct cli *cli);

/* The device of an argument; an error is printed. Sets the target. */
int cli_device(struct cli *cli, const char *arg, struct iommu_sys_device **ret);
/* And its group; NULL where it has none, or none that can be read. */
int cli_device_group(struct cli *cli, const char *arg,
		     struct iommu_sys_device **ret,
		     struct iommu_sys_group **ret_group);

/* output.c */

/* Print @obj as the user wants it, and release it. */
int cli_output(struct cli *cli, struct json_object *obj);
int cli_output_to(struct cli *cli, struct json_object *obj, FILE *f);

/* What --color says. */
enum when {
	WHEN_AUTO,	/* on a terminal, unless NO_COLOR is set */
	WHEN_ALWAYS,
	WHEN_NEVER,
};

enum paint {
	PAINT_OFF,
	PAINT_TITLE,
	PAINT_GOOD,
	PAINT_NOTE,
	PAINT_BAD,
	PAINT_DIM,
	PAINT_MAPPED,
};

/* "auto", "always" or "never" from the command line; false: none of these. */
bool set_colour(const char *when);
/* What starts a colour in @f, or ends it; "" where there is to be none. */
const char *paint(FILE *f, enum paint paint);

/* {"version": 1}; ends the program when out of memory, as do the others. */
struct json_object *new_document(void);
void add(struct json_object *obj, const char *key, struct json_object *value);
void add_null(struct json_object *obj, const char *key);
void add_string(struct json_object *obj, const char *key, const char *value);
void add_number(struct json_object *obj, const char *key, __u64 value);
struct json_object *add_array(struct json_object *obj, const char *key);
void append(struct json_object *array, struct json_object *value);
__attribute__((format(printf, 2, 3)))
void append_text(struct json_object *array, const char *fmt, ...);
char *text_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Read them; missing or null is NULL, "-", 0 or false. */
struct json_object *get(struct json_object *obj, const char *key);
const char *get_string(struct json_object *obj, const char *key);
__u64 get_number(struct json_object *obj, const char *key);
bool get_bool(struct json_object *obj, const char *key);
size_t length(struct json_object *array);

/* "64K", "2M", "1000": exact. */
char *size_text(__u64 size);
/* For people: exact where that is short, else rounded and marked so. */
char *short_size(__u64 size);
char *get_size(struct json_object *obj, const char *key);
/* Elements of an array of strings or of sizes, by @sep; "-" for none. */
char *join(struct json_object *array, const char *sep,
	   char *(*fn)(struct json_object *element));
char *element_string(struct json_object *element);
char *element_size(struct json_object *element);

/* A column of a table: the cell of a row, as a new string. */
struct column {
	const char *title;
	char *(*cell)(struct json_object *row);
	const char *key;	/* without @cell: the row's value of that name */
};

void print_table(FILE *f, const char *indent, struct json_object *rows,
		 const struct column *columns, size_t nr);
__attribute__((format(printf, 3, 4)))
void print_field(FILE *f, const char *name, const char *fmt, ...);
void print_notes(FILE *f, struct json_object *obj);

/* Cells for tables of ranges, regions and areas. */
char *cell_start(struct json_object *row);
char *cell_size(struct json_object *row);
char *cell_access(struct json_object *row);
char *cell_reason(struct json_object *row);
/* Of an array of names in the row. */
char *cell_devices(struct json_object *row);
char *element_device(struct json_object *element);

/* Tables of IOVA ranges, and of reserved regions. */
void print_ranges(FILE *f, const char *indent, struct json_object *rows);
void print_regions(FILE *f, const char *indent, struct json_object *rows);

/* maps.c: whose address spaces. */
struct maps_want {
	__u64 fd, pid, ioas;
	bool has_fd, has_pid, has_ioas;
};

enum { MAPS_OPT_FD = 1, MAPS_OPT_PID, MAPS_OPT_IOAS };

int maps_option(struct cli *cli, struct maps_want *want, int id,
		const char *value);
/* Their contexts into @list; what could not be seen into @notes. */
int maps_collect(struct cli *cli, const struct maps_want *want,
		 struct json_object *list, struct json_object *notes);

/*
 * progress.c: tell how far mapping @total bytes has come, on a terminal or
 * where it is wanted; with each piece that is done; and be silent again.
 */
void progress_start(__u64 total, bool wanted);
void progress_done(__u64 bytes);
void progress_stop(void);

/* plot_svg.c: a document of plot as a picture. */
void plot_svg(struct json_object *doc, FILE *f);

/* parse.c; negative errno on nonsense: -EINVAL, -ERANGE. */
int parse_size(const char *text, __u64 *ret);
int parse_address(const char *text, __u64 *ret);
int parse_number(const char *text, __u64 max, __u64 *ret);

/* daemon.c: what iommud is asked for; an exit code, after an error on stderr. */
int cli_connect(struct cli *cli, struct iommu_client **ret);
/* One call. @parameters are taken over; @ret may be NULL. */
int cli_call(struct cli *cli, const char *method,
	     struct json_object *parameters, struct json_object **ret);
/* And print its reply as a document. */
int cli_show(struct cli *cli, const char *method,
	     struct json_object *parameters);
/* Print {"done": a sentence}, and that as text. */
__attribute__((format(printf, 2, 3)))
int cli_done(struct cli *cli, const char *fmt, ...);
void done_text(struct json_object *doc, FILE *f);
struct json_object *new_parameters(void);
struct json_object *name_array(int argc, char **argv);
/* What is wrong with a policy, a line each. */
void print_errors(struct json_object *errors, FILE *f);

/* policy.c; @definition is taken over. */
int cli_definition(struct cli *cli, const char *kind, const char *name,
		   struct json_object **ret);
int cli_define(struct cli *cli, const char *kind, const char *name,
	       struct json_object *definition);
int cli_undefine(struct cli *cli, const char *kind, const char *name);

/*
 * command.c: a command line with placeholders for what was acquired.
 *
 * Of @nr devices, is there all that it asks for? With @attached they have
 * address spaces, and perhaps regions. A usage error otherwise.
 */
int command_check(struct cli *cli, char **command, size_t nr, bool attached);
/* Run it in place of this program; an exit code when that fails. */
int command_exec(struct cli *cli, char **command,
		 const struct iommu_acquired *got);

/* ioas.c: what the daemon has of a named IOAS; release it. */
int cli_ioas(struct cli *cli, const char *name, struct json_object **ret);

/*
 * region.c: memory of a named IOAS, as --region has it, into @regions. Map it,
 * also while devices use the IOAS; @regions is taken over.
 */
int region_option(struct cli *cli, struct json_object *regions,
		  const char *text);
int region_map(struct cli *cli, const char *ioas, struct json_object *regions);

/*
 * environment.c: for a command of the user's. A word more in a variable, by a
 * blank; @word is taken over. And a file that stays open there; -1: none.
 */
void env_add(const char *name, char *word);
void inherit(int fd);

/* live.c: a device that is bound to a context of ours. */
struct live {
	int iommufd;
	int devfd;
	__u32 dev_id;
};

/* Why a device cannot be opened. */
struct live_error {
	enum iommu_error_kind kind;
	char text[600];
};

/* Open and bind @dev. 0, or -1 and @err. */
int live_open(struct cli *cli, const struct iommu_sys_device *dev,
	      struct live *live, struct live_error *err);
void live_close(struct live *live);
/* "why; remedy" of the latest failure on the context. */
void live_why(const struct live *live, int err, const char *device,
	      struct live_error *ret);

/*
 * Everything that is known about what a device can address, from the best
 * source there is: {"source", "info", "notes"} into @doc.
 */
int add_device_info(struct cli *cli, struct json_object *doc,
		    const struct iommu_sys_device *dev,
		    const struct iommu_sys_group *group);

#endif
