// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Slots of rings: messages that are written and read in place.
 *
 * A slot gives its memory to memoryviews. It is a use of its handle, so the ring stays
 * mapped while a slot exists, also after the handle was closed. While a memoryview has
 * the memory of a slot, the slot cannot be committed, discarded or released: the view
 * would see, or change, another message.
 */
#include <unistd.h>

#include "mboxmodule.h"

/**
 * struct slot - a slot of a ring
 * @ob_base: the Python object
 * @h: its handle
 * @mb: the handle of the library, used until @memory is NULL
 * @memory: the payload; NULL: the slot was given back
 * @len: its length
 * @views: buffers that others have of it
 * @pid: the process that has the mapping: a child of fork(2) does not
 * @reserved: reserved by a sender; otherwise, a receiver looks at it
 */
struct slot {
	PyObject ob_base;
	struct handle *h;
	struct mbox *mb;
	void *memory;
	Py_ssize_t len;
	Py_ssize_t views;
	pid_t pid;
	bool reserved;
};

static PyTypeObject *slot_type;

static struct slot *new_slot(struct handle *h, struct mbox *mb)
{
	struct slot *s = (struct slot *)PyType_GenericAlloc(slot_type, 0);

	if (!s)
		return NULL;
	Py_INCREF((PyObject *)h);
	s->h = h;
	s->mb = mb;
	s->pid = getpid();

	return s;
}

/* The slot is given back, and the use of the handle ends. */
static void forget(struct slot *s)
{
	s->memory = NULL;
	/* A child has not begun to use it. */
	if (s->pid == getpid())
		handle_end(s->h);
}

/* A slot that an operation has got, or the exception of its error. */
static PyObject *slot_or_error(struct handle *h, struct slot *s, int error, const char *what)
{
	if (s->memory)
		return (PyObject *)s;
	handle_end(h);
	Py_DECREF(s);

	return raise_error(error, what);
}

static PyObject *handle_reserve(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb;
	struct slot *s;
	uint32_t flags;
	Py_ssize_t len;
	int ret, error;

	if (!PyArg_ParseTuple(args, "nO&", &len, to_u32, &flags))
		return NULL;
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	s = new_slot(h, mb);
	if (!s) {
		handle_end(h);
		return NULL;
	}
	s->len = len;
	s->reserved = true;
	WITHOUT_GIL(ret, error, (s->memory = mbox_reserve(mb, len, flags)) ? 0 : -1);

	return slot_or_error(h, s, error, "reserve");
}

static PyObject *handle_peek(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb;
	struct slot *s;
	uint32_t flags;
	size_t len = 0;
	int ret, error;

	if (!PyArg_ParseTuple(args, "O&", to_u32, &flags))
		return NULL;
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	s = new_slot(h, mb);
	if (!s) {
		handle_end(h);
		return NULL;
	}
	WITHOUT_GIL(ret, error, (s->memory = (void *)mbox_peek(mb, &len, flags)) ? 0 : -1);
	s->len = len;

	return slot_or_error(h, s, error, "peek");
}

/* Begin to give the slot back. Returns its memory, or NULL with an exception. */
static void *give_back(struct slot *s, bool reserved)
{
	if (!s->memory || s->reserved != reserved) {
		PyErr_SetString(PyExc_ValueError, "the slot was given back already");
		return NULL;
	}
	if (s->views) {
		PyErr_SetString(PyExc_BufferError,
				"a memoryview of the slot exists: release it first");
		return NULL;
	}

	return s->memory;
}

/* The same for what needs the handle, which a child may have closed. */
static void *give_back_to_ring(struct slot *s, bool reserved)
{
	void *memory = give_back(s, reserved);

	if (!memory || s->pid == getpid())
		return memory;
	PyErr_SetString(PyExc_ValueError, "the slot is the parent's");

	return NULL;
}

static PyObject *slot_commit(PyObject *self, PyObject *args)
{
	struct slot *s = (struct slot *)self;
	Py_ssize_t len;
	int ret, error;
	void *memory;

	if (!PyArg_ParseTuple(args, "n", &len))
		return NULL;
	memory = give_back_to_ring(s, true);
	if (!memory)
		return NULL;
	/* More was not reserved, and not shown. */
	if (len < 0 || len > s->len) {
		PyErr_SetString(PyExc_ValueError, "longer than what was reserved");
		return NULL;
	}
	/* None of these three waits. */
	ret = mbox_commit(s->mb, memory, len);
	error = errno;
	if (ret < 0)
		return raise_error(error, "commit");
	forget(s);

	Py_RETURN_NONE;
}

static PyObject *slot_discard(PyObject *self, PyObject *args)
{
	struct slot *s = (struct slot *)self;
	void *memory = give_back_to_ring(s, true);
	int ret, error;

	(void)args;
	if (!memory)
		return NULL;
	ret = mbox_discard(s->mb, memory);
	error = errno;
	forget(s);
	if (ret < 0)
		return raise_error(error, "discard");

	Py_RETURN_NONE;
}

static PyObject *slot_release(PyObject *self, PyObject *args)
{
	struct slot *s = (struct slot *)self;
	void *memory = give_back_to_ring(s, false);
	int ret, error;

	(void)args;
	if (!memory)
		return NULL;
	ret = mbox_release(s->mb, memory);
	error = errno;
	forget(s);
	if (ret < 0)
		return raise_error(error, "release");

	Py_RETURN_NONE;
}

/* End looking at a message: it stays the next one. */
static PyObject *slot_leave(PyObject *self, PyObject *args)
{
	struct slot *s = (struct slot *)self;

	(void)args;
	if (!give_back(s, false))
		return NULL;
	forget(s);

	Py_RETURN_NONE;
}

static int slot_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
	struct slot *s = (struct slot *)self;

	view->obj = NULL;
	if (!s->memory) {
		PyErr_SetString(PyExc_ValueError, "the slot was given back already");
		return -1;
	}
	if (s->pid != getpid()) {
		PyErr_SetString(PyExc_BufferError, "the slot is the parent's");
		return -1;
	}
	if (PyBuffer_FillInfo(view, self, s->memory, s->len, !s->reserved, flags) < 0)
		return -1;
	s->views++;

	return 0;
}

static void slot_release_buffer(PyObject *self, Py_buffer *view)
{
	(void)view;
	((struct slot *)self)->views--;
}

/* A reservation holds up later messages: it does not outlive its object. */
static void slot_dealloc(PyObject *self)
{
	struct slot *s = (struct slot *)self;
	PyTypeObject *type = Py_TYPE(self);

	if (s->memory) {
		if (s->reserved && s->pid == getpid())
			mbox_discard(s->mb, s->memory);
		forget(s);
	}
	Py_XDECREF((PyObject *)s->h);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyMethodDef methods[] = {
	{ "commit", slot_commit, METH_VARARGS, "Send the message." },
	{ "discard", slot_discard, METH_NOARGS, "Give the slot back without a message." },
	{ "release", slot_release, METH_NOARGS, "Receive the message." },
	{ "leave", slot_leave, METH_NOARGS, "Leave the message in the ring." },
	{ 0 },
};

PyMethodDef slot_methods[] = {
	{ "_reserve", handle_reserve, METH_VARARGS, NULL },
	{ "_peek", handle_peek, METH_VARARGS, NULL },
	{ 0 },
};

int add_slot_type(PyObject *module)
{
	PyType_Slot slots[] = {
		{ Py_tp_dealloc, slot_dealloc },
		{ Py_tp_methods, methods },
		{ Py_bf_getbuffer, slot_get_buffer },
		{ Py_bf_releasebuffer, slot_release_buffer },
		{ Py_tp_doc, "The memory of a message in a ring." },
		{ 0 },
	};
	PyType_Spec spec = {
		.name = "mbox._mbox.Slot",
		.basicsize = sizeof(struct slot),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
		.slots = slots,
	};

	slot_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
	if (!slot_type)
		return -1;

	return PyModule_AddObjectRef(module, "Slot", (PyObject *)slot_type);
}
