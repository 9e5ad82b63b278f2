# SPDX-License-Identifier: GPL-2.0-only
# A thin front: the module is built by kbuild (Kbuild), the library in libuser/,
# the tests in selftests/. Everything made is in build/.

# Which kernel: a name of selftests/tools/vm/kernel.sh. With KDIR, modules are built
# against that folder instead, say KDIR=/lib/modules/$(uname -r)/build.
KERNEL ?= 6.1
KDIR ?=
PREFIX ?= /usr/local
DESTDIR ?=
# Of module-sign and modules_install: the files of a private key and of its certificate.
# Not from the environment, where these names can stand for something else.
KEY :=
CERT :=
# Where Python looks for packages: below PREFIX, in Debian's place.
PYTHONDIR ?=
# A file for the totals of check and lint: "passed failed skipped".
COUNTS ?=
# Of fuzz: how long, and where the random numbers begin.
MINUTES ?= 5
SEED ?=
# Of bench-holds: a tenth of the waiters, messages and so on.
QUICK ?=
# Of bench-profile: the operation, and the size of a message.
OP ?= pair
SIZE ?= 64
# Of bench-rates: fail when a ring misses its target.
JUDGE ?=
# Of bench: one measure, instead of all; on this machine, whose kernel has the module
# loaded, instead of a virtual one; put the result into the pages.
MEASURE ?=
HERE ?=
PAGE ?=
# Of bench-count: take what is reached as the new bounds.
BOUNDS ?=

# Of vm: a command instead of a shell, and files for the guest ("SRC:DEST ..."). As
# they were written, for the shell in the guest.
vm: override export CMD := $(value CMD)
vm: override export FILES := $(value FILES)
# Of lint-quick: changed since when.
lint-quick: export BASE ?=
# Of all that boots a machine: auto, kvm or tcg.
ACCEL ?= auto
export ACCEL

# A path as it is from every folder: a relative one begins here.
absolute = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))

VM := selftests/tools/vm
# The name of build/ folder.
TARGET := $(if $(KDIR),custom,$(KERNEL))
export KERNEL

# make -C KDIR M=here comes in through Kbuild, not through this file.
all: modules lib

help:
	@echo 'Try:'
	@echo '  demo             a tour of what it does, in a virtual machine'
	@echo '  vm               a shell in a virtual machine with the module loaded;'
	@echo '                   CMD="..." for a command, FILES="SRC:DEST ..." to take along'
	@echo
	@echo 'Build:'
	@echo '  all              module, library and programs, in build/ (the default)'
	@echo '  modules          the module for KERNEL ($(KERNEL)), or against KDIR'
	@echo '  lib              library and programs'
	@echo '  python           the Python package, in build/lib/python'
	@echo '  html             the pages and manual pages as a site, in build/html'
	@echo
	@echo 'Test:'
	@echo '  check            every test in a virtual machine; TESTS="a b" for some'
	@echo '  check-all        check on every kernel, one table; KERNELS="a b" for some'
	@echo '  check-fs         pjdfstest on mailboxes, fetched, and labels of SELinux'
	@echo '  check-clients    programs that others wrote, as they are, on the kernel'"'"'s'
	@echo '                   message queues and on mailboxes; CLIENTS="a b" for some,'
	@echo '                   COUNT=1 to measure instructions instead of time'
	@echo '  check-tracing    the scripts for bpftrace, and the probes of the library'
	@echo '  check-in-tree    the driver in the source of a kernel, built and booted'
	@echo '  check-signing    kernels that take only signed modules, with keys of one'"'"'s own'
	@echo '  check-embedded   the packages for Buildroot and Yocto: an image of Buildroot'"'"'s'
	@echo '                   boots, and bitbake runs what needs no other recipe'
	@echo '  check-vm         whether the virtual machine runner sees failures'
	@echo '  check-fresh      the demo of a clone on Debian releases that have nothing yet'
	@echo '  check-packages   the Debian packages, on a Debian that has nothing yet'
	@echo '  fuzz             fuzz the module for MINUTES=n on the debug kernel'
	@echo '  model            the model of the ring, and the code against it'
	@echo
	@echo 'Measure:'
	@echo '  bench            mailboxes and all other transports in one run; MEASURE=name'
	@echo '                   for one measure, HERE=1 where the module is loaded'
	@echo '  bench-count      a short form of it, counted and judged; BOUNDS=new sets them'
	@echo '  bench-holds      how long operations keep preemption off; QUICK=1 for less'
	@echo '  bench-profile    instructions by function; OP=pair|batch|call..., SIZE=bytes'
	@echo '  bench-age        what the time stamps of messages cost, judged'
	@echo '  bench-latency    from a send to a real-time receiver; KERNEL=6.1-rt'
	@echo '  bench-inherit    calls under load with MBOX_INHERIT and without; KERNEL=6.1-rt'
	@echo '  bench-nats       messages per second from a mailbox to a mailbox over NATS,'
	@echo '                   and by the client of NATS alone; KERNEL=um'
	@echo '  bench-rates      messages per second: rings, queues, the kernel'"'"'s others'
	@echo '  bench-crossover  the message size from which copying or mapping is faster'
	@echo
	@echo 'Check the source:'
	@echo '  lint             every static check'
	@echo '  lint-quick       in seconds, some of them of changed files; BASE=commit'
	@echo '  compile_commands.json  how each C file is compiled, for clangd and editors'
	@echo
	@echo 'Install:'
	@echo '  install          library, programs, man pages (PREFIX, DESTDIR)'
	@echo '  uninstall        remove what install has installed'
	@echo '  python-install   the Python package (PREFIX, PYTHONDIR, DESTDIR)'
	@echo '  python-uninstall  remove it again'
	@echo '  modules_install  the module, for the running kernel or KDIR'
	@echo '  module-sign      sign it, for Secure Boot: KEY=file CERT=file, which'
	@echo '                   modules_install takes, too'
	@echo '  dkms-install     the module, by DKMS for every kernel that is installed'
	@echo '  dkms-uninstall   remove it again'
	@echo '  deb              Debian packages of all this, in build/deb'
	@echo
	@echo 'Clean:'
	@echo '  clean            remove build/ and compile_commands.json'
	@echo
	@echo 'KERNEL is one of:' $$($(VM)/kernel.sh --list)
	@echo 'ACCEL=auto|kvm|tcg: how QEMU runs a machine; auto tries whether KVM works'
	@echo 'Kernels are kept in $${XDG_CACHE_HOME:-~/.cache}/mbox, and packages'
	@echo 'that a target needs are installed, with a word about which.'

modules:
	@$(if $(KDIR),:,$(VM)/deps.sh module $(if $(filter debug% lockdep kcsan um%,$(KERNEL)),kernel))
	@KDIR='$(KDIR)' $(VM)/module.sh $(TARGET)

modules_install module-sign: KDIR := $(or $(KDIR),/lib/modules/$(shell uname -r)/build)
modules_install: ROOT := $(or $(INSTALL_MOD_PATH),$(DESTDIR))
modules_install: $(if $(KEY)$(CERT),module-sign)
	@[ -z '$(word 2,$(ROOT))' ] || \
		{ echo "kbuild cannot install to a path with a blank: '$(ROOT)'" >&2; exit 1; }
	@KDIR='$(KDIR)' $(VM)/module.sh custom
	@umask 022 && KDIR='$(KDIR)' $(VM)/module.sh custom modules_install \
		INSTALL_MOD_PATH='$(if $(ROOT),$(call absolute,$(ROOT)))' cmd_depmod=:
	@[ -n '$(ROOT)' ] || { umask 022 && \
		depmod "$$(cat '$(KDIR)'/include/config/kernel.release)"; }

# Linked anew, since a signature is appended to what is there.
module-sign:
	@[ -n '$(KEY)' ] && [ -n '$(CERT)' ] || \
		{ echo 'KEY and CERT are needed: files of your key and of its certificate' >&2; exit 1; }
	@rm -f build/custom/mbox.ko
	@KDIR='$(KDIR)' $(VM)/module.sh custom
	@module/sign '$(KDIR)' '$(KEY)' '$(CERT)' build/custom/mbox.ko

lib:
	@$(MAKE) -s -C libuser O=../build/lib PREFIX='$(PREFIX)' all

python:
	@$(VM)/deps.sh python
	@$(MAKE) -s -C libuser O=../build/lib python

html:
	@$(VM)/deps.sh html
	@Documentation/html.sh build/html
	@echo 'the site is build/html/index.html'

python-install python-uninstall:
	@$(MAKE) -s -C libuser O=../build/lib PREFIX='$(PREFIX)' \
		$(if $(PYTHONDIR),PYTHONDIR='$(PYTHONDIR)') \
		DESTDIR='$(if $(DESTDIR),$(call absolute,$(DESTDIR)))' $@

install:
	@$(MAKE) -C libuser O=../build/lib PREFIX='$(PREFIX)' \
		DESTDIR='$(if $(DESTDIR),$(call absolute,$(DESTDIR)))' install

uninstall:
	@$(MAKE) -s -C libuser O=../build/lib PREFIX='$(PREFIX)' \
		DESTDIR='$(if $(DESTDIR),$(call absolute,$(DESTDIR)))' uninstall

# Below /usr/src, where dkms(8) finds it. KVER: for that kernel, not the running one.
KVER ?=
VERSION = $(shell sed -n 's/^MBOX_VERSION := //p' Kbuild)
dkms-install:
	@umask 022 && to=/usr/src/mbox-$(VERSION) && mkdir -p $$to && \
		cp -R Kbuild module uapi $$to/ && \
		sed 's/#MODULE_VERSION#/$(VERSION)/' dkms.conf >$$to/dkms.conf
	dkms install -m mbox -v $(VERSION) $(if $(KVER),-k '$(KVER)')

dkms-uninstall:
	dkms remove -m mbox -v $(VERSION) --all
	rm -rf /usr/src/mbox-$(VERSION)

deb:
	@$(VM)/deps.sh deb
	@debian/build-deb build/deb

demo:
	@$(VM)/in-vm demo

vm:
	@$(VM)/in-vm shell

check:
	@$(VM)/check $(if $(COUNTS),'$(COUNTS)')

# Of the whole suite on every kernel, the clients are a part too.
check-all:
	@status=0; $(VM)/check-all || status=$$?; \
		[ -n '$(TESTS)$(KERNELS)' ] || selftests/tools/clients/run || status=1; \
		[ -n '$(TESTS)$(KERNELS)' ] || MBOX_KILLS=10000 KERNEL=um-kasan \
			TESTS=lease_kill $(VM)/check || status=1; \
		[ -n '$(TESTS)$(KERNELS)' ] || NATS_MESSAGES=200000 NATS_KILLS=200 KERNEL=um \
			TESTS=nats_kill $(VM)/check || status=1; \
		exit $$status

check-packages:
	@$(VM)/packages.sh

# PJDFSTEST: a clone of it on this machine.
check-fs: export PJDFSTEST ?=
check-fs:
	@selftests/tools/labels/run
	@selftests/tools/pjdfstest/run

# SYSV_IPC: a clone of it on this machine.
CLIENTS ?=
check-clients: export SYSV_IPC ?=
check-clients: export COUNT ?=
check-clients:
	@selftests/tools/clients/run $(CLIENTS)

check-tracing:
	@selftests/tools/tracing/run || [ $$? = 4 ]

check-in-tree:
	@selftests/tools/tree/run

check-signing:
	@selftests/tools/signing/run || [ $$? = 4 ]

# BUILDROOT, OE_CORE, BITBAKE: clones of them on this machine.
check-embedded: export BUILDROOT ?=
check-embedded: export OE_CORE ?=
check-embedded: export BITBAKE ?=
check-embedded:
	@selftests/tools/embedded/run || [ $$? = 4 ]

check-vm:
	@$(VM)/selftest.sh

check-fresh:
	@$(VM)/fresh-roots.sh

# On the debug kernel, whatever KERNEL says.
fuzz:
	@selftests/fuzz/run -m $(MINUTES) $(if $(SEED),-s $(SEED))

COMPARE := selftests/bench/compare
PERFORMANCE := Documentation/performance.rst

bench:
	@$(VM)/deps.sh plot
	@mkdir -p build/bench
	@$(if $(HERE),$(MAKE) -s build/bench/compare && sudo build/bench/compare,$(VM)/in-vm bench) \
		$(if $(MEASURE),-m $(MEASURE)) >build/bench/bench.tsv
	@$(COMPARE)/report.py $(if $(PAGE),-p $(PERFORMANCE)) -d build/bench/bench.data \
		build/bench/bench.tsv
	@$(if $(MEASURE),:,gnuplot -e "data='build/bench/bench.data'; output='build/bench/bench.svg'" \
		Documentation/figures/compare.gnuplot)
	@$(if $(MEASURE),:,sed -i '1a <!-- SPDX-License-Identifier: GPL-2.0-only -->' build/bench/bench.svg)
	@$(if $(and $(PAGE),$(if $(MEASURE),,1)),cp build/bench/bench.svg Documentation/figures/compare.svg)
	@echo 'the table is build/bench/bench.tsv$(if $(MEASURE),,, its figure build/bench/bench.svg)'

# Without what the suite needs. Remote procedures are measured where libtirpc is.
TIRPC = $(shell pkg-config --cflags libtirpc 2>/dev/null)
build/bench/compare: lib $(wildcard $(COMPARE)/*.[ch] selftests/bench/*.h)
	@mkdir -p $(@D)
	@$(CC) -O2 -std=gnu11 -D_GNU_SOURCE -Iuapi -Ilibuser/include \
		$(if $(TIRPC),-DHAVE_TIRPC -Ilibuser/rpc $(TIRPC)) -o $@ $(COMPARE)/*.c \
		$(if $(TIRPC),build/lib/libmbox-rpc.a) build/lib/libmbox.a \
		$(if $(TIRPC),$(shell pkg-config --libs libtirpc)) -lrt

bench-count:
	@mkdir -p build/bench
	@$(VM)/in-vm count >build/bench/count.tsv
	@$(COMPARE)/report.py -b $(COMPARE)/bounds.tsv $(if $(BOUNDS),-u) build/bench/count.tsv

bench-holds:
	@$(VM)/in-vm holds $(if $(QUICK),-d 10)

bench-profile:
	@$(VM)/in-vm profile $(OP) $(SIZE)

bench-age:
	@selftests/bench/age

bench-latency:
	@$(VM)/in-vm latency

bench-inherit:
	@$(VM)/in-vm inherit

bench-rates:
	@$(VM)/in-vm rates $(if $(JUDGE),--judge)

bench-nats:
	@$(VM)/in-vm nats $(if $(JUDGE),--judge)

bench-crossover:
	@$(VM)/deps.sh plot
	@mkdir -p build
	@$(VM)/in-vm crossover >build/crossover.txt
	@cat build/crossover.txt
	@gnuplot -e "data='build/crossover.txt'; output='build/crossover.svg'" \
		Documentation/figures/crossover.gnuplot
	@sed -i '1a <!-- SPDX-License-Identifier: GPL-2.0-only -->' build/crossover.svg
	@echo 'its figure is build/crossover.svg'

model:
	@selftests/host/models/run

lint-quick:
	@selftests/tools/lint/run -q

lint:
	@selftests/tools/lint/run $(if $(COUNTS),-o '$(COUNTS)')

compile_commands.json:
	@selftests/tools/lint/compile-commands '$(CURDIR)/$@'

clean:
	rm -rf build compile_commands.json
	find . -path ./build -prune -o \( -name '*.o' -o -name '*.ko' -o \
		-name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' -o \
		-name Module.symvers -o -name modules.order \) -type f \
		-exec rm -f {} +

# Each is in the text of help.
.PHONY: all help modules modules_install module-sign lib python html install uninstall python-install python-uninstall dkms-install dkms-uninstall deb \
	demo vm check check-all check-fs check-clients check-tracing check-in-tree check-embedded check-signing check-vm check-fresh check-packages fuzz bench \
	bench-count bench-holds bench-profile bench-age bench-latency bench-inherit \
	bench-rates bench-nats bench-crossover model lint lint-quick compile_commands.json clean
