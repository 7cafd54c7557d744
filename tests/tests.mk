# SPDX-License-Identifier: BSD-3-Clause
# Unit tests: tests/unit/FOLDER/NAME.c is one Check program, build/tests/unit/FOLDER/NAME. A test that
# needs another link line says so in tests/unit/FOLDER/NAME.libs (folders of archives, in link order).

UNIT_SRC := $(wildcard tests/unit/*/*.c)
UNIT_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(UNIT_SRC))
CHECK_CFLAGS := $(shell pkg-config --cflags check 2>/dev/null)
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null)

unit_libs = $(if $(wildcard tests/$*.libs),$(shell cat tests/$*.libs),$(GATEWAY_LIBS))

# Check's fork mode confuses ThreadSanitizer, and its assert macros fail -Wextra-style linting.
$(B)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALLCFLAGS) -Wno-missing-prototypes -Wno-cast-qual $(PKG_CFLAGS) $(CHECK_CFLAGS) \
		-MMD -MP -c -o $@ $<

.SECONDEXPANSION:
$(UNIT_BIN): $(B)/tests/%: $(B)/obj/tests/%.o \
		$$(foreach d,$$(unit_libs),$$(call lib,$$(d)))
	@mkdir -p $(@D)
	$(CC) $(ALLCFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS) $(CHECK_LIBS)

unit: $(UNIT_BIN)
