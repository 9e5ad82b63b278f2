/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libmbox for C++17: the handles of <mbox.h> as objects that close themselves, and
 * errors as exceptions. Header-only: link with -lmbox.
 *
 * <mbox.h> has a struct mbox, so the namespace is libmbox.
 *
 * All objects can be moved and not copied. A lease, a reservation or a view uses the
 * handle of its mailbox, and must end before that is closed. In all else the rules of
 * <mbox.h> hold, for threads, signals and fork(2) too: a call that a signal handler
 * interrupts throws an error with EINTR.
 */
#ifndef _MBOX_HPP
#define _MBOX_HPP

#include <mbox.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace libmbox {

/* What fails: code() has errno. */
class error : public std::system_error {
public:
	error(int number, const char *what)
		: std::system_error(number, std::generic_category(), what)
	{
	}
};

/* EAGAIN: the call would have to wait, and may not. */
class would_block : public error {
	using error::error;
};

/* ETIMEDOUT: the time was over before. */
class timed_out : public error {
	using error::error;
};

/* EPIPE: the other side is gone, or dropped the message. */
class hangup : public error {
	using error::error;
};

/* EIDRM: the mailbox was destroyed. */
class destroyed : public error {
	using error::error;
};

[[noreturn]] inline void throw_error(const char *what, int number = errno)
{
	switch (number) {
	case EAGAIN:
		throw would_block(number, what);
	case ETIMEDOUT:
		throw timed_out(number, what);
	case EPIPE:
		throw hangup(number, what);
	case EIDRM:
		throw destroyed(number, what);
	default:
		throw error(number, what);
	}
}

/* How long a call waits: without a limit, for a time, until a time, or not at all. */
class limit {
public:
	using clock = std::chrono::steady_clock;

	limit() = default;

	/* At most so long; what the clock cannot show is without a limit. */
	template <class Rep, class Period> limit(std::chrono::duration<Rep, Period> time)
	{
		const std::chrono::duration<double> seconds = time;
		const auto now = clock::now();

		if (!(seconds.count() < 1e9))
			return;
		set(now + std::chrono::duration_cast<clock::duration>(time));
	}

	limit(clock::time_point time)
	{
		set(time);
	}

	/* Fail with would_block instead of waiting. */
	static limit none()
	{
		limit l;

		l.dontwait = true;
		return l;
	}

	unsigned int flags() const
	{
		return dontwait ? MBOX_DONTWAIT : 0U;
	}

	std::uint64_t deadline_ns() const
	{
		return deadline;
	}

private:
	void set(clock::time_point time)
	{
		using namespace std::chrono;
		const auto ns = duration_cast<nanoseconds>(time.time_since_epoch()).count();

		/* 0 is none. */
		deadline = ns > 0 ? static_cast<std::uint64_t>(ns) : 1;
	}

	std::uint64_t deadline = 0;
	bool dontwait = false;
};

/* A descriptor that closes itself. */
class descriptor {
public:
	descriptor() = default;

	explicit descriptor(int fd) : number(fd)
	{
	}

	descriptor(descriptor &&other) noexcept : number(other.release())
	{
	}

	descriptor &operator=(descriptor &&other) noexcept
	{
		if (this != &other) {
			reset();
			number = other.release();
		}
		return *this;
	}

	~descriptor()
	{
		reset();
	}

	int get() const
	{
		return number;
	}

	/* The caller owns it from now on. */
	int release()
	{
		return std::exchange(number, -1);
	}

private:
	void reset()
	{
		if (number >= 0)
			::close(number);
		number = -1;
	}

	int number = -1;
};

/* What a message has besides its bytes, for mailbox::send() and mailbox::call(). */
struct send_options {
	unsigned int prio = 0;
	std::uint64_t type = 0;
	/* Each stays the caller's. */
	std::vector<int> fds = {};
	/* Return after a receiver has copied the message. */
	bool sync = false;
	/* After this time the message is dropped; 0: never. */
	std::chrono::nanoseconds lifespan{ 0 };
};

/* What to receive, for mailbox::recv(). */
struct recv_options {
	/* 0, or MBOX_MATCH, MBOX_MATCH_NOT or MBOX_MATCH_LE, with type; and MBOX_PEEK. */
	unsigned int flags = 0;
	std::uint64_t type = 0;
	/* How many descriptors to take; others are closed. */
	unsigned int fds = 0;
};

/* A message that was received. */
class message {
public:
	message() = default;
	message(message &&) = default;
	message &operator=(message &&) = default;

	/* Its bytes, also as text. */
	const std::vector<char> &data() const
	{
		return bytes;
	}

	std::string_view text() const
	{
		return { bytes.data(), bytes.size() };
	}

	/* The other fields: see struct mbox_msg. Its buffer and descriptors are not there. */
	const struct mbox_msg &info() const
	{
		return msg;
	}

	/* Not 0: a request, for mailbox::reply(). */
	std::uint64_t token() const
	{
		return msg.token;
	}

	std::vector<descriptor> fds;

private:
	friend class mailbox;

	std::vector<char> bytes;
	struct mbox_msg msg = {};
};

/* A message that comes back unless ack() is called, whatever ends the object. */
class lease : public message {
public:
	lease(lease &&other) noexcept
		: message(std::move(other)), mb(std::exchange(other.mb, nullptr))
	{
	}

	lease &operator=(lease &&) = delete;

	~lease()
	{
		if (mb)
			::mbox_nack(mb, token());
	}

	/* The work is done: end the message. */
	void ack()
	{
		end(::mbox_ack(mb, token()), "ack");
	}

	/* Put it back: to its place, or later, behind the others. */
	void nack(std::chrono::nanoseconds delay = std::chrono::nanoseconds(0))
	{
		end(::mbox_nack_after(mb, token(), static_cast<std::uint64_t>(delay.count())),
		    "nack");
	}

private:
	friend class mailbox;

	lease(struct ::mbox *handle, message &&received)
		: message(std::move(received)), mb(handle)
	{
	}

	void end(int ret, const char *what)
	{
		if (ret < 0)
			throw_error(what);
		mb = nullptr;
	}

	struct ::mbox *mb;
};

/* A slot of a ring, for a message that is written in place. Without commit(), there is
 * no message. */
class reservation {
public:
	reservation(reservation &&other) noexcept
		: mb(other.mb), slot(std::exchange(other.slot, nullptr)), len(other.len)
	{
	}

	reservation &operator=(reservation &&) = delete;

	~reservation()
	{
		if (slot)
			::mbox_discard(mb, slot);
	}

	void *data() const
	{
		return slot;
	}

	std::size_t size() const
	{
		return len;
	}

	/* Send the first @n bytes. The memory is not to be touched afterwards. */
	void commit(std::size_t n)
	{
		if (n > len)
			throw_error("commit", EMSGSIZE);
		if (::mbox_commit(mb, slot, n) < 0)
			throw_error("commit");
		slot = nullptr;
	}

	void commit()
	{
		commit(len);
	}

private:
	friend class mailbox;

	reservation(struct ::mbox *handle, void *memory, std::size_t size)
		: mb(handle), slot(memory), len(size)
	{
	}

	struct ::mbox *mb;
	void *slot;
	std::size_t len;
};

/* The next message of a ring, in place. Without release(), it stays the next one. */
class view {
public:
	view(view &&other) noexcept
		: mb(other.mb), slot(std::exchange(other.slot, nullptr)), len(other.len)
	{
	}

	view &operator=(view &&) = delete;
	~view() = default;

	const void *data() const
	{
		return slot;
	}

	std::size_t size() const
	{
		return len;
	}

	/* Receive it. The memory is not to be touched afterwards. */
	void release()
	{
		const void *memory = std::exchange(slot, nullptr);

		if (::mbox_release(mb, memory) < 0)
			throw_error("release");
	}

private:
	friend class mailbox;

	view(struct ::mbox *handle, const void *memory, std::size_t size)
		: mb(handle), slot(memory), len(size)
	{
	}

	struct ::mbox *mb;
	const void *slot;
	std::size_t len;
};

/* A handle of a mailbox. */
class mailbox {
public:
	/* Of a handle of <mbox.h>, which it owns from now on. */
	explicit mailbox(struct ::mbox *handle) : mb(handle)
	{
		struct mbox_stat st;

		/* Of one that is destroyed already, every call fails. */
		if (::mbox_stat(handle, &st) == 0)
			msg_max = st.attr.msg_max;
	}

	static struct mbox_attr attr()
	{
		return MBOX_ATTR_INIT;
	}

	static mailbox create(const char *name, int oflags = O_RDWR,
			      const struct mbox_attr &a = attr(),
			      const struct mbox_options *options = nullptr)
	{
		return opened(::mbox_create_with(name, oflags, &a, options), "create");
	}

	/* An anonymous one. */
	static mailbox create(const struct mbox_attr &a = attr())
	{
		return create(nullptr, O_RDWR, a);
	}

	static mailbox open(const char *name, int oflags = O_RDWR)
	{
		return opened(::mbox_open(name, oflags), "open");
	}

	static mailbox open_id(std::uint64_t id, int oflags = O_RDWR)
	{
		return opened(::mbox_open_id(id, oflags), "open");
	}

	static mailbox direct(pid_t peer, int oflags = O_RDWR)
	{
		return opened(::mbox_direct(peer, oflags), "direct");
	}

	/* Takes the descriptor, unless it throws. */
	static mailbox from_fd(descriptor &fd)
	{
		mailbox made = opened(::mbox_from_fd(fd.get()), "from_fd");

		fd.release();
		return made;
	}

	/* The end that receives, and the end that sends. */
	static std::pair<mailbox, mailbox> pipe()
	{
		struct ::mbox *ends[2];

		if (::mbox_pipe(ends) < 0)
			throw_error("pipe");
		return { mailbox(ends[0]), mailbox(ends[1]) };
	}

	mailbox reopen(int oflags = O_RDWR) const
	{
		return opened(::mbox_reopen(native(), oflags), "reopen");
	}

	static void unlink(const char *name)
	{
		check(::mbox_unlink(name), "unlink");
	}

	/* The handle, for functions of <mbox.h>; it stays this object's. */
	struct ::mbox *native() const
	{
		return mb.get();
	}

	int fd() const
	{
		return ::mbox_fd(native());
	}

	void destroy()
	{
		check(::mbox_destroy(native()), "destroy");
	}

	struct mbox_stat stat() const
	{
		struct mbox_stat st;

		check(::mbox_stat(native(), &st), "stat");
		return st;
	}

	void set_capacity(std::uint32_t capacity)
	{
		check(::mbox_set_capacity(native(), capacity), "set_capacity");
	}

	/* ---- messages ------------------------------------------------------------ */

	void send(const void *data, std::size_t len, const send_options &o = {},
		  const limit &l = {})
	{
		struct mbox_msg msg = to_send(data, len, o, l);

		check(::mbox_sendmsg(native(), &msg), "send");
	}

	void send(std::string_view text, const send_options &o = {}, const limit &l = {})
	{
		send(text.data(), text.size(), o, l);
	}

	message recv(const limit &l = {}, const recv_options &o = {})
	{
		return receive(l, o, o.flags);
	}

	/* Without waiting: nothing if there is no message. */
	std::optional<message> try_recv(const recv_options &o = {})
	{
		try {
			return recv(limit::none(), o);
		} catch (const would_block &) {
			return std::nullopt;
		}
	}

	lease recv_lease(const limit &l = {}, const recv_options &o = {})
	{
		return { native(), receive(l, o, o.flags | MBOX_LEASE) };
	}

	/* ---- requests ------------------------------------------------------------ */

	/* Send a request and wait for the reply. */
	message call(std::string_view request, const limit &l = {}, const send_options &o = {},
		     unsigned int fds = 0)
	{
		struct mbox_msg req = to_send(request.data(), request.size(), o, l);
		std::int32_t numbers[MBOX_FDS_MAX];
		message reply;
		::ssize_t len;

		/* A call always waits. */
		req.flags &= ~MBOX_DONTWAIT;
		reply.bytes.resize(msg_max);
		prepare(reply, fds, numbers);
		len = ::mbox_callmsg(native(), &req, &reply.msg);
		if (len < 0)
			throw_error("call");
		complete(reply, numbers);
		return reply;
	}

	/* Reply to a request that this handle received. */
	void reply(const message &request, std::string_view data, const std::vector<int> &fds = {})
	{
		struct mbox_msg rep = to_send(data.data(), data.size(), send_options(), limit());

		set_fds(rep, fds);
		check(::mbox_replymsg(native(), request.token(), &rep), "reply");
	}

	/* ---- rings --------------------------------------------------------------- */

	/* @flags: 0 or MBOX_DONTWAIT, as for view(). */
	reservation reserve(std::size_t len, unsigned int flags = 0)
	{
		void *slot = ::mbox_reserve(native(), len, flags);

		if (!slot)
			throw_error("reserve");
		return { native(), slot, len };
	}

	view peek(unsigned int flags = 0)
	{
		std::size_t len = 0;
		const void *slot = ::mbox_peek(native(), &len, flags);

		if (!slot)
			throw_error("peek");
		return { native(), slot, len };
	}

private:
	struct closer {
		void operator()(struct ::mbox *handle) const
		{
			::mbox_close(handle);
		}
	};

	static void check(int ret, const char *what)
	{
		if (ret < 0)
			throw_error(what);
	}

	static mailbox opened(struct ::mbox *handle, const char *what)
	{
		if (!handle)
			throw_error(what);
		return mailbox(handle);
	}

	static void set_fds(struct mbox_msg &msg, const std::vector<int> &fds)
	{
		static_assert(sizeof(int) == sizeof(__s32), "descriptors have 32 bits");

		msg.nfds = static_cast<__u32>(fds.size());
		msg.fds = fds.empty() ? 0 : MBOX_PTR(fds.data());
	}

	static struct mbox_msg to_send(const void *data, std::size_t len, const send_options &o,
				       const limit &l)
	{
		struct mbox_msg msg = {};

		msg.buf = MBOX_PTR(data);
		/* So long, no mailbox takes it. */
		msg.len = len < UINT32_MAX ? static_cast<__u32>(len) : UINT32_MAX;
		msg.flags = l.flags() | (o.sync ? MBOX_SYNC : 0U);
		msg.deadline_ns = l.deadline_ns();
		msg.prio = o.prio;
		msg.type = o.type;
		msg.lifespan_ns = static_cast<__u64>(o.lifespan.count());
		set_fds(msg, o.fds);
		return msg;
	}

	/* Room for a message as long as bytes, and for descriptors. */
	static void prepare(message &m, unsigned int fds, std::int32_t *numbers)
	{
		m.msg.buf = MBOX_PTR(m.bytes.data());
		m.msg.len = static_cast<__u32>(m.bytes.size());
		m.msg.nfds = fds;
		m.msg.fds = fds ? MBOX_PTR(numbers) : 0;
		m.fds.reserve(MBOX_FDS_MAX);
	}

	static void complete(message &m, const std::int32_t *numbers)
	{
		for (unsigned int i = 0; i < m.msg.nfds; i++)
			m.fds.emplace_back(numbers[i]);
		m.bytes.resize(m.msg.len);
		m.msg.buf = 0;
		m.msg.fds = 0;
		m.msg.nfds = 0;
	}

	message receive(const limit &l, const recv_options &o, unsigned int flags)
	{
		/* A longer message costs a second call. */
		const std::size_t most = msg_max, first = 65536;
		std::int32_t numbers[MBOX_FDS_MAX];
		message m;

		m.bytes.resize(most < first ? most : first);
		for (;;) {
			m.msg.flags = flags | l.flags();
			m.msg.deadline_ns = l.deadline_ns();
			m.msg.type = o.type;
			prepare(m, o.fds, numbers);
			if (::mbox_recvmsg(native(), &m.msg) >= 0)
				break;
			if (errno != EMSGSIZE || m.bytes.size() >= most)
				throw_error("recv");
			m.bytes.resize(most);
		}
		complete(m, numbers);
		return m;
	}

	std::unique_ptr<struct ::mbox, closer> mb;
	/* Does not change. */
	std::size_t msg_max = 0;
};

} // namespace libmbox

#endif /* _MBOX_HPP */
