# SPDX-License-Identifier: GPL-2.0
# The only entry point. `make help` lists the targets; O= says where build
# output goes, V=1 shows commands.

VERSION := 0.1.0
O ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g
prefix ?= /usr/local
# Some CI has none; go and the tests keep their caches below it.
ifndef HOME
export HOME := $(shell getent passwd "$$(id -u)" | cut -d: -f6)
endif

V ?= 0
Q_0 := @
Q_1 :=
Q := $(Q_$(V))
say_0 = @printf '  %-7s %s\n' $(1) $(2)
say_1 =
say = $(say_$(V))

.DELETE_ON_ERROR:
.PHONY: all deps demo-deps demo check check-long bench test lint fuzz-smoke install clean help
.DEFAULT_GOAL := all

include mk/config.mk
include mk/bpf.mk
include mk/lib.mk
include mk/plugins.mk
include mk/test.mk
include mk/install.mk

all: $(O)/gojitter $(O)/libgojitter.so $(PLUGINS)

# Both of these start from nothing: they install what is missing, then build
# in a second make, which sees the libraries that have just been installed.
demo: demo-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)O=$(abspath $(O)) scripts/demo.sh

check: deps
	$(Q)$(MAKE) --no-print-directory run-check

check-long: deps
	$(Q)$(MAKE) --no-print-directory run-check-long

bench: deps
	$(Q)$(MAKE) --no-print-directory run-bench

deps:
	$(Q)scripts/deps.sh

demo-deps:
	$(Q)scripts/deps.sh demo

clean:
	$(Q)rm -rf $(O)

help:
	@echo 'make            build everything below $(O)/'
	@echo 'make demo       install what is missing, build, record a real Go service, show its stacks'
	@echo 'make check      install what is missing, build, run every test (under 20 minutes on 2 cores)'
	@echo 'make check-long the tests that take longer: newest perf in a chroot, patched perf, long fuzzing'
	@echo 'make bench      figures beside their peers, in one run'
	@echo 'make test       unit tests only: no root, under a minute'
	@echo 'make test-asan  the same under sanitizers; make fuzz-smoke, fuzz-long: every reader fuzzed'
	@echo 'make lint       rules of the tree: direction of includes, headers compile alone'
	@echo 'make install    [DESTDIR=] [prefix=/usr/local]'
	@echo 'make uninstall  take away what install put there, given the same variables'
	@echo 'make clean      remove $(O)/'
