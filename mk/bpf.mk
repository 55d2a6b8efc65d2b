# SPDX-License-Identifier: GPL-2.0
# BPF objects and their skeletons: $(O)/bpf/NAME.bpf.o, $(O)/bpf/NAME.skel.h.
# Without clang, bpftool or libbpf everything else is built, and says so at run
# time (GJ_HAVE_BPF). They know amd64's registers and Go's TLS slot there.

CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
HAVE_BPF := $(shell [ "$$(uname -m)" = x86_64 ] && $(PKG_CONFIG) --exists 'libbpf >= 1.0' 2>/dev/null && \
	command -v $(CLANG) >/dev/null && $(BPFTOOL) version >/dev/null 2>&1 && echo on || echo off)
BPF_ARCH := $(if $(filter aarch64,$(shell uname -m)),arm64,x86)
# Debian's <asm/types.h> is in the multiarch directory, which clang does not know for this target.
BPF_CFLAGS := -target bpf -mcpu=v2 -O2 -g -Wall -Wextra -Werror -Wno-missing-field-initializers \
	-D__TARGET_ARCH_$(BPF_ARCH) -Ibpf -I/usr/include/$(shell $(CC) -print-multiarch)

ifeq ($(HAVE_BPF),on)
BASE_CFLAGS += -DGJ_HAVE_BPF -I$(O)/bpf
LDLIBS += -lbpf
endif

$(O)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(O)/bpf/%.skel.h: $(O)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name gj_$(subst -,_,$*) >$@

# Kept: make would remove what only led to a skeleton.
.SECONDARY: $(patsubst bpf/%.bpf.c,$(O)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))

ifeq ($(HAVE_BPF),on)
$(O)/obj/src/record/sampler.o $(O)/fuzz/obj/src/record/sampler.o: $(O)/bpf/sampler.skel.h
$(O)/obj/src/profile/profiler.o $(O)/fuzz/obj/src/profile/profiler.o: $(O)/bpf/profile.skel.h
endif

# Objects that src/load carries (.incbin), in the order in which it loads them: features
# (src/probe/feature.h), those that are always there before and behind them.
TRACE_OBJECTS := $(foreach name,processes threads tcp census samples gc alloc netpoll goroutines syscalls metrics,\
	$(patsubst bpf/%.bpf.c,%,$(wildcard bpf/$(name).bpf.c)))
TRACE_OBJECTS += costs

ifeq ($(HAVE_BPF),on)
.PHONY: trace-objects
$(O)/bpf/objects.h: trace-objects
	$(Q)mkdir -p $(@D)
	$(Q)for name in $(TRACE_OBJECTS); do \
		echo "GJ_OBJECT($$name, \"$(O)/bpf/$$name.bpf.o\")"; done >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(O)/obj/src/load/objects.o $(O)/fuzz/obj/src/load/objects.o: $(O)/bpf/objects.h \
	$(TRACE_OBJECTS:%=$(O)/bpf/%.bpf.o)
endif
