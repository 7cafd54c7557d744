# SPDX-License-Identifier: BSD-3-Clause
# `make help` lists the targets: the lines here that begin with ##. Folders are layers: each becomes one archive, linked in layer order.

CC	?= cc
B	?= build
SAN	?=
RDMA	?= 1
WERROR	?= 1
# 1: show the commands.
V	?= 0
# 1: install what a clean Debian machine lacks; 0: do not look.
DEPS	?= 1

VERSION := 0.1.0
comma	:= ,

# Before anything asks pkg-config: a clean machine has none. A stamp makes the second look free.
GOALS	:= $(or $(MAKECMDGOALS),all)
NEEDS	:= $(if $(filter-out help clean,$(GOALS)),build) $(if $(findstring clang,$(CC)),clang) \
	   $(if $(filter check unit lint check-% replay,$(GOALS)),check) $(if $(filter run,$(GOALS)),run) $(if $(filter deb image,$(GOALS)),deb) \
	   $(if $(filter image,$(GOALS)),image) $(if $(filter check-image,$(GOALS)),check-image) \
	   $(if $(filter check-vm check-boot bench-nvme bench-iser,$(GOALS)),vm) $(if $(filter fuzz,$(GOALS)),fuzz) \
	   $(if $(filter bench bench-scale flame,$(GOALS)),bench)
ifeq ($(DEPS),1)
ifneq ($(filter build,$(NEEDS)),)
DEPS_STAMP := $(B)/deps/$(subst $() $(),-,$(strip $(NEEDS)))
ifneq ($(shell [ "$(DEPS_STAMP)" -nt tests/lib/deps.sh ] || { tests/lib/deps.sh $(NEEDS) && \
	mkdir -p $(B)/deps && touch "$(DEPS_STAMP)"; } || echo failed),)
$(error cannot go on without the packages named above)
endif
endif
endif

PKGS	:= liburing libisal libcrypto jansson sqlite3 libsystemd
ifeq ($(RDMA),1)
PKGS	+= librdmacm libibverbs
endif

CFLAGS	?= -O2 -g
CPPFLAGS += -I. -D_GNU_SOURCE -DLGT_VERSION='"$(VERSION)"' -DLGT_RDMA=$(RDMA)
WARN	:= -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes \
	   -Wmissing-prototypes -Wvla -Wundef -Wwrite-strings -Wimplicit-fallthrough \
	   -Wformat=2 -Wno-unused-parameter -Wno-missing-field-initializers
ifeq ($(WERROR),1)
WARN	+= -Werror
endif
ALLCFLAGS := -std=gnu11 -pthread -fno-common -fstack-protector-strong $(WARN) $(CFLAGS)
LDFLAGS	+= -pthread
# One guest image serves all builds.
VM_DIR	:= $(B)/vm
ifneq ($(SAN),)
override B := $(B)/san-$(subst $(comma),-,$(SAN))
ALLCFLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined -O1
LDFLAGS	+= -fsanitize=$(SAN)
endif

GATEWAY_LIBS := gateway/control gateway/model gateway/scsi iser iscsi backend gateway/core gateway/base
MGMT_LIBS    := mgmt gateway/base
PROGRAMS     := $(if $(wildcard gateway/main.c),lichgated) \
		$(if $(wildcard mgmt/mgmtd.c),lichgate-mgmtd) \
		$(if $(wildcard mgmt/lgtadm.c),lgtadm)
# Each has a main() and is linked alone, not put into its folder's archive.
MAINS	:= gateway/main.c mgmt/mgmtd.c mgmt/lgtadm.c
# Without RDMA what is bytes alone stays, for its tests.
LEFT_OUT := $(if $(filter 1,$(RDMA)),,$(filter-out iser/proto.c iser/life.c,$(wildcard iser/*.c)))

Q	:= $(if $(filter 1,$(V)),,@)
say	= $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' $(1) $(patsubst $(B)/%,%,$@))

lib	= $(B)/lib/$(subst /,-,$(1)).a
objs	= $(patsubst %.c,$(B)/obj/%.o,$(1))

.DEFAULT_GOAL := all
all: $(addprefix $(B)/,$(PROGRAMS))

-include tests/tests.mk
-include mgmt/install.mk
-include debian/deb.mk
-include appliance-image/image.mk

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) $(call pkg_cflags) -MMD -MP -c -o $@ $<

pkg_cflags = $(PKG_CFLAGS)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

define folder_lib
$(call lib,$(1)): $(call objs,$(filter-out $(MAINS) $(LEFT_OUT),$(wildcard $(1)/*.c)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)
	$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach d,$(sort $(GATEWAY_LIBS) $(MGMT_LIBS)),$(eval $(call folder_lib,$(d))))

$(B)/lichgated: $(B)/obj/gateway/main.o $(foreach d,$(GATEWAY_LIBS),$(call lib,$(d)))
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS)
$(B)/lichgate-mgmtd: $(B)/obj/mgmt/mgmtd.o $(foreach d,$(MGMT_LIBS),$(call lib,$(d)))
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS)
$(B)/lgtadm: $(B)/obj/mgmt/lgtadm.o $(foreach d,$(MGMT_LIBS),$(call lib,$(d)))
	$(call say,LINK)
	$(Q)$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS)

help:
	@sed -n 's/^## //p' Makefile tests/tests.mk debian/deb.mk appliance-image/image.mk

## make                 the programs, in build/
## make run             build, start with a file LUN, attach, write, read back, serve until Ctrl-C (RUN_SECS=N: that long)
## make clean           remove build/
clean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
.PHONY: all clean help
.DELETE_ON_ERROR:
