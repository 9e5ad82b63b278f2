################################################################################
#
# mbox (SPDX-License-Identifier: GPL-2.0-only)
#
################################################################################

# The source is the checkout that this folder is part of, and so is the version.
MBOX_SITE = $(realpath $(BR2_EXTERNAL_MBOX_PATH)/../../..)
MBOX_SITE_METHOD = local
MBOX_VERSION = $(shell sed -n 's/^MBOX_VERSION := //p' $(MBOX_SITE)/Kbuild)
MBOX_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude=/build

MBOX_LICENSE = GPL-2.0 (module), \
	GPL-2.0 WITH Linux-syscall-note (uapi/linux/mbox.h), \
	LGPL-2.1+ (libmbox)
MBOX_LICENSE_FILES = COPYING
MBOX_INSTALL_STAGING = YES
MBOX_DEPENDENCIES = host-pkgconf

ifeq ($(BR2_PACKAGE_MBOX_TOOLS),y)
MBOX_LICENSE += , GPL-2.0 (mboxctl)
MBOX_DEPENDENCIES += util-linux
MBOX_TOOLS = yes
endif

# libmbox-rpc is built where libtirpc is found.
ifeq ($(BR2_PACKAGE_LIBTIRPC),y)
MBOX_DEPENDENCIES += libtirpc
endif

MBOX_MAKE_OPTS = \
	$(TARGET_CONFIGURE_OPTS) \
	O=../build/lib \
	PREFIX=/usr \
	TOOLS=$(MBOX_TOOLS) \
	EXAMPLES=

define MBOX_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D)/libuser $(MBOX_MAKE_OPTS) all
endef

define MBOX_INSTALL_STAGING_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D)/libuser $(MBOX_MAKE_OPTS) \
		DESTDIR=$(STAGING_DIR) install
endef

define MBOX_INSTALL_TARGET_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D)/libuser $(MBOX_MAKE_OPTS) \
		DESTDIR=$(TARGET_DIR) install
endef

ifeq ($(BR2_PACKAGE_MBOX_MODULE),y)
define MBOX_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET)
	$(call KCONFIG_ENABLE_OPT,CONFIG_EVENTFD)
	$(call KCONFIG_ENABLE_OPT,CONFIG_MULTIUSER)
endef

$(eval $(kernel-module))
endif
$(eval $(generic-package))
