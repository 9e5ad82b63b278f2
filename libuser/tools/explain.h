/* SPDX-License-Identifier: GPL-2.0-only */
/* What an error number of the module means in words that say what to do. */
#ifndef MBOXCTL_EXPLAIN_H
#define MBOXCTL_EXPLAIN_H

#include <stddef.h>

#include <mbox.h>

/* As strerror(3), with the limit that was reached. The result may be @text. */
const char *explain_error(int error, char *text, size_t size);

/*
 * Why no mailbox can be created like this, where the kernel says EINVAL; NULL: it is not
 * known. The result may be @text.
 */
const char *explain_create(const char *name, const struct mbox_attr *attr,
			   const struct mbox_options *options, char *text, size_t size);

#endif /* MBOXCTL_EXPLAIN_H */
