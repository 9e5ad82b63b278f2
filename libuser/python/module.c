// SPDX-License-Identifier: LGPL-2.1-or-later
/* The module itself, its errors, and what needs no handle. */
#include <unistd.h>

#include "mboxmodule.h"

/* Makes the exception of an error number: mbox._error(). */
static PyObject *make_error;

/* Raise the exception of @error; @what is what failed. Returns NULL. */
PyObject *raise_error(int error, const char *what)
{
	PyObject *exception;

	/* A signal handler has raised one. */
	if (PyErr_Occurred())
		return NULL;
	if (!make_error) {
		errno = error;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	exception = PyObject_CallFunction(make_error, "is", error, what);
	if (!exception)
		return NULL;
	PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
	Py_DECREF(exception);

	return NULL;
}

int to_u64(PyObject *from, void *to)
{
	unsigned long long value = PyLong_AsUnsignedLongLong(from);

	if (value == (unsigned long long)-1 && PyErr_Occurred())
		return 0;
	*(uint64_t *)to = value;

	return 1;
}

int to_u32(PyObject *from, void *to)
{
	uint64_t value;

	if (!to_u64(from, &value))
		return 0;
	if (value > UINT32_MAX) {
		PyErr_SetString(PyExc_OverflowError, "a number of more than 32 bits");
		return 0;
	}
	*(uint32_t *)to = value;

	return 1;
}

/* Descriptors of a sequence of numbers, or of objects with fileno(). */
int get_descriptors(PyObject *from, struct descriptors *to)
{
	Py_ssize_t i, n = PySequence_Size(from);
	PyObject *item;

	if (n < 0)
		return -1;
	if (n > MBOX_FDS_MAX) {
		PyErr_Format(PyExc_ValueError, "more than %d descriptors", MBOX_FDS_MAX);
		return -1;
	}
	for (i = 0; i < n; i++) {
		item = PySequence_GetItem(from, i);
		if (!item)
			return -1;
		to->fd[i] = PyObject_AsFileDescriptor(item);
		Py_DECREF(item);
		if (to->fd[i] < 0)
			return -1;
	}
	to->n = n;

	return 0;
}

/* A tuple of the descriptors, which its owner closes. */
PyObject *give_descriptors(const struct descriptors *from)
{
	PyObject *tuple = PyTuple_New(from->n), *number;
	uint32_t i;

	for (i = 0; tuple && i < from->n; i++) {
		number = PyLong_FromLong(from->fd[i]);
		if (!number || PyTuple_SetItem(tuple, i, number) < 0) {
			Py_DECREF(tuple);
			return NULL;
		}
	}

	return tuple;
}

void close_descriptors(const struct descriptors *of)
{
	uint32_t i;

	for (i = 0; i < of->n; i++)
		close(of->fd[i]);
}

static PyObject *module_unlink(PyObject *module, PyObject *args)
{
	PyObject *name;
	int ret, error;

	(void)module;
	if (!PyArg_ParseTuple(args, "O&", PyUnicode_FSConverter, &name))
		return NULL;
	WITHOUT_GIL(ret, error, mbox_unlink(PyBytes_AsString(name)));
	Py_DECREF(name);
	if (ret < 0)
		return raise_error(error, "unlink");

	Py_RETURN_NONE;
}

static PyObject *module_info(PyObject *module, PyObject *args)
{
	struct mbox_info info;
	int ret, error;

	(void)module;
	(void)args;
	WITHOUT_GIL(ret, error, mbox_info(&info));
	if (ret < 0)
		return raise_error(error, "info");

	return Py_BuildValue("IIII", info.abi, info.modes, info.attr_flags, info.call_flags);
}

/* The id and the name of the next mailbox behind an id, or None. */
static PyObject *module_walk(PyObject *module, PyObject *args)
{
	struct mbox_walk pos = { 0 };
	PyObject *name;
	uint64_t id;
	int ret, error;

	(void)module;
	if (!PyArg_ParseTuple(args, "O&", to_u64, &id))
		return NULL;
	pos.id = id;
	WITHOUT_GIL(ret, error, mbox_walk(&pos));
	if (ret < 0 && error == ENOENT)
		Py_RETURN_NONE;
	if (ret < 0)
		return raise_error(error, "walk");
	name = PyUnicode_DecodeFSDefault(pos.name);
	if (!name)
		return NULL;

	return Py_BuildValue("KN", (unsigned long long)pos.id, name);
}

static PyObject *module_set_error(PyObject *module, PyObject *function)
{
	(void)module;
	Py_INCREF(function);
	Py_XDECREF(make_error);
	make_error = function;

	Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
	{ "unlink", module_unlink, METH_VARARGS, "Remove the name of a mailbox." },
	{ "info", module_info, METH_NOARGS, "The features of the loaded module." },
	{ "walk", module_walk, METH_VARARGS, "The next mailbox behind an id." },
	{ "set_error", module_set_error, METH_O, "Set what makes exceptions." },
	{ 0 },
};

static struct PyModuleDef module_def = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "_mbox",
	.m_doc = "Mailboxes: the part of the package mbox that is written in C.",
	.m_size = -1,
	.m_methods = module_methods,
};

static int add_constants(PyObject *module)
{
#define CONSTANT(name) { #name, MBOX_##name }
	static const struct {
		const char *name;
		unsigned int value;
	} constants[] = {
		CONSTANT(QUEUE), CONSTANT(RING),
		CONSTANT(FIXED), CONSTANT(DROP_OLDEST), CONSTANT(DROP_NEWEST), CONSTANT(HANGUP),
		CONSTANT(ONE_SENDER), CONSTANT(ONE_RECEIVER), CONSTANT(BROADCAST), CONSTANT(FAIR),
		CONSTANT(INHERIT), CONSTANT(LEAF), CONSTANT(TEMPORARY),
		CONSTANT(DONTWAIT), CONSTANT(REALTIME), CONSTANT(SYNC), CONSTANT(PEEK),
		CONSTANT(TRUNC), CONSTANT(MATCH), CONSTANT(MATCH_NOT), CONSTANT(MATCH_LE),
		CONSTANT(CTRUNC), CONSTANT(LOST), CONSTANT(LEASE),
		CONSTANT(PRIO_MAX), CONSTANT(NAME_MAX), CONSTANT(FDS_MAX), CONSTANT(UNBOUNDED),
	};
#undef CONSTANT
	PyObject *value;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(constants) / sizeof(*constants); i++) {
		value = PyLong_FromUnsignedLong(constants[i].value);
		if (!value)
			return -1;
		ret = PyModule_AddObjectRef(module, constants[i].name, value);
		Py_DECREF(value);
		if (ret < 0)
			return -1;
	}

	return 0;
}

PyMODINIT_FUNC PyInit__mbox(void);

PyMODINIT_FUNC PyInit__mbox(void)
{
	PyObject *module = PyModule_Create(&module_def);

	if (!module)
		return NULL;
	if (add_constants(module) < 0 || add_handle_type(module) < 0 ||
	    add_slot_type(module) < 0) {
		Py_DECREF(module);
		return NULL;
	}

	return module;
}
