/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libmbox-mq share.
 */
#ifndef MBOX_MQ_H
#define MBOX_MQ_H

#include <mqueue.h>

struct mbox_stat;

/* The state of a queue, or -1 and errno: EBADF for everything that is none. */
int mq__stat(mqd_t mqd, struct mbox_stat *st);

/* close(2), which also ends a registration through the descriptor. */
int mq__close(mqd_t mqd);

#endif /* MBOX_MQ_H */
