// SPDX-License-Identifier: GPL-2.0-only
/* <mbox.hpp>: handles that close themselves, exceptions, guards. KTAP. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>
#include <thread>

#include <mbox.hpp>

using namespace std::chrono_literals;
using libmbox::limit;
using libmbox::mailbox;

namespace {

#define CHECK(condition)                                                                      \
	do {                                                                                  \
		if (!(condition))                                                             \
			throw std::logic_error("line " + std::to_string(__LINE__) +           \
					       ": " #condition);                              \
	} while (0)

/* Of just this kind, and with this number. */
#define THROWS(kind, number, expression)                                                      \
	do {                                                                                  \
		bool thrown = false;                                                          \
		try {                                                                         \
			(void)(expression);                                                   \
		} catch (const libmbox::error &e) {                                           \
			CHECK(typeid(e) == typeid(libmbox::kind));                            \
			CHECK(e.code().value() == (number));                                  \
			thrown = true;                                                        \
		}                                                                             \
		CHECK(thrown);                                                                \
	} while (0)

template <class T>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<T> &&
			    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;

static_assert(moves_only<mailbox> && std::is_nothrow_move_assignable_v<mailbox>);
static_assert(moves_only<libmbox::message> && moves_only<libmbox::lease>);
static_assert(moves_only<libmbox::reservation> && moves_only<libmbox::view>);
static_assert(moves_only<libmbox::descriptor>);
static_assert(std::is_base_of_v<std::system_error, libmbox::would_block>);

int open_files()
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

mailbox with(uint32_t mode, uint32_t capacity, uint32_t msg_max = 8192)
{
	struct mbox_attr attr = mailbox::attr();

	attr.mode = mode;
	attr.capacity = capacity;
	attr.msg_max = msg_max;
	return mailbox::create(attr);
}

void handles_close_themselves()
{
	const int before = open_files();
	{
		mailbox one = mailbox::create();
		const int fd = one.fd();
		mailbox two = std::move(one);

		CHECK(two.fd() == fd && !one.native());
		one = two.reopen(O_WRONLY);
		one.send("hello");
		THROWS(error, EBADF, one.recv());
		CHECK(two.recv().text() == "hello");
		CHECK(mailbox::open_id(two.stat().id).stat().id == two.stat().id);
		CHECK(two.stat().send_handles == 2);
		libmbox::descriptor copy(dup(two.fd()));
		mailbox three = mailbox::from_fd(copy);
		CHECK(copy.get() < 0);
	}
	CHECK(open_files() == before);
	libmbox::descriptor other(open("/dev/null", O_RDONLY));
	THROWS(error, EINVAL, mailbox::from_fd(other));
	CHECK(other.get() >= 0);
}

void names()
{
	const std::string name = "cpp-test-" + std::to_string(getpid());
	mailbox mb = mailbox::create(name.c_str(), O_RDWR | O_EXCL);

	mailbox::open(name.c_str(), O_WRONLY).send("by name");
	CHECK(mb.recv().text() == "by name");
	THROWS(error, EEXIST, mailbox::create(name.c_str(), O_RDWR | O_EXCL));
	mailbox::unlink(name.c_str());
	THROWS(error, ENOENT, mailbox::open(name.c_str()));
	THROWS(error, ENOENT, (mailbox::unlink(name.c_str()), 0));
}

void messages()
{
	mailbox mb = with(MBOX_QUEUE, 64, 300000);
	std::string longest(300000, 'x');
	libmbox::send_options high;

	high.prio = 7;
	high.type = 42;
	mb.send("low");
	mb.send("high", high);
	libmbox::message m = mb.recv();
	CHECK(m.text() == "high" && m.info().prio == 7 && m.info().type == 42);
	CHECK(m.info().pid == static_cast<uint32_t>(getpid()) && m.token() == 0);
	mb.send("other", high);
	libmbox::recv_options odd;
	odd.flags = MBOX_MATCH;
	odd.type = 42;
	CHECK(mb.recv({}, odd).text() == "other");
	CHECK(!mb.try_recv(odd));
	CHECK(mb.try_recv()->text() == "low");
	mb.send("");
	CHECK(mb.recv().data().empty());
	mb.send(longest);
	CHECK(mb.recv().text() == longest);
	THROWS(error, EMSGSIZE, (mb.send(longest + "x"), 0));
}

void time_limits()
{
	mailbox mb = with(MBOX_QUEUE, 1);
	const auto start = limit::clock::now();

	THROWS(would_block, EAGAIN, mb.recv(limit::none()));
	THROWS(timed_out, ETIMEDOUT, mb.recv(10ms));
	THROWS(timed_out, ETIMEDOUT, mb.recv(start + 20ms));
	CHECK(limit::clock::now() >= start + 20ms);
	THROWS(timed_out, ETIMEDOUT, mb.recv(-1s));
	/* What can be done without waiting is done. */
	mb.send("x", {}, limit::clock::time_point());
	THROWS(would_block, EAGAIN, (mb.send("y", {}, limit::none()), 0));
	THROWS(timed_out, ETIMEDOUT, (mb.send("y", {}, 1ms), 0));
	CHECK(mb.recv(std::chrono::hours::max()).text() == "x");
	CHECK(limit(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()))
		      .deadline_ns() == 0);
}

void other_errors()
{
	auto [reader, writer] = mailbox::pipe();

	writer.send("last");
	{
		mailbox end = std::move(writer);
	}
	CHECK(reader.recv().text() == "last");
	THROWS(hangup, EPIPE, reader.recv());
	mailbox mb = mailbox::create();
	mb.destroy();
	THROWS(destroyed, EIDRM, mb.recv());
	THROWS(destroyed, EIDRM, mb.stat());
}

void descriptors()
{
	const int before = open_files();
	mailbox mb = mailbox::create();
	libmbox::recv_options two;
	libmbox::send_options o;
	int ends[2];

	two.fds = 2;
	CHECK(pipe(ends) == 0);
	o.fds = { ends[0], ends[1] };
	mb.send("both", o);
	close(ends[0]);
	close(ends[1]);
	{
		libmbox::message m = mb.recv({}, two);
		char text[8] = "";

		CHECK(m.fds.size() == 2);
		CHECK(write(m.fds[1].get(), "there", 5) == 5);
		CHECK(read(m.fds[0].get(), text, sizeof(text)) == 5 && !strcmp(text, "there"));
		o.fds = { m.fds[0].get() };
		mb.send("none", o);
		libmbox::message none = mb.recv();
		CHECK(none.fds.empty() && none.info().flags & MBOX_CTRUNC);
	}
	CHECK(open_files() == before + 1);
	two.fds = MBOX_FDS_MAX + 1;
	THROWS(error, EINVAL, mb.recv({}, two));
}

void leases()
{
	mailbox mb = mailbox::create();

	mb.send("job");
	try {
		libmbox::lease job = mb.recv_lease();
		CHECK(mb.stat().leased == 1);
		throw std::runtime_error("the work fails");
	} catch (const std::runtime_error &) {
	}
	{
		libmbox::lease job = mb.recv_lease();
		CHECK(job.info().deliveries == 2);
		libmbox::lease moved = std::move(job);
		moved.nack();
		CHECK(mb.stat().leased == 0);
	}
	libmbox::lease job = mb.recv_lease();
	CHECK(job.info().deliveries == 3 && job.text() == "job");
	job.nack(1ms);
	libmbox::lease again = mb.recv_lease();
	again.ack();
	CHECK(mb.stat().leased == 0 && mb.stat().queued == 0);
}

void requests()
{
	mailbox mb = mailbox::create();
	std::thread server([&mb] {
		for (int i = 0; i < 3; i++) {
			libmbox::message request = mb.recv();
			mb.reply(request, std::string(request.text()) + "!", { 0 });
		}
	});
	CHECK(mb.call("one").text() == "one!");
	CHECK(mb.call("two", 1000s).text() == "two!");
	CHECK(mb.call("three", limit::none(), {}, 1).fds.size() == 1);
	server.join();
	THROWS(timed_out, ETIMEDOUT, mb.call("none", 1ms));
	mb.send("no request");
	libmbox::message m = mb.recv();
	THROWS(error, ESRCH, (mb.reply(m, ""), 0));
}

void rings_in_place()
{
	mailbox ring = with(MBOX_RING, 2, 100);

	{
		libmbox::reservation slot = ring.reserve(50);
		libmbox::reservation moved = std::move(slot);
		CHECK(moved.size() == 50);
		THROWS(error, EMSGSIZE, (moved.commit(51), 0));
		memcpy(moved.data(), "place", 5);
		moved.commit(5);
	}
	try {
		libmbox::reservation slot = ring.reserve(50);
		throw std::runtime_error("nothing is sent");
	} catch (const std::runtime_error &) {
	}
	{
		libmbox::view next = ring.peek();
		CHECK(next.size() == 5 && !memcmp(next.data(), "place", 5));
	}
	libmbox::view next = ring.peek();
	libmbox::view moved = std::move(next);
	moved.release();
	THROWS(would_block, EAGAIN, ring.peek(MBOX_DONTWAIT));
	CHECK(!ring.try_recv());
	ring.send("copied");
	libmbox::view stale = ring.peek();
	CHECK(ring.recv().text() == "copied");
	THROWS(error, ESTALE, (stale.release(), 0));
	ring.reserve(1).commit();
	ring.reserve(1).commit();
	THROWS(would_block, EAGAIN, ring.reserve(1, MBOX_DONTWAIT));
	THROWS(error, EOPNOTSUPP, mailbox::create().reserve(1));
}

} // namespace

int main()
{
	static const struct {
		const char *name;
		void (*run)();
	} tests[] = {
		{ "handles_close_themselves", handles_close_themselves },
		{ "names", names },
		{ "messages", messages },
		{ "time_limits", time_limits },
		{ "other_errors", other_errors },
		{ "descriptors", descriptors },
		{ "leases", leases },
		{ "requests", requests },
		{ "rings_in_place", rings_in_place },
	};
	int number = 0, failed = 0;
	struct stat st;

	if (stat("/dev/mbox", &st) < 0) {
		puts("1..0 # SKIP no /dev/mbox");
		return 4;
	}
	printf("TAP version 13\n1..%zu\n", sizeof(tests) / sizeof(*tests));
	for (const auto &test : tests) {
		number++;
		try {
			test.run();
			printf("ok %d %s\n", number, test.name);
		} catch (const std::exception &e) {
			printf("# %s\nnot ok %d %s\n", e.what(), number, test.name);
			failed = 1;
		}
	}
	return failed;
}
