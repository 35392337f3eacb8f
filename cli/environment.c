// SPDX-License-Identifier: GPL-2.0-only
/* What a command of the user's finds: variables and open files. */
#include <fcntl.h>
#include <stdlib.h>

#include "cli.h"

void env_add(const char *name, char *word)
{
	const char *old = getenv(name);
	char *all = old ? text_of("%s %s", old, word) : NULL;

	setenv(name, all ? all : word, 1);
	free(all);
	free(word);
}

void inherit(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}
