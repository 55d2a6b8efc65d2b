/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: the two-stack sampler's records behind a recording, asked for
 * with samples of the threads, times and registers that they name. Input that
 * does not end as a trailer does is taken as the body of one.
 */
#include "../unit/recordwriter.h"
#include "seeds.h"

#define TRIES 64

static void read_words(const struct gj_stack_sample *found)
{
	uint64_t word;

	for (unsigned int i = 0; i < found->record.part_cnt && i < TRIES; i++) {
		gj_stack_sample_read(found, found->parts[i].va, &word, sizeof(word));
		gj_stack_sample_read(found, found->parts[i].va + found->parts[i].bytes - 4, &word,
				     sizeof(word));
	}
}

/* Heads as they would stand at each multiple of eight: those that do are met. */
static void ask_all(struct gj_stack_records *records, struct gj_window bytes)
{
	struct gj_stack_record head;

	for (uint64_t off = 0; off < TRIES * 64 && gj_window_read(bytes, off, &head, sizeof(head));
	     off += 8) {
		uint64_t values[] = { head.bp, head.sp, head.ip, head.r14 };
		struct gj_sample sample = {
			.pid = head.pid, .tid = head.tid, .time_ns = head.time_ns, .has_time = true,
			.regs = { 1u << 6 | 1u << 7 | 1u << 8 | 1u << 22, values },
		};
		struct gj_stack_sample found;

		if (gj_stack_records_find(records, &sample, &found))
			read_words(&found);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_stack_records *records = NULL;
	struct gj_buf file = { 0 };
	struct gj_diag diag = { 0 };
	uint8_t *copy = NULL;

	gj_buf_add(&file, data, size_bytes);
	if (size_bytes < 16 || memcmp(data + size_bytes - 8, GJ_STACKS_MAGIC, 8))
		rw_finish(&file, 0, GJ_STACKS_MAGIC);
	/* Of exactly that size, so that a sanitizer sees its end. */
	if (!file.failed)
		copy = malloc(file.size_bytes);
	if (copy) {
		struct gj_window bytes = { copy, file.size_bytes };

		memcpy(copy, file.data, file.size_bytes);
		gj_stack_records_new(bytes, NULL, NULL, &records, &diag);
		if (records)
			ask_all(records, bytes);
	}
	gj_stack_records_free(records);
	free(copy);
	gj_buf_deinit(&file);
	return 0;
}

void fuzz_seeds(void)
{
	static const struct gj_stack_record head = { .time_ns = 1000, .pid = 1, .tid = 1, .ip = 9 };
	struct gj_buf file = { 0 };

	for (unsigned int i = 0; i < 3; i++) {
		size_t off = rw_record(&file, &head);

		rw_part(&file, off, GJ_PART_STACK, 0x7000, "12345678", 8);
		rw_part(&file, off, GJ_PART_RUNTIME, 0x7008, "12345", 5);
		fuzz_seed(file.data, file.size_bytes);
	}
	rw_finish(&file, 0, GJ_STACKS_MAGIC);
	fuzz_seed(file.data, file.size_bytes);
	gj_buf_deinit(&file);
}
