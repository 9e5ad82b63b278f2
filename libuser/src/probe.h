/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Probes for tracers (USDT): on a ring, messages pass without a system call, and the
 * tracepoints of the module see none of them. Each probe is one nop, and a note in the
 * program that tells tracers where it is and where its arguments are. The id is
 * asked for when a ring is mapped; the other arguments cost at most a load.
 *
 * <sys/sdt.h> is a header alone, of systemtap-sdt-dev; where it is missing, there are
 * no probes. Nor are there for 32 bits: its notes cannot describe a number of 64 bits
 * in two registers.
 */
#ifndef MBOX_PROBE_H
#define MBOX_PROBE_H

#if defined(__LP64__) && __has_include("sys/sdt.h")
#include <sys/sdt.h>
#define MBOX_PROBES 1
#define RING_PROBE(name, id, a, b) STAP_PROBE3(mbox, name, id, a, b)
#else
#define MBOX_PROBES 0
#define RING_PROBE(name, id, a, b) ((void)(id), (void)(a), (void)(b))
#endif

#endif /* MBOX_PROBE_H */
