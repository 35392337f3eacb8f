// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads that map, unmap, allocate and free at once.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include "selftest.h"

struct thread {
	struct run run;
	unsigned int number;
	int rc;
	struct completion done;
};

static int thread_play(void *data)
{
	struct thread *thread = data;

	switch (thread->number % 4) {
	case 2:
		thread->rc = single_play(&thread->run, 4 << 20);
		break;
	case 3:
		thread->rc = alloc_play(&thread->run);
		break;
	default:
		thread->rc = list_play(&thread->run, 16 << 20);
	}
	complete(&thread->done);
	return 0;
}

void test_threads(struct run *run)
{
	struct thread *threads;
	struct counters before;
	unsigned int i, n = clamp(run->threads, 2U, 8U);
	int rc = 0;

	threads = kcalloc(n, sizeof(*threads), GFP_KERNEL);
	if (!threads) {
		result(run, -ENOMEM, "threads");
		return;
	}
	counters_read(run->t, &before);
	for (i = 0; i < n; i++) {
		struct task_struct *task;

		threads[i].number = i;
		threads[i].run = *run;
		threads[i].run.alone = false;
		threads[i].run.rng = random_next(&run->rng);
		threads[i].run.ms = run->ms ?: 2000;
		init_completion(&threads[i].done);
		task = kthread_run(thread_play, &threads[i], "granule-dma/%u",
				   i);
		if (IS_ERR(task)) {
			rc = PTR_ERR(task);
			complete(&threads[i].done);
		}
	}
	for (i = 0; i < n; i++) {
		wait_for_completion(&threads[i].done);
		rc = rc ?: threads[i].rc;
		run->lists += threads[i].run.lists;
		if (!threads[i].run.lists)
			rc = rc ?: wrong(run, "thread %u did nothing", i);
	}
	kfree(threads);
	rc = rc ?: counters_check(run, &before, "when all threads ended");
	result(run, rc, "threads: %u at once, %llu rounds in all", n,
	       run->lists);
}
