// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a command answers: lines of text, read back from the device node.
 */
#include "selftest.h"

static void say_v(struct report *report, const char *before,
		  struct va_format text)
{
	unsigned long flags;

	spin_lock_irqsave(&report->lock, flags);
	report->length += scnprintf(report->text + report->length,
				    report->size - report->length, "%s%pV\n",
				    before, &text);
	spin_unlock_irqrestore(&report->lock, flags);
}

void say(struct report *report, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say_v(report, "", (struct va_format){ fmt, &args });
	va_end(args);
}

int wrong(struct run *run, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say_v(run->report, "# ", (struct va_format){ fmt, &args });
	va_end(args);
	return -EBADMSG;
}

void result(struct run *run, int rc, const char *fmt, ...)
{
	va_list args;

	if (rc)
		wrong(run, "error %d, seed=%llu", rc, run->seed);
	va_start(args, fmt);
	say_v(run->report, rc ? "not ok - " : "ok - ",
	      (struct va_format){ fmt, &args });
	va_end(args);
}
