// SPDX-License-Identifier: GPL-2.0-only
/*
 * A remote procedure call by hand. The client calls divide(), which looks like a local
 * function. It is a stub: it packs the arguments into a message (marshalling), calls
 * the server, and unpacks the result. The stub of the server does the opposite. Both
 * agree on a representation: numbers of 32 bits, the most significant byte first, as in
 * XDR (RFC 4506), whatever the processors on the two sides use.
 */
#include "example.h"

static struct mbox *port;

/* [representation] */
static void pack(unsigned char *at, int32_t number)
{
	uint32_t n = number;

	at[0] = n >> 24;
	at[1] = n >> 16;
	at[2] = n >> 8;
	at[3] = n;
}

static int32_t unpack(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

/* [/representation] */
/* [client] */
/* Returns 0, or -1 if there is no quotient. */
static int divide(int32_t a, int32_t b, int32_t *quotient)
{
	unsigned char arguments[8], result[8];

	pack(arguments, a);
	pack(arguments + 4, b);
	TRY(mbox_call(port, arguments, sizeof(arguments), result, sizeof(result), NULL));
	*quotient = unpack(result + 4);

	return unpack(result);
}

/* [/client] */
/* [server] */
/* The procedure itself, in the other process. */
static int real_divide(int32_t a, int32_t b, int32_t *quotient)
{
	if (b == 0)
		return -1;
	*quotient = a / b;

	return 0;
}

static void serve(int calls)
{
	unsigned char arguments[8], result[8];
	int32_t quotient = 0;

	while (calls--) {
		struct mbox_msg request = MBOX_MSG_INIT(arguments, sizeof(arguments));

		TRY(mbox_recvmsg(port, &request));
		pack(result, real_divide(unpack(arguments), unpack(arguments + 4), &quotient));
		pack(result + 4, quotient);
		TRY(mbox_reply(port, request.token, result, sizeof(result)));
	}
}

/* [/server] */

int main(void)
{
	unsigned char bytes[4];
	int32_t quotient;

	port = new_mailbox(MBOX_QUEUE, 0, 64);
	start(serve, 2);

	pack(bytes, -2);
	say("-2 travels as %02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
	if (divide(-42, 6, &quotient) == 0)
		say("divide(-42, 6) is %d", quotient);
	if (divide(1, 0, &quotient) < 0)
		say("divide(1, 0) is an error");
	join();

	return 0;
}
