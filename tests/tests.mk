# SPDX-License-Identifier: BSD-3-Clause
# Unit tests: tests/unit/FOLDER/NAME.c is one Check program, build/tests/unit/FOLDER/NAME. A test that
# needs another link line says so in tests/unit/FOLDER/NAME.libs (folders of archives, in link order).

# Without RDMA there is nothing to put on the stub of a device.
TESTS_LEFT_OUT := $(if $(filter 1,$(RDMA)),,$(addprefix tests/,unit/iser/conn.c unit/iser/ends.c unit/iser/errors.c \
	fuzz/fuzz_iser_conn.c))
UNIT_SRC := $(filter-out $(TESTS_LEFT_OUT),$(wildcard tests/unit/*/*.c))
UNIT_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(UNIT_SRC))
CHECK_CFLAGS := $(shell pkg-config --cflags check 2>/dev/null)
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null)

unit_libs = $(if $(wildcard tests/$*.libs),$(shell cat tests/$*.libs),$(GATEWAY_LIBS))

# Check's fork mode confuses ThreadSanitizer, and its assert macros fail -Wextra-style linting.
$(B)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) -Wno-missing-prototypes -Wno-cast-qual $(PKG_CFLAGS) $(CHECK_CFLAGS) \
		-MMD -MP -c -o $@ $<

.SECONDEXPANSION:
$(UNIT_BIN): $(B)/tests/%: $(B)/obj/tests/%.o \
		$$(foreach d,$$(unit_libs),$$(call lib,$$(d)))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS) $(CHECK_LIBS)

# Harnesses: tests/fuzz/fuzz_NAME.c. replay_NAME (any compiler) runs the corpus, fuzz_NAME (clang) searches.
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(filter-out $(TESTS_LEFT_OUT),$(wildcard tests/fuzz/fuzz_*.c)))
REPLAY_BIN := $(addprefix $(B)/tests/fuzz/replay_,$(FUZZ_NAMES))
FUZZ_BIN := $(addprefix $(B)/tests/fuzz/fuzz_,$(FUZZ_NAMES))
fuzz_libs = $(if $(wildcard tests/fuzz/fuzz_$*.libs),$(shell cat tests/fuzz/fuzz_$*.libs),$(GATEWAY_LIBS))

$(REPLAY_BIN): $(B)/tests/fuzz/replay_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/replay.o \
		$$(foreach d,$$(fuzz_libs),$$(call lib,$$(d)))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS)
$(FUZZ_BIN): $(B)/tests/fuzz/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o \
		$$(foreach d,$$(fuzz_libs),$$(call lib,$$(d)))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS)

# Initiators that the end-to-end tests drive.
TOOL_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/lib/*.c))
$(TOOL_BIN): $(B)/tests/lib/%: $(B)/obj/tests/lib/%.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $< -liscsi

# The initiator over verbs that the guest's tests drive.
ifneq ($(RDMA),0)
RAW_BIN := $(B)/tests/vm/raw_iser
$(RAW_BIN): $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/vm/raw/*.c))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $^ -lrdmacm -libverbs
endif

# The load generator and the measure of `make bench`: tests/bench/NAME*.c are one program each.
BENCH_BIN := $(B)/tests/bench/lean $(B)/tests/bench/limit $(B)/tests/bench/sessions $(B)/tests/bench/zerocopy
bench_objs = $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/bench/$(1)*.c))
$(B)/tests/bench/lean: $(call bench_objs,lean)
$(B)/tests/bench/limit: $(call bench_objs,limit)
$(B)/tests/bench/sessions: $(call bench_objs,sessions)
$(B)/tests/bench/zerocopy: $(call bench_objs,zerocopy)
$(BENCH_BIN): $(call lib,gateway/base)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS)

# A gateway that knows who wrote to which cache line: instrumented as for ThreadSanitizer, without its library.
LINES_OBJ := $(patsubst %.c,$(B)/obj/lines/%.o,gateway/main.c $(filter-out $(LEFT_OUT),$(foreach d,$(GATEWAY_LIBS),$(wildcard $(d)/*.c))))
$(LINES_OBJ): $(B)/obj/lines/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) -fsanitize=thread -fno-builtin $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/lines/lichgated: $(LINES_OBJ) $(B)/obj/tests/lines/lines.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -Wl,--wrap=memcpy,--wrap=memmove,--wrap=memset -o $@ $^ $(PKG_LIBS)

RUNNER = python3 tests/lib/runner.py --build $(B) --san "$(SAN)" --only "$(ONLY)" --result $(RESULT)
RESULT	?= $(B)/result.json
T	?= login
SECS	?= 60
RUN_SECS ?=
QUICK	?=
BENCH_ARGS ?=
LOAD	?= r32
OF	?= lichgate null
FUZZ_MAKE = $(MAKE) CC=clang SAN=address,undefined B=$(B)/fuzz CFLAGS="-O1 -g -fsanitize=fuzzer-no-link"

## make check           everything that runs on this machine: lint, unit, fuzz corpus, proto, e2e, conformance
##                      SAN=address,undefined or SAN=thread: instrumented; ONLY=REGEX: tests whose path matches
check: all unit replay tools
	@$(RUNNER) tests/lint $(UNIT_BIN) $(REPLAY_BIN) tests/proto tests/e2e tests/conform/quick tests/conform/epoll tests/conform/whole \
		tests/bench/selftest.py tests/appliance

## make lint            the rules about the tree alone
lint:
	@$(RUNNER) tests/lint

## make check-unit      unit tests and the fuzz corpus alone
check-unit: unit replay
	@$(RUNNER) $(UNIT_BIN) $(REPLAY_BIN)

## make check-conform   all of iscsi-test-cu on all kinds of LUN, as a table
check-conform: all
	@LGT_BUILD=$(abspath $(B)) LGT_SAN=$(SAN) python3 tests/conform/run.py --table --strict

## make check-vm        in a QEMU guest: open-iscsi, fio, boot from a LUN
check-vm: all tools
	@LGT_VM_DIR=$(abspath $(VM_DIR)) $(RUNNER) tests/vm

## make check-boot      boot a Debian root file system from a LUN (part of check-vm)
check-boot: all tools
	@LGT_VM_DIR=$(abspath $(VM_DIR)) $(RUNNER) tests/vm/boot.py

## make bench           beside tgt and the loopback limit, as ratios: QUICK=1 for two minutes, BENCH_ARGS=--help
bench: all bench-tools
	@LGT_BUILD=$(abspath $(B)) PYTHONDONTWRITEBYTECODE=1 tests/bench/bench.py $(if $(QUICK),--quick) $(BENCH_ARGS)

## make bench-nvme      in a QEMU guest, the NVMe backend beside fio on the same device: BENCH_ARGS=--help
bench-nvme: all bench-tools
	@LGT_BUILD=$(abspath $(B)) LGT_VM_DIR=$(abspath $(VM_DIR)) PYTHONDONTWRITEBYTECODE=1 tests/bench/nvme.py $(BENCH_ARGS)

## make bench-iser      in a QEMU guest with soft RoCE, iSER beside the kernel's ib_isert: QUICK=1, BENCH_ARGS=--help
bench-iser: all
	@LGT_BUILD=$(abspath $(B)) LGT_VM_DIR=$(abspath $(VM_DIR)) PYTHONDONTWRITEBYTECODE=1 tests/bench/iser.py \
		$(if $(QUICK),--quick) $(BENCH_ARGS)

## make bench-scale     what 1,000 and 10,000 idle sessions cost, and how fast they log in
bench-scale: all bench-tools
	@LGT_BUILD=$(abspath $(B)) PYTHONDONTWRITEBYTECODE=1 tests/bench/scale.py

## make flame           flame graph of one load: LOAD=r32 OF="lichgate null" (tests/bench/_plan.py has the names)
flame:
	+@$(MAKE) B=$(B)/flame CFLAGS="-O2 -g -fno-omit-frame-pointer" flame-one
flame-one: all bench-tools
	@LGT_BUILD=$(abspath $(B)) PYTHONDONTWRITEBYTECODE=1 tests/bench/flame.py --load $(LOAD) --contender "$(OF)"

## make fuzz            libFuzzer: T=NAME SECS=N; new finds go to build/fuzz/…/corpus/NAME
fuzz:
	+@$(FUZZ_MAKE) fuzz-one T=$(T) SECS=$(SECS)
fuzz-one: $(B)/tests/fuzz/fuzz_$(T)
	@mkdir -p $(B)/corpus/$(T)
	$< -max_total_time=$(SECS) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=$(B)/corpus/ \
		$(B)/corpus/$(T) tests/fuzz/corpus/$(T)

run: all
	@LGT_BUILD=$(abspath $(B)) RUN_SECS=$(RUN_SECS) tests/lib/run.py

unit: $(UNIT_BIN)
replay: $(REPLAY_BIN)
tools: $(TOOL_BIN) $(BENCH_BIN) $(RAW_BIN) $(if $(SAN),,$(B)/lines/lichgated)
bench-tools: $(BENCH_BIN)
.PHONY: check lint check-unit check-conform check-vm check-boot bench bench-nvme bench-iser bench-scale flame flame-one fuzz \
	fuzz-one run unit replay tools bench-tools
