# SPDX-License-Identifier: GPL-2.0-only
SUMMARY = "Mailboxes for processes: kernel module"
DESCRIPTION = "The module mbox for Linux 6.1 and later, which needs NET, EVENTFD and \
MULTIUSER of the kernel."
SECTION = "kernel/modules"
LICENSE = "GPL-2.0-only"

require mbox.inc
inherit module

SRC_URI += "file://module;subdir=${BP}"

# Kbuild is no Makefile: the kernel's own make reads it.
EXTRA_OEMAKE = "-C ${STAGING_KERNEL_DIR} M=${S}"
MAKE_TARGETS = "modules"

RPROVIDES:${PN} += "kernel-module-mbox"
