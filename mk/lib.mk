# SPDX-License-Identifier: GPL-2.0
# libgojitter and the gojitter command. Directories stand in the order in
# which a sample passes them; each may include only those above it.

LIB_DIRS := base sample perf elf demangle goroutine probe bpftrace debuginfo stitch pprof report session inject record profile
LIB_SRCS := $(foreach dir,$(LIB_DIRS),$(sort $(wildcard src/$(dir)/*.c)))
# Where BPF programs cannot be built (mk/bpf.mk) others stand in.
LIB_SRCS := $(filter-out $(if $(filter on,$(HAVE_BPF)),src/record/no_sampler.c,\
	src/record/known.c src/record/sampler.c),$(LIB_SRCS))
# The code for pprof's wire format is made by protoc-c.
LIB_SRCS += $(O)/gen/pprof/profile.pb-c.c
PPROF_SRCS := $(wildcard src/pprof/*.c)
BASE_CFLAGS += -I$(O)/gen
LDLIBS += -lprotobuf-c
# src/load carries BPF programs; without them one file says so.
LIB_DIRS += load
LIB_SRCS += $(if $(filter on,$(HAVE_BPF)),$(filter-out src/load/no_load.c,\
	$(sort $(wildcard src/load/*.c))),src/load/no_load.c)
# src/events: files of events (gojitter trace --events). Names of syscalls come from what
# BPF programs know.
LIB_DIRS += events
LIB_SRCS += $(sort $(wildcard src/events/*.c))
LIB_DIRS += export
LIB_SRCS += $(filter-out %http.c,$(sort $(wildcard src/export/*.c)))
CMD_SRCS := $(sort $(wildcard src/cmd/*.c))
# The exporter speaks HTTP where libmicrohttpd is; what perf loads does without.
CMD_SRCS += src/export/$(if $(filter on,$(HAVE_MICROHTTPD)),http,no_http).c

LIB_OBJS := $(LIB_SRCS:%.c=$(O)/obj/%.o)
CMD_OBJS := $(CMD_SRCS:%.c=$(O)/obj/%.o)

$(O)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/pprof/profile.pb-c.c: src/pprof/profile.proto
	$(call say,PROTO,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PROTOC_C) --proto_path=src --c_out=$(O)/gen $<
$(O)/gen/pprof/profile.pb-c.h: $(O)/gen/pprof/profile.pb-c.c ;
$(PPROF_SRCS:%.c=$(O)/obj/%.o) $(PPROF_SRCS:%.c=$(O)/fuzz/obj/%.o): | $(O)/gen/pprof/profile.pb-c.h

$(O)/gen/events/syscalls.inc: bpf/gj_trace_syscalls.h
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)grep -o 'sys_[a-z0-9_]* = [0-9]*' $< | sed 's/sys_\(.*\) = \(.*\)/[\2] = "\1",/' >$@
$(O)/obj/src/events/names.o $(O)/fuzz/obj/src/events/names.o: $(O)/gen/events/syscalls.inc

$(O)/libgojitter.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/libgojitter.so: $(LIB_OBJS) src/libgojitter.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-soname,libgojitter.so.0 -Wl,-z,defs \
		-Wl,--version-script=src/libgojitter.map -o $@ $(LIB_OBJS) $(LDLIBS)

$(O)/gojitter: $(CMD_OBJS) $(O)/libgojitter.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
