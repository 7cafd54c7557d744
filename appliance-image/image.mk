# SPDX-License-Identifier: BSD-3-Clause
# DEB=FILE: that package instead of one built now. UPDATE_KEY=FILE: the key (PEM, Ed25519) that signs updates.
# IMAGE_CACHE=DIR: where the tar of Debian packages is kept between builds.

UPDATE_KEY  ?=
IMAGE_CACHE ?= $(B)/image/cache
# Signs where there is no UPDATE_KEY. `make clean` leaves it: the next build has the same bytes, and appliances take its updates.
DEVELOPMENT_KEY := $(or $(wildcard $(IMAGE_CACHE)/development.key),$(HOME)/.local/share/lichgate/development.key)
IMAGE_VERSION ?= $(VERSION)
DEB	    ?=
# The image is Debian 12 wherever it is built.
IMAGE_RELEASE := $(shell . /etc/os-release && [ "$$VERSION_CODENAME" = bookworm ] || echo bookworm)

## make image             the appliance's disk images and update file, in build/image/ (UPDATE_KEY=FILE signs the update)
image: $(if $(DEB),,image-deb)
	@SOURCE_DATE_EPOCH=$$(dpkg-parsechangelog -S Timestamp) appliance-image/build --version $(IMAGE_VERSION) \
		--deb "$(or $(DEB),$$(ls $(B)/deb$(addprefix /,$(IMAGE_RELEASE))/lichgate_$(VERSION)_*.deb))" --out $(B)/image --cache $(IMAGE_CACHE) \
		$(if $(UPDATE_KEY),--key "$(UPDATE_KEY)",--key "$(DEVELOPMENT_KEY)" --new-key)
image-deb:
	+@$(MAKE) deb RELEASE=$(IMAGE_RELEASE)

## make check-image       boots the images of `make image` in QEMU: ONLY=REGEX: tests whose path matches
check-image: $(filter image,$(MAKECMDGOALS))
	@LGT_IMAGE_DIR=$(abspath $(B)/image) LGT_UPDATE_KEY=$(abspath $(or $(UPDATE_KEY),$(DEVELOPMENT_KEY))) \
		LGT_VM_DIR=$(abspath $(VM_DIR)) $(RUNNER) tests/image

.PHONY: image image-deb check-image
