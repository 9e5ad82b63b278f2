# SPDX-License-Identifier: GPL-2.0-only
# A thin front: the module is built by kbuild (Kbuild), the library in libuser/,
# the tests in selftests/. Everything made is in build/.

# Which kernel: a name of selftests/vm/kernel.sh. With KDIR, modules are built
# against that folder instead, say KDIR=/lib/modules/$(uname -r)/build.
KERNEL ?= 6.1
KDIR ?=
PREFIX ?= /usr/local
DESTDIR ?=
# A file for the totals of check and lint: "passed failed skipped".
COUNTS ?=
# Of fuzz: how long, and where the random numbers begin.
MINUTES ?= 5
SEED ?=

VM := selftests/vm
# The name of build/ folder.
TARGET := $(if $(KDIR),custom,$(KERNEL))
export KERNEL

# make -C KDIR M=here comes in through Kbuild, not through this file.
all: modules lib

help:
	@echo 'all              module, library and programs, in build/'
	@echo 'modules          the module for KERNEL ($(KERNEL)), or against KDIR'
	@echo 'lib              library and programs'
	@echo 'install          library, programs, man pages (PREFIX, DESTDIR)'
	@echo 'modules_install  the module, for the running kernel or KDIR'
	@echo
	@echo 'demo             a tour of what it does, in a virtual machine'
	@echo 'vm               a shell in a virtual machine with the module loaded'
	@echo 'check            every test in a virtual machine; TESTS="a b" for some'
	@echo 'check-all        check on every kernel, one table; KERNELS="a b" for some'
	@echo 'fuzz             fuzz the module for MINUTES=n on the debug kernel'
	@echo 'check-vm         whether the virtual machine runner sees failures'
	@echo 'bench-count      instructions per send and receive, counted'
	@echo 'bench-latency    from a send to a real-time receiver; KERNEL=6.1-rt'
	@echo 'bench-inherit    calls under load with MBOX_INHERIT and without; KERNEL=6.1-rt'
	@echo 'bench-rates      messages per second: rings, queues, the kernel'"'"'s others'
	@echo 'bench-crossover  the message size from which copying or mapping is faster'
	@echo 'model            the model of the ring, and the code against it'
	@echo 'lint             every static check'
	@echo 'clean            remove build/'
	@echo
	@echo 'KERNEL is one of:' $$($(VM)/kernel.sh --list)
	@echo 'Kernels are kept in $${XDG_CACHE_HOME:-~/.cache}/mbox, and packages'
	@echo 'that a target needs are installed, with a word about which.'

modules:
	@$(if $(KDIR),:,$(VM)/deps.sh module $(if $(filter debug% kcsan,$(KERNEL)),kernel))
	@KDIR=$(KDIR) $(VM)/module.sh $(TARGET)

modules_install: KDIR := $(or $(KDIR),/lib/modules/$(shell uname -r)/build)
modules_install:
	@KDIR=$(KDIR) $(VM)/module.sh custom
	@KDIR=$(KDIR) $(VM)/module.sh custom modules_install \
		INSTALL_MOD_PATH=$(or $(INSTALL_MOD_PATH),$(DESTDIR)) cmd_depmod=:
	@[ -n '$(INSTALL_MOD_PATH)$(DESTDIR)' ] || \
		depmod "$$(cat $(KDIR)/include/config/kernel.release)"

lib:
	@$(MAKE) -s -C libuser O=$(abspath build/lib) PREFIX=$(PREFIX) all

install:
	@$(MAKE) -C libuser O=$(abspath build/lib) PREFIX=$(PREFIX) \
		DESTDIR=$(DESTDIR) install

demo:
	@$(VM)/in-vm demo

vm:
	@$(VM)/in-vm shell

check:
	@$(VM)/check $(COUNTS)

check-all:
	@$(VM)/check-all

check-vm:
	@$(VM)/selftest.sh

# On the debug kernel, whatever KERNEL says.
fuzz:
	@selftests/fuzz/run -m $(MINUTES) $(if $(SEED),-s $(SEED))

bench-count:
	@$(VM)/in-vm count

bench-latency:
	@$(VM)/in-vm latency

bench-inherit:
	@$(VM)/in-vm inherit

bench-rates:
	@$(VM)/in-vm rates $(if $(JUDGE),--judge)

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
	@selftests/model/run

lint:
	@selftests/lint/run $(if $(COUNTS),-o $(COUNTS))

clean:
	rm -rf build
	find . -path ./build -prune -o \( -name '*.o' -o -name '*.ko' -o \
		-name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' -o \
		-name Module.symvers -o -name modules.order \) -type f \
		-exec rm -f {} +

.PHONY: all help modules modules_install lib install demo vm check check-all \
	check-vm fuzz bench-count bench-latency bench-inherit bench-rates bench-crossover \
	model lint clean
