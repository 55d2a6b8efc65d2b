/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Snapshots of the goroutines of live processes, taken while perf records, and
 * written behind the recording (layout: src/goroutine/goroutine.h).
 *
 * A goroutine that bears the same id in two snapshots bore it in between, so
 * dropping snapshots from the middle costs only those that came and went:
 * past a limit every second one is dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "record/record.h"

#define MAX_KEPT_BYTES (64u << 20) /* of all snapshots together */

struct process {
	uint32_t pid;
	dev_t dev; /* of its program; another one after exec */
	ino_t ino;
	struct gj_live *live; /* NULL: no Go program, or gone */
};

struct gj_watch {
	void (*say)(const char *line);
	struct process *processes;
	unsigned int process_cnt;
	struct gj_buf *rounds; /* one round of snapshots each, oldest first */
	unsigned int round_cnt;
	uint64_t kept_bytes;
	uint64_t cost_ns;
};

struct gj_watch *gj_watch_new(void (*say)(const char *line))
{
	struct gj_watch *watch = calloc(1, sizeof(*watch));

	if (watch)
		watch->say = say;
	return watch;
}

void gj_watch_free(struct gj_watch *watch)
{
	if (!watch)
		return;
	for (unsigned int i = 0; i < watch->process_cnt; i++)
		gj_live_close(watch->processes[i].live);
	for (unsigned int i = 0; i < watch->round_cnt; i++)
		gj_buf_deinit(&watch->rounds[i]);
	free(watch->processes);
	free(watch->rounds);
	free(watch);
}

static void say_why(const struct gj_watch *watch, int err, const struct gj_diag *diag)
{
	if (err != -ENOENT && err != -ESRCH && err != -EAGAIN && diag->err)
		watch->say(diag->text);
}

/* The entry of @pid, new or known; NULL when memory is out. */
static struct process *find(struct gj_watch *watch, uint32_t pid)
{
	struct process *list;

	for (unsigned int i = 0; i < watch->process_cnt; i++)
		if (watch->processes[i].pid == pid)
			return &watch->processes[i];
	list = reallocarray(watch->processes, watch->process_cnt + 1, sizeof(*list));
	if (!list)
		return NULL;
	watch->processes = list;
	list[watch->process_cnt] = (struct process){ .pid = pid };
	return &list[watch->process_cnt++];
}

int gj_watch_add(struct gj_watch *watch, uint32_t pid)
{
	struct gj_diag diag = { 0 };
	struct process *process;
	char link[32];
	struct stat st;
	int err;

	snprintf(link, sizeof(link), "/proc/%u/exe", pid);
	if (stat(link, &st))
		return 0; /* gone, or a thread of the kernel's */
	process = find(watch, pid);
	if (!process)
		return -ENOMEM;
	if (process->dev == st.st_dev && process->ino == st.st_ino)
		return 0;
	process->dev = st.st_dev;
	process->ino = st.st_ino;
	gj_live_close(process->live);
	process->live = NULL;
	err = gj_live_open(pid, &process->live, &diag);
	say_why(watch, err, &diag);
	/* Not up yet: looked at again next time. */
	if (err == -EAGAIN)
		process->ino = 0;
	return 0;
}

void gj_watch_each(const struct gj_watch *watch,
		   int (*found)(void *data, uint32_t pid, const struct gj_live *live), void *data)
{
	for (unsigned int i = 0; i < watch->process_cnt; i++)
		if (watch->processes[i].live)
			found(data, watch->processes[i].pid, watch->processes[i].live);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Every second round but the first and the last. */
static void thin_out(struct gj_watch *watch)
{
	unsigned int kept = 0;

	watch->kept_bytes = 0;
	for (unsigned int i = 0; i < watch->round_cnt; i++) {
		if (i % 2 && i + 1 < watch->round_cnt) {
			gj_buf_deinit(&watch->rounds[i]);
			continue;
		}
		watch->rounds[kept] = watch->rounds[i];
		watch->kept_bytes += watch->rounds[kept++].size_bytes;
	}
	watch->round_cnt = kept;
}

/* One process' goroutines, appended to @round; how many. */
static uint64_t take(struct gj_watch *watch, struct process *process, uint32_t flags,
		     struct gj_buf *round)
{
	size_t start = round->size_bytes;
	struct gj_trail_snapshot head;
	struct gj_diag diag = { 0 };
	int err = gj_live_snapshot(process->live, flags, round, &diag);

	if (!err && !round->failed) {
		memcpy(&head, round->data + start, sizeof(head));
		return head.g_cnt;
	}
	round->size_bytes = start;
	say_why(watch, err, &diag);
	if (err == -EAGAIN)
		return 0;
	gj_live_close(process->live);
	process->live = NULL;
	/* Its number may come again, with the same program. */
	if (err == -ESRCH)
		process->ino = 0;
	return 0;
}

uint64_t gj_watch_snapshot(struct gj_watch *watch, uint32_t flags)
{
	struct gj_buf round = { 0 }, *rounds;
	uint64_t seen = 0, begin = now_ns();

	for (unsigned int i = 0; i < watch->process_cnt; i++)
		if (watch->processes[i].live)
			seen += take(watch, &watch->processes[i], flags, &round);
	watch->cost_ns = now_ns() - begin;
	rounds = reallocarray(watch->rounds, watch->round_cnt + 1, sizeof(*rounds));
	if (!rounds || !round.size_bytes) {
		watch->rounds = rounds ? rounds : watch->rounds;
		gj_buf_deinit(&round);
		return seen;
	}
	watch->rounds = rounds;
	rounds[watch->round_cnt++] = round;
	watch->kept_bytes += round.size_bytes;
	if (watch->kept_bytes > MAX_KEPT_BYTES && watch->round_cnt > 2)
		thin_out(watch);
	return seen;
}

uint64_t gj_watch_cost_ns(const struct gj_watch *watch)
{
	return watch->cost_ns;
}

int gj_watch_write(struct gj_watch *watch, const char *path, struct gj_diag *diag)
{
	struct gj_buf body = { 0 };
	off_t end;
	int fd, err = 0;

	for (unsigned int i = 0; i < watch->round_cnt; i++)
		gj_buf_add(&body, watch->rounds[i].data, watch->rounds[i].size_bytes);
	if (!body.size_bytes && !body.failed)
		return 0;
	gj_trail_finish(&body);
	if (body.failed) {
		gj_buf_deinit(&body);
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (end < 0)
		err = -errno;
	else
		err = gj_write_all(fd, body.data, body.size_bytes);
	/* Half a trailer would be worse than none. */
	if (err && end >= 0 && ftruncate(fd, end))
		err = -errno;
	if (fd >= 0)
		close(fd);
	gj_buf_deinit(&body);
	if (err)
		return gj_diag_set(diag, err, "%s: the goroutine snapshots cannot be written: %s",
				   path, strerror(-err));
	return 0;
}
