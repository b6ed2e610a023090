# A thin front to CMake, which is the build: the targets people type. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

BUILD ?= build
JOBS ?= $(shell nproc)
DEPS ?= install
PREFIX ?= /usr/local
CMAKE_FLAGS ?=
TIDY ?= 0
DEMO_FLAGS ?=
BENCH_FLAGS ?=
FLICKR8K ?= ../shared/data/flickr8k
GMAIL := $(BUILD)/gmail

.PHONY: build deps demo test test-emulated test-sanitized test-races test-gpu audit bench repro-flickr8k repro-flickr8k-captions tabletop-weights lint format install clean help

build:  ## build the program, the library and the tests (the default)
	@# An existing build folder keeps its generator; a configuration that failed half-way starts anew.
	@if [ ! -f $(BUILD)/build.ninja ] && [ ! -f $(BUILD)/Makefile ]; then \
	  rm -f $(BUILD)/CMakeCache.txt; \
	  cmake -S . -B $(BUILD) $$(command -v ninja >/dev/null && echo "-G Ninja") $(CMAKE_FLAGS); \
	elif [ -n "$(strip $(CMAKE_FLAGS))" ]; then \
	  cmake -S . -B $(BUILD) $(CMAKE_FLAGS); \
	fi
	@cmake --build $(BUILD) -j $(JOBS) $(if $(TARGET),--target $(TARGET))

deps:  ## install what the build needs (DEPS=skip leaves the system alone)
	@[ "$(DEPS)" = skip ] || scripts/install_deps.sh

demo: deps  ## the whole method on the built-in world; results in runs/demo/
	@$(MAKE) --no-print-directory build TARGET=gmail_program
	$(GMAIL) demo $(DEMO_FLAGS)

test: deps  ## every test
	@$(MAKE) --no-print-directory build
	$(BUILD)/gmail_tests

test-emulated: test-sanitized test-races  ## the CUDA kernels without a GPU: the two below

test-sanitized:  ## every test on the emulated device, under ASan and UBSan
	@$(MAKE) --no-print-directory build BUILD=build-emulated TARGET=gmail_tests \
	  CMAKE_FLAGS='-DGMAIL_CUDA=EMULATED -DGMAIL_SANITIZE=ON -DCMAKE_CXX_FLAGS_RELEASE="-Og -g1"'
	@# The emulator has one thread: the heavy tests run beside the others.
	@export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_stack_use_after_return=0; \
	  build-emulated/gmail_tests "[heavy]" >build-emulated/heavy.log 2>&1 & heavy=$$!; status=0; \
	  build-emulated/gmail_tests "~[heavy]~[.]" || status=1; \
	  wait $$heavy || status=1; cat build-emulated/heavy.log; exit $$status

test-races:  ## the ops' tests on the emulated device, under a race detector
	@$(MAKE) --no-print-directory build TARGET=gmail_tests_races
	$(BUILD)/gmail_tests_races

test-gpu: build  ## every op and model on the GPU against the CPU; skipped where there is none
	@why=$$($(GMAIL) info --device cuda 2>&1 >/dev/null) || { echo "test-gpu: skipped: $$why"; exit 0; }; \
	  $(BUILD)/gmail_tests "[device]"

audit: build  ## each training step of the method, op by op, against the CPU in float64
	@for step in pretrain align generator caption; do $(GMAIL) audit --config data/audit/$$step.json || exit 1; done

bench: build  ## time the workloads on this CPU
	$(GMAIL) bench cpu $(BENCH_FLAGS)

repro-flickr8k: build  ## real photos: FLICKR8K=DIR names the folder of the data set
	@if [ -d "$(FLICKR8K)" ]; then \
	  scripts/repro_flickr8k.sh "$(GMAIL)" "$(FLICKR8K)"; \
	else \
	  echo "repro-flickr8k: skipped, there is no folder $(FLICKR8K); name one with FLICKR8K=DIR"; \
	fi

repro-flickr8k-captions: build  ## captions of real photos: FLICKR8K=DIR as above
	@if [ -d "$(FLICKR8K)" ]; then \
	  scripts/repro_flickr8k_captions.sh "$(GMAIL)" "$(FLICKR8K)"; \
	else \
	  echo "repro-flickr8k-captions: skipped, there is no folder $(FLICKR8K); name one with FLICKR8K=DIR"; \
	fi

tabletop-weights: build  ## train the built-in world's encoder and generator again (data/tabletop/)
	scripts/tabletop_weights.sh "$(GMAIL)"

lint:  ## formatting and house rules (TIDY=1: clang-tidy too, after a build)
	TIDY=$(TIDY) scripts/lint.sh

format:  ## format the sources in place
	git ls-files -- '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format -i

install: build  ## install program, library, headers and data under PREFIX
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:  ## remove the build folders
	rm -rf build build-emulated build-emu build-gpu

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
