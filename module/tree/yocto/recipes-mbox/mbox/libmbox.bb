# SPDX-License-Identifier: GPL-2.0-only
SUMMARY = "Mailboxes for processes: library and mboxctl"
DESCRIPTION = "libmbox passes messages between processes by the kernel module mbox. With it \
come libraries that put POSIX and System V message queues on mailboxes, and mboxctl."
SECTION = "libs"
LICENSE = "LGPL-2.1-or-later & GPL-2.0-with-Linux-syscall-note & GPL-2.0-only"
LICENSE:${PN} = "LGPL-2.1-or-later"
LICENSE:${PN}-tools = "GPL-2.0-only"
LICENSE:${PN}-bash-completion = "GPL-2.0-only"

require mbox.inc
inherit bash-completion pkgconfig

SRC_URI += " \
    file://Documentation/man;subdir=${BP} \
    file://libuser;subdir=${BP} \
"

PACKAGECONFIG ??= "tools"
PACKAGECONFIG[tools] = "TOOLS=yes,TOOLS=,util-linux"
# libmbox-rpc is built where libtirpc is found.
PACKAGECONFIG[rpc] = ",,libtirpc"

EXTRA_OEMAKE = "-C libuser O=../build/lib PREFIX=${prefix} LIBDIR=${libdir} MANDIR=${mandir} \
    EXAMPLES= ${PACKAGECONFIG_CONFARGS}"

do_compile() {
	oe_runmake all
}

do_install() {
	oe_runmake install DESTDIR=${D}
}

PACKAGES =+ "${PN}-tools ${PN}-drop-in"
FILES:${PN}-tools = "${bindir} ${datadir}/mbox ${datadir}/zsh"
# They have no version, so that their names are those of a development package.
FILES:${PN}-drop-in = "${libdir}/libmbox-mq.so ${libdir}/libmbox-sysv.so"

BBCLASSEXTEND = "native nativesdk"
