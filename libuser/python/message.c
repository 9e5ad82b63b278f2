// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages, leases and replies to requests. */
#include "mboxmodule.h"

/* A longer message costs a second call, and memory only while it is received. */
#define FIRST_SIZE 65536

static PyObject *handle_send(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct descriptors with = { 0 };
	struct mbox_msg msg = { 0 };
	uint64_t type, deadline, lifespan;
	int ret = -1, error = 0;
	struct mbox *mb;
	PyObject *fds;
	Py_buffer buf;

	if (!PyArg_ParseTuple(args, "y*O&O&OO&O&O&", &buf, to_u32, &msg.prio, to_u64, &type,
			      &fds, to_u32, &msg.flags, to_u64, &deadline, to_u64, &lifespan))
		return NULL;
	if (get_descriptors(fds, &with) < 0)
		goto out;
	mb = handle_begin(h);
	if (!mb)
		goto out;
	msg.buf = MBOX_PTR(buf.buf);
	/* So long, no mailbox takes it. */
	msg.len = buf.len < UINT32_MAX ? buf.len : UINT32_MAX;
	msg.type = type;
	msg.deadline_ns = deadline;
	msg.lifespan_ns = lifespan;
	msg.nfds = with.n;
	msg.fds = with.n ? MBOX_PTR(with.fd) : 0;
	WITHOUT_GIL(ret, error, mbox_sendmsg(mb, &msg));
	handle_end(h);
	if (ret < 0)
		raise_error(error, "send");
out:
	PyBuffer_Release(&buf);
	if (ret < 0)
		return NULL;

	Py_RETURN_NONE;
}

/* What was received into a buffer of @size bytes: the fields of mbox.Message, in order. */
static PyObject *give_message(const struct mbox_msg *msg, const char *buf, Py_ssize_t size,
			      const struct descriptors *with)
{
	PyObject *data, *fds;

	data = PyBytes_FromStringAndSize(buf, msg->len < size ? msg->len : size);
	if (!data)
		return NULL;
	fds = give_descriptors(with);
	if (!fds) {
		Py_DECREF(data);
		return NULL;
	}

	return Py_BuildValue("NIKKIIINKIKII", data, msg->prio, (unsigned long long)msg->type,
			     (unsigned long long)msg->token, msg->pid, msg->uid, msg->gid, fds,
			     (unsigned long long)msg->lost, msg->deliveries,
			     (unsigned long long)msg->lifespan_ns, msg->len, msg->flags);
}

static PyObject *handle_recv(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct descriptors with = { 0 };
	struct mbox_msg in = { 0 }, msg;
	uint64_t type, deadline;
	PyObject *result = NULL;
	Py_ssize_t size, room, want;
	struct mbox *mb;
	char *buf = NULL;
	ssize_t ret;
	int error;

	/* size -1: whatever the message has. */
	if (!PyArg_ParseTuple(args, "O&O&O&O&O&n", to_u32, &in.flags, to_u64, &deadline, to_u64,
			      &type, to_u32, &in.skip, to_u32, &in.nfds, &size))
		return NULL;
	if (in.nfds > MBOX_FDS_MAX) {
		PyErr_Format(PyExc_ValueError, "more than %d descriptors", MBOX_FDS_MAX);
		return NULL;
	}
	mb = handle_begin(h);
	if (!mb)
		return NULL;
	in.deadline_ns = deadline;
	in.type = type;
	in.fds = in.nfds ? MBOX_PTR(with.fd) : 0;
	want = size < 0 || size > h->msg_max ? h->msg_max : size;
	room = size < 0 && want > FIRST_SIZE ? FIRST_SIZE : want;
	for (;;) {
		PyMem_Free(buf);
		buf = PyMem_Malloc(room);
		if (!buf) {
			PyErr_NoMemory();
			goto out;
		}
		msg = in;
		msg.buf = MBOX_PTR(buf);
		msg.len = room;
		WITHOUT_GIL(ret, error, mbox_recvmsg(mb, &msg));
		if (ret >= 0)
			break;
		if (error != EMSGSIZE || room >= want) {
			raise_error(error, "receive");
			goto out;
		}
		room = want;
	}
	with.n = msg.nfds;
	result = give_message(&msg, buf, room, &with);
	if (!result) {
		close_descriptors(&with);
		/* A message on lease is not lost then. */
		if (in.flags & MBOX_LEASE)
			mbox_nack(mb, msg.token);
	}
out:
	PyMem_Free(buf);
	handle_end(h);

	return result;
}

static PyObject *handle_reply(PyObject *self, PyObject *args)
{
	struct handle *h = (struct handle *)self;
	struct descriptors with = { 0 };
	struct mbox_msg msg = { 0 };
	uint64_t token;
	int ret = -1, error = 0;
	struct mbox *mb;
	PyObject *fds;
	Py_buffer buf;

	if (!PyArg_ParseTuple(args, "O&y*O", to_u64, &token, &buf, &fds))
		return NULL;
	if (get_descriptors(fds, &with) < 0)
		goto out;
	mb = handle_begin(h);
	if (!mb)
		goto out;
	msg.buf = MBOX_PTR(buf.buf);
	msg.len = buf.len < UINT32_MAX ? buf.len : UINT32_MAX;
	msg.nfds = with.n;
	msg.fds = with.n ? MBOX_PTR(with.fd) : 0;
	WITHOUT_GIL(ret, error, mbox_replymsg(mb, token, &msg));
	handle_end(h);
	if (ret < 0)
		raise_error(error, "reply");
out:
	PyBuffer_Release(&buf);
	if (ret < 0)
		return NULL;

	Py_RETURN_NONE;
}

/* ---- leases ------------------------------------------------------------------------ */

static PyObject *end_lease(PyObject *self, uint64_t token, int how, uint64_t delay)
{
	struct handle *h = (struct handle *)self;
	struct mbox *mb = handle_begin(h);
	int ret, error;

	if (!mb)
		return NULL;
	WITHOUT_GIL(ret, error,
		    how == 'a' ? mbox_ack(mb, token) :
		    how == 'p' ? mbox_put_back(mb, token) :
				 mbox_nack_after(mb, token, delay));
	handle_end(h);
	if (ret < 0)
		return raise_error(error, how == 'a' ? "ack" : how == 'p' ? "put back" : "nack");

	Py_RETURN_NONE;
}

static PyObject *handle_ack(PyObject *self, PyObject *args)
{
	uint64_t token;

	if (!PyArg_ParseTuple(args, "O&", to_u64, &token))
		return NULL;

	return end_lease(self, token, 'a', 0);
}

static PyObject *handle_nack(PyObject *self, PyObject *args)
{
	uint64_t token, delay;

	if (!PyArg_ParseTuple(args, "O&O&", to_u64, &token, to_u64, &delay))
		return NULL;

	return end_lease(self, token, 'n', delay);
}

static PyObject *handle_put_back(PyObject *self, PyObject *args)
{
	uint64_t token;

	if (!PyArg_ParseTuple(args, "O&", to_u64, &token))
		return NULL;

	return end_lease(self, token, 'p', 0);
}

PyMethodDef message_methods[] = {
	{ "_send", handle_send, METH_VARARGS, NULL },
	{ "_recv", handle_recv, METH_VARARGS, NULL },
	{ "_reply", handle_reply, METH_VARARGS, NULL },
	{ "_ack", handle_ack, METH_VARARGS, NULL },
	{ "_nack", handle_nack, METH_VARARGS, NULL },
	{ "_put_back", handle_put_back, METH_VARARGS, NULL },
	{ 0 },
};
