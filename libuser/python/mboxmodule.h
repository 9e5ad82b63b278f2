/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The C part of the Python package, mbox._mbox: handles and ring slots over libmbox,
 * for the stable ABI of Python 3.11 and later. It has no policy: mbox/__init__.py
 * checks arguments and gives them their shape.
 */
#ifndef _MBOXMODULE_H
#define _MBOXMODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <mbox.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct handle - a handle of a mailbox
 * @ob_base: the Python object
 * @mb: the handle of the library
 * @msg_max: length of the longest message
 * @uses: calls and slots that use @mb. Protected by the GIL
 * @pid: the process whose uses these are
 * @closed: no new call may begin; the last use closes @mb
 */
struct handle {
	PyObject ob_base;
	struct mbox *mb;
	uint32_t msg_max;
	unsigned int uses;
	pid_t pid;
	bool closed;
};

/**
 * struct descriptors - what a message carries, or room for it
 * @n: how many
 * @fd: each
 */
struct descriptors {
	uint32_t n;
	int32_t fd[MBOX_FDS_MAX];
};

/*
 * Run @call without the GIL. A signal handler of Python's runs when it ends with EINTR;
 * unless the handler raises an exception, @call is repeated, with the same deadline.
 * @error is set to errno.
 */
#define WITHOUT_GIL(ret, error, call)                       \
	do {                                                \
		Py_BEGIN_ALLOW_THREADS                      \
		(ret) = (call);                             \
		(error) = errno;                            \
		Py_END_ALLOW_THREADS                        \
	} while ((ret) < 0 && (error) == EINTR && !PyErr_CheckSignals())

/* Converters of PyArg_ParseTuple(), for numbers of 32 and 64 bits, which check the range. */
int to_u32(PyObject *from, void *to);
int to_u64(PyObject *from, void *to);

PyObject *raise_error(int error, const char *what);
struct mbox *handle_begin(struct handle *h);
void handle_end(struct handle *h);
int get_descriptors(PyObject *from, struct descriptors *to);
PyObject *give_descriptors(const struct descriptors *from);
void close_descriptors(const struct descriptors *of);

extern PyMethodDef message_methods[];
extern PyMethodDef call_methods[];
extern PyMethodDef slot_methods[];

int add_handle_type(PyObject *module);
int add_slot_type(PyObject *module);

#endif /* _MBOXMODULE_H */
