// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replays inputs through a fuzz target without libFuzzer: each argument is a
 * file or a directory of files. Options of libFuzzer are accepted and ignored,
 * so that the same command line does for both.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int replayed;

static int replay_file(const char *path)
{
	static uint8_t buf[1 << 16];
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t size;

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	size = fread(buf, 1, sizeof(buf), f);
	if (ferror(f) || !feof(f)) {
		fprintf(stderr, "%s: cannot be read, or more than %zu bytes\n",
			path, sizeof(buf) - 1);
		fclose(f);
		return -1;
	}
	fclose(f);

	/* Its own size, so that a sanitizer sees reads past the end. */
	exact = malloc(size + !size);
	if (!exact)
		return -1;
	memcpy(exact, buf, size);
	/* Says which input it was, should this one abort. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	replayed++;
	return 0;
}

static int replay(const char *path)
{
	struct dirent *entry;
	char name[4096];
	int rc = 0;
	DIR *dir = opendir(path);

	if (!dir)
		return replay_file(path);
	while (!rc && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path,
			     entry->d_name) >= (int)sizeof(name))
			rc = -1;
		else
			rc = replay_file(name);
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (argv[i][0] != '-' && replay(argv[i]))
			return 1;
	if (!replayed) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...: no input\n",
			argv[0]);
		return 1;
	}
	printf("%u inputs replayed\n", replayed);
	return 0;
}
