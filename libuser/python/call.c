// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calls. Each is started and then waited for, not made by mbox_call(): a signal handler
 * that interrupts mbox_call() ends the call, and to repeat it would send the request twice.
 */
#include <string.h>

#include "mboxmodule.h"

static PyObject *handle_call_start(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct descriptors with = { 0 };
	struct mbox_msg msg = { 0 };
	int ret = -1, error = 0;
	Py_ssize_t reply_max;
	uint64_t type, deadline, token = 0;
	struct mbox *mb;
	PyObject *fds;
	Py_buffer buf;

	if (!PyArg_ParseTuple(args, "y*O&O&OO&O&n", &buf, to_u32, &msg.prio, to_u64, &type,
			      &fds, to_u32, &msg.flags, to_u64, &deadline, &reply_max))
		return NULL;
	if (get_descriptors(fds, &with) < 0)
		goto out;
	mb = handle_begin(h);
	if (!mb)
		goto out;
	msg.buf = MBOX_PTR(buf.buf);
	msg.len = buf.len < UINT32_MAX ? buf.len : UINT32_MAX;
	msg.type = type;
	msg.deadline_ns = deadline;
	msg.nfds = with.n;
	msg.fds = with.n ? MBOX_PTR(with.fd) : 0;
	WITHOUT_GIL(ret, error, mbox_call_start(mb, &msg, reply_max, &token));
	handle_end(h);
	if (ret < 0)
		raise_error(error, "call");
out:
	PyBuffer_Release(&buf);
	if (ret < 0)
		return NULL;

	return PyLong_FromUnsignedLongLong(token);
}

/*
 * Wait for one call. Returns the reply, its descriptors and flags; or, if the call goes on,
 * because only this function failed, the number of its error.
 */
static PyObject *handle_call_wait(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	PyObject *fds, *result = NULL;
	struct descriptors with = { 0 };
	struct mbox_msg in = { 0 }, msg;
	uint64_t token, deadline, which;
	struct timespec until;
	struct mbox *mb;
	Py_ssize_t size;
	ssize_t ret;
	char *buf;
	int error;

	if (!PyArg_ParseTuple(args, "O&O&O&nO&", to_u64, &token, to_u32, &in.flags, to_u64,
			      &deadline, &size, to_u32, &in.nfds))
		return NULL;
	if (in.nfds > MBOX_FDS_MAX) {
		PyErr_Format(PyExc_ValueError, "more than %d descriptors", MBOX_FDS_MAX);
		return NULL;
	}
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	buf = PyMem_Malloc(size);
	if (!buf) {
		PyErr_NoMemory();
		goto out;
	}
	until.tv_sec = deadline / 1000000000;
	until.tv_nsec = deadline % 1000000000;
	in.buf = MBOX_PTR(buf);
	in.len = size;
	in.fds = in.nfds ? MBOX_PTR(with.fd) : 0;
	do {
		msg = in;
		which = token;
		Py_BEGIN_ALLOW_THREADS
		ret = mbox_call_wait(mb, &which, &msg, deadline ? &until : NULL);
		error = errno;
		Py_END_ALLOW_THREADS
	} while (ret < 0 && error == EINTR && !msg.token && !PyErr_CheckSignals());
	if (ret < 0) {
		if (msg.token || PyErr_Occurred())
			raise_error(error, "call");
		else
			result = PyLong_FromLong(error);
		goto out;
	}
	with.n = msg.nfds;
	fds = give_descriptors(&with);
	if (fds)
		result = Py_BuildValue("y#NI", buf, (Py_ssize_t)ret, fds, msg.flags);
	if (!result)
		close_descriptors(&with);
out:
	PyMem_Free(buf);
	handle_end(h);

	return result;
}

/* Withdraw a call. If it has ended, its end is fetched, and dropped. */
static PyObject *handle_call_cancel(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox_msg msg = { .flags = MBOX_DONTWAIT | MBOX_TRUNC };
	uint64_t token, which;
	struct mbox *mb;
	int ret;

	if (!PyArg_ParseTuple(args, "O&", to_u64, &token))
		return NULL;
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	which = token;
	/* Neither waits. */
	Py_BEGIN_ALLOW_THREADS
	ret = mbox_call_cancel(mb, token);
	if (ret < 0)
		mbox_call_wait(mb, &which, &msg, NULL);
	Py_END_ALLOW_THREADS;
	handle_end(h);

	return PyBool_FromLong(!ret);
}

PyMethodDef call_methods[] = {
	{ "_call_start", handle_call_start, METH_VARARGS, NULL },
	{ "_call_wait", handle_call_wait, METH_VARARGS, NULL },
	{ "_call_cancel", handle_call_cancel, METH_VARARGS, NULL },
	{ 0 },
};
