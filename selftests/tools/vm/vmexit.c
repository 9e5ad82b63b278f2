// SPDX-License-Identifier: GPL-2.0-only
/*
 * End QEMU through its isa-debug-exit device, from inside the guest: the
 * process's exit status becomes (value << 1) | 1, which no panic and no
 * power-off can produce.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <unistd.h>

#define EXIT_PORT 0xf4

int main(int argc, char **argv)
{
	int value = argc > 1 ? atoi(argv[1]) : 0;

	sync();
	if (ioperm(EXIT_PORT, 4, 1)) {
		perror("vmexit: ioperm");
		return 1;
	}
	outl(value, EXIT_PORT);
	fprintf(stderr, "vmexit: still here: no isa-debug-exit device\n");
	return 1;
}
