// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Handles: where they come from, their state, and how they end.
 *
 * Calls run without the GIL, so a thread can close a handle while another one waits in a
 * call. mbox_close() must be the last call on a handle of the library: struct handle counts
 * its uses, and the last one closes it. Until then its descriptor is open, and its number
 * is not used for another file.
 */
#include <string.h>
#include <unistd.h>

#include "mboxmodule.h"

/* In a child of fork(2), the uses of its parent do not end. */
static void adopt(struct handle *h)
{
	pid_t pid = getpid();

	if (h->pid == pid)
		return;
	h->pid = pid;
	h->uses = 0;
}

/* Begin a call on a handle. Returns NULL with an exception if it is closed. */
struct mbox *handle_begin(struct handle *h)
{
	if (h->closed) {
		PyErr_SetString(PyExc_ValueError, "the mailbox is closed");
		return NULL;
	}
	adopt(h);
	h->uses++;

	return h->mb;
}

static int close_unused(struct handle *h, int *error)
{
	struct mbox *mb = h->mb;
	int ret;

	h->mb = NULL;
	Py_BEGIN_ALLOW_THREADS
	ret = mbox_close(mb);
	*error = errno;
	Py_END_ALLOW_THREADS

	return ret;
}

/* End a call that handle_begin() has begun. */
void handle_end(struct handle *h)
{
	int error;

	adopt(h);
	/* A call in which a signal handler has forked ends in the child too. */
	if (h->uses)
		h->uses--;
	if (!h->uses && h->closed && h->mb)
		close_unused(h, &error);
}

/* The object of type @type for a handle, which it owns, also if it fails. */
static PyObject *wrap(PyTypeObject *type, struct mbox *mb)
{
	struct handle *h = (struct handle *)PyType_GenericAlloc(type, 0);
	struct mbox_stat st;

	if (!h) {
		mbox_close(mb);
		return NULL;
	}
	h->mb = mb;
	h->pid = getpid();
	/* Of one that is destroyed already, every call fails. */
	if (mbox_stat(mb, &st) == 0)
		h->msg_max = st.attr.msg_max;

	return (PyObject *)h;
}

/* ---- classmethods: make a handle ---------------------------------------------- */

#define OPEN(mb, error, call)                   \
	do {                                    \
		Py_BEGIN_ALLOW_THREADS          \
		errno = 0;                      \
		(mb) = (call);                  \
		(error) = errno;                \
		Py_END_ALLOW_THREADS            \
	} while (!(mb) && (error) == EINTR && !PyErr_CheckSignals())

static PyObject *wrap_opened(PyObject *type, struct mbox *mb, int error)
{
	if (!mb)
		return raise_error(error, "open");

	return wrap((PyTypeObject *)type, mb);
}

static PyObject *handle_create(PyObject *type, PyObject *args)
{
	struct mbox_options options = MBOX_OPTIONS_INIT;
	struct mbox_attr attr = MBOX_ATTR_INIT;
	PyObject *name_object, *name = NULL;
	uint64_t max_bytes;
	struct mbox *mb;
	int oflags, error;

	if (!PyArg_ParseTuple(args, "OiO&O&O&O&O&O&O&iO&", &name_object, &oflags, to_u32,
			      &attr.mode, to_u32, &attr.flags, to_u32, &attr.capacity, to_u32,
			      &attr.msg_max, to_u32, &attr.perm, to_u32, &options.history, to_u32,
			      &options.max_deliveries, &options.dead_letter, to_u64, &max_bytes))
		return NULL;
	options.max_bytes = max_bytes;
	if (name_object != Py_None && !PyUnicode_FSConverter(name_object, &name))
		return NULL;
	OPEN(mb, error, mbox_create_with(name ? PyBytes_AsString(name) : NULL, oflags, &attr,
					 &options));
	Py_XDECREF(name);

	return wrap_opened(type, mb, error);
}

static PyObject *handle_open(PyObject *type, PyObject *args)
{
	PyObject *name;
	struct mbox *mb;
	int oflags, error;

	if (!PyArg_ParseTuple(args, "O&i", PyUnicode_FSConverter, &name, &oflags))
		return NULL;
	OPEN(mb, error, mbox_open(PyBytes_AsString(name), oflags));
	Py_DECREF(name);

	return wrap_opened(type, mb, error);
}

static PyObject *handle_open_id(PyObject *type, PyObject *args)
{
	uint64_t id;
	struct mbox *mb;
	int oflags, error;

	if (!PyArg_ParseTuple(args, "O&i", to_u64, &id, &oflags))
		return NULL;
	OPEN(mb, error, mbox_open_id(id, oflags));

	return wrap_opened(type, mb, error);
}

static PyObject *handle_direct(PyObject *type, PyObject *args)
{
	struct mbox *mb;
	int pid, oflags, error;

	if (!PyArg_ParseTuple(args, "ii", &pid, &oflags))
		return NULL;
	OPEN(mb, error, mbox_direct(pid, oflags));

	return wrap_opened(type, mb, error);
}

static PyObject *handle_from_fd(PyObject *type, PyObject *args)
{
	struct mbox *mb;
	int fd, error;

	if (!PyArg_ParseTuple(args, "i", &fd))
		return NULL;
	OPEN(mb, error, mbox_from_fd(fd));

	return wrap_opened(type, mb, error);
}

static PyObject *handle_pipe(PyObject *type, PyObject *args)
{
	PyObject *reader, *writer;
	struct mbox *ends[2];
	int ret, error;

	(void)args;
	WITHOUT_GIL(ret, error, mbox_pipe(ends));
	if (ret < 0)
		return raise_error(error, "pipe");
	reader = wrap((PyTypeObject *)type, ends[0]);
	if (!reader) {
		mbox_close(ends[1]);
		return NULL;
	}
	writer = wrap((PyTypeObject *)type, ends[1]);
	if (!writer) {
		Py_DECREF(reader);
		return NULL;
	}

	return Py_BuildValue("NN", reader, writer);
}

/* ---- methods --------------------------------------------------------------------- */

static PyObject *handle_reopen(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb, *opened;
	int oflags, error;

	if (!PyArg_ParseTuple(args, "i", &oflags))
		return NULL;
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	OPEN(opened, error, mbox_reopen(mb, oflags));
	handle_end(h);

	return wrap_opened((PyObject *)Py_TYPE(self), opened, error);
}

static PyObject *handle_close(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	int error;

	(void)args;
	if (h->closed)
		Py_RETURN_NONE;
	h->closed = true;
	adopt(h);
	if (!h->uses && close_unused(h, &error) < 0)
		return raise_error(error, "close");

	Py_RETURN_NONE;
}

static PyObject *handle_fileno(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb = handle_begin(h);
	int fd;

	(void)args;
	if (!mb)
		return NULL;
	fd = mbox_fd(mb);
	handle_end(h);

	return PyLong_FromLong(fd);
}

/* Of a call that has no other result. */
static PyObject *nothing_or_error(struct handle *h, int ret, int error, const char *what)
{
	handle_end(h);
	if (ret < 0)
		return raise_error(error, what);

	Py_RETURN_NONE;
}

static PyObject *handle_destroy(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb = handle_begin(h);
	int ret, error;

	(void)args;
	if (!mb)
		return NULL;
	WITHOUT_GIL(ret, error, mbox_destroy(mb));

	return nothing_or_error(h, ret, error, "destroy");
}

static PyObject *handle_set_capacity(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb;
	uint32_t capacity;
	int ret, error;

	if (!PyArg_ParseTuple(args, "O&", to_u32, &capacity))
		return NULL;
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	WITHOUT_GIL(ret, error, mbox_set_capacity(mb, capacity));

	return nothing_or_error(h, ret, error, "set_capacity");
}

static PyObject *handle_set_perm(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	uint32_t uid, gid, mode;
	struct mbox *mb;
	int ret, error;

	if (!PyArg_ParseTuple(args, "O&O&O&", to_u32, &uid, to_u32, &gid, to_u32, &mode))
		return NULL;
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	WITHOUT_GIL(ret, error, mbox_set_perm(mb, uid, gid, mode));

	return nothing_or_error(h, ret, error, "set_perm");
}

static PyObject *numbers(const __u64 *from, int n)
{
	PyObject *tuple = PyTuple_New(n), *number;
	int i;

	for (i = 0; tuple && i < n; i++) {
		number = PyLong_FromUnsignedLongLong(from[i]);
		if (!number || PyTuple_SetItem(tuple, i, number) < 0) {
			Py_DECREF(tuple);
			return NULL;
		}
	}

	return tuple;
}

/* The attributes, and then the fields of mbox.Stat in their order. */
static PyObject *handle_stat(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb = handle_begin(h);
	struct mbox_stat st;
	PyObject *waited;
	int ret, error;

	(void)args;
	if (!mb)
		return NULL;
	WITHOUT_GIL(ret, error, mbox_stat(mb, &st));
	handle_end(h);
	if (ret < 0)
		return raise_error(error, "stat");
	waited = numbers(st.waited, MBOX_WAIT_BUCKETS);
	if (!waited)
		return NULL;

#define U64(field) ((unsigned long long)st.field)
	return Py_BuildValue("(IIIII)KIKIIKKKIIIIKIIIKKKKNII", st.attr.mode, st.attr.flags,
			     st.attr.capacity, st.attr.msg_max, st.attr.perm, U64(id), st.queued,
			     U64(bytes), st.waiting_senders, st.waiting_receivers, U64(sent),
			     U64(received), U64(dropped), st.uid, st.gid, st.send_handles,
			     st.recv_handles, U64(stalled_ns), st.stalled_pid, st.highest,
			     st.leased, U64(oldest_ns), U64(expired), U64(redelivered),
			     U64(dead_letters), waited, st.last_sender, st.last_receiver);
#undef U64
}

/* ---- the type -------------------------------------------------------------------- */

static void handle_dealloc(PyObject *self)
{
	struct handle *h = (struct handle *)self;
	PyTypeObject *type = Py_TYPE(self);
	PyObject *kind, *value, *traceback;
	int error;

	if (!h->closed && h->mb) {
		h->closed = true;
		PyErr_Fetch(&kind, &value, &traceback);
		if (PyErr_ResourceWarning(NULL, 1, "unclosed mailbox, descriptor %d",
					  mbox_fd(h->mb)) < 0)
			PyErr_WriteUnraisable(NULL);
		PyErr_Restore(kind, value, traceback);
	}
	/* Calls and slots have a reference: there is none. */
	if (h->mb)
		close_unused(h, &error);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyObject *handle_closed(PyObject *self, void *closure)
{
	(void)closure;
	return PyBool_FromLong(((struct handle *)self)->closed);
}

static PyObject *handle_msg_max(PyObject *self, void *closure)
{
	(void)closure;
	return PyLong_FromUnsignedLong(((struct handle *)self)->msg_max);
}

static PyGetSetDef handle_getset[] = {
	{ "closed", handle_closed, NULL, "Whether close() was called.", NULL },
	{ "msg_max", handle_msg_max, NULL, "Length of the longest message, in bytes.", NULL },
	{ 0 },
};

static PyMethodDef handle_methods[] = {
	{ "_create", handle_create, METH_VARARGS | METH_CLASS, NULL },
	{ "_open", handle_open, METH_VARARGS | METH_CLASS, NULL },
	{ "_open_id", handle_open_id, METH_VARARGS | METH_CLASS, NULL },
	{ "_direct", handle_direct, METH_VARARGS | METH_CLASS, NULL },
	{ "_from_fd", handle_from_fd, METH_VARARGS | METH_CLASS, NULL },
	{ "_pipe", handle_pipe, METH_NOARGS | METH_CLASS, NULL },
	{ "_reopen", handle_reopen, METH_VARARGS, NULL },
	{ "_close", handle_close, METH_NOARGS, NULL },
	{ "fileno", handle_fileno, METH_NOARGS, "The descriptor, which the mailbox owns." },
	{ "destroy", handle_destroy, METH_NOARGS,
	  "Destroy the mailbox for all processes: every call on it then raises Destroyed." },
	{ "_set_capacity", handle_set_capacity, METH_VARARGS, NULL },
	{ "_set_perm", handle_set_perm, METH_VARARGS, NULL },
	{ "_stat", handle_stat, METH_NOARGS, NULL },
	{ 0 },
};

static size_t count(const PyMethodDef *methods)
{
	size_t n = 0;

	while (methods[n].ml_name)
		n++;

	return n;
}

int add_handle_type(PyObject *module)
{
	PyMethodDef *const parts[] = { handle_methods, message_methods, call_methods,
				       slot_methods };
	static PyMethodDef methods[64];
	PyType_Slot slots[] = {
		{ Py_tp_dealloc, handle_dealloc },
		{ Py_tp_getset, handle_getset },
		{ Py_tp_methods, methods },
		{ Py_tp_doc, "A handle of a mailbox; the base of mbox.Mailbox." },
		{ 0 },
	};
	PyType_Spec spec = {
		.name = "mbox._mbox.Handle",
		.basicsize = sizeof(struct handle),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
			 Py_TPFLAGS_DISALLOW_INSTANTIATION,
		.slots = slots,
	};
	size_t i, n = 0, len;
	PyObject *type;
	int ret;

	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		len = count(parts[i]);
		if (n + len >= sizeof(methods) / sizeof(*methods)) {
			PyErr_SetString(PyExc_SystemError, "too many methods");
			return -1;
		}
		memcpy(&methods[n], parts[i], len * sizeof(*methods));
		n += len;
	}
	type = PyType_FromModuleAndSpec(module, &spec, NULL);
	if (!type)
		return -1;
	ret = PyModule_AddObjectRef(module, "Handle", type);
	Py_DECREF(type);

	return ret;
}
