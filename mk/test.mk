# SPDX-License-Identifier: GPL-2.0
# Tests. A test is an executable that prints TAP; tests/run adds them up and
# ends with "N passed, N failed, N skipped".

# Unit tests, tests/unit/test_NAME.c: cmocka, no root, no Go.
UNIT_TESTS := \
	base

UNIT_TESTS += \
	gotab \
	image

UNIT_TESTS += \
	goroutine \
	live \
	live_changes \
	maps \
	offsets

UNIT_TESTS += \

UNIT_TESTS += \

UNIT_TESTS += \
	fp \
	goexec \
	memory \
	name \
	perf_file \
	perf_record

# Fuzz targets, tests/fuzz/fuzz_NAME.c.
FUZZ_TARGETS :=

FUZZ_TARGETS += \
	gotab \
	image

FUZZ_TARGETS += \
	offsets \
	trailer

# Scripts that want real parts, in the order they run.
CHECK_SCRIPTS :=

CHECK_SCRIPTS += \
	tests/sym/forms.sh \
	tests/sym/matrix.sh \
	tests/sym/sweep.sh

CHECK_SCRIPTS += \
	tests/goroutine/live.sh \
	tests/goroutine/offsets.sh

CHECK_SCRIPTS += \
	tests/probe/plan.sh

CHECK_SCRIPTS += \
	tests/record/record.sh \
	tests/record/goid.sh

CHECK_SCRIPTS += \
	tests/traceevent/traceevent.sh

LONG_SCRIPTS :=

LONG_SCRIPTS += \
	tests/sym/matrix-full.sh

# The ways into the perf plugin, and putting it all in place.
CHECK_SCRIPTS += \
	tests/perf/front.sh \
	tests/perf/ways.sh \
	tests/perf/install.sh

LONG_SCRIPTS += \
	tests/perf/ways-newest.sh \
	tests/perf/contrib.sh \
	tests/perf/contrib-newest.sh

# The perf plugin.
CHECK_SCRIPTS += \
	tests/perf/plugin.sh

LONG_SCRIPTS += \
	tests/perf/plugin-long.sh

BENCH_SCRIPTS :=

BENCH_SCRIPTS += \
	tests/bench/probe.sh

# Programs that scripts and benchmarks run.
TEST_PROGRAMS := \
	bench/bench_sym \
	sym/sweep

TEST_PROGRAMS += \
	goroutine/offsets \
	goroutine/snapshot \
	goroutine/sweep

TEST_PROGRAMS += \
	probe/plan

TEST_BINS := $(TEST_PROGRAMS:%=$(O)/tests/%)
comma := ,
UNIT_BINS := $(UNIT_TESTS:%=$(O)/tests/unit/test_%)

$(O)/tests/unit/%: tests/unit/%.c $(O)/libgojitter.a
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -Itests/unit -MMD -MP -o $@ $< $(O)/libgojitter.a \
		-lcmocka $(LDLIBS) $(UNIT_LDFLAGS)

# Allocations that tests/unit/failalloc.h makes fail.
$(O)/tests/unit/test_memory: UNIT_LDFLAGS := $(patsubst %,-Wl$(comma)--wrap=%, \
	malloc calloc realloc reallocarray strdup strndup tsearch)

$(TEST_BINS): $(O)/tests/%: tests/%.c $(O)/libgojitter.a
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -o $@ $< $(O)/libgojitter.a $(LDLIBS)

test: $(UNIT_BINS)
	$(Q)O=$(abspath $(O)) tests/run $(UNIT_BINS)

.PHONY: run-check run-check-long run-bench
run-check: all lint $(UNIT_BINS) $(TEST_BINS)
	$(Q)O=$(abspath $(O)) tests/run $(UNIT_BINS) $(CHECK_SCRIPTS)

# A long test may take an hour.
run-check-long: all $(UNIT_BINS) $(TEST_BINS)
	$(Q)O=$(abspath $(O)) GJ_TEST_TIMEOUT=3600 tests/run $(LONG_SCRIPTS)

run-bench: all $(TEST_BINS)
	$(Q)for b in $(BENCH_SCRIPTS); do O=$(abspath $(O)) $$b || exit 1; done

lint:
	$(Q)scripts/check-tree.sh

-include $(shell find $(O)/tests/unit -name '*.d' 2>/dev/null)
