// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying to and from user space, without the checks whose answer is known.
 */
#include <linux/fault-inject-usercopy.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "user_copy.h"

/* A shorter copy than this is made word by word. */
#define WORDS_MAX 256
/* A copy of up to this length is made in pieces of constant length. */
#define PIECES_MAX 2048

#define WORD sizeof(unsigned long)

static noinline bool words_from_user(u8 *to, const u8 __user *from, size_t len)
{
	unsigned long *word = (unsigned long *)to;
	const unsigned long __user *uword = (const unsigned long __user *)from;

	/* As copy_from_user(), do not look at the address of no bytes. */
	if (should_fail_usercopy())
		return false;
	if (!user_access_begin(from, len))
		return !len;
	for (; len >= 4 * WORD; len -= 4 * WORD) {
		unsafe_get_user(word[0], &uword[0], fault);
		unsafe_get_user(word[1], &uword[1], fault);
		unsafe_get_user(word[2], &uword[2], fault);
		unsafe_get_user(word[3], &uword[3], fault);
		word += 4;
		uword += 4;
	}
	for (; len >= WORD; len -= WORD)
		unsafe_get_user(*word++, uword++, fault);
	to = (u8 *)word;
	from = (const u8 __user *)uword;
	if (len & 4) {
		unsafe_get_user(*(u32 *)to, (const u32 __user *)from, fault);
		to += 4;
		from += 4;
	}
	if (len & 2) {
		unsafe_get_user(*(u16 *)to, (const u16 __user *)from, fault);
		to += 2;
		from += 2;
	}
	if (len & 1)
		unsafe_get_user(*to, from, fault);
	user_access_end();
	return true;

fault:
	user_access_end();
	return false;
}

static noinline bool words_to_user(u8 __user *to, const u8 *from, size_t len)
{
	const unsigned long *word = (const unsigned long *)from;
	unsigned long __user *uword = (unsigned long __user *)to;

	if (should_fail_usercopy())
		return false;
	if (!user_access_begin(to, len))
		return !len;
	for (; len >= 4 * WORD; len -= 4 * WORD) {
		unsafe_put_user(word[0], &uword[0], fault);
		unsafe_put_user(word[1], &uword[1], fault);
		unsafe_put_user(word[2], &uword[2], fault);
		unsafe_put_user(word[3], &uword[3], fault);
		word += 4;
		uword += 4;
	}
	for (; len >= WORD; len -= WORD)
		unsafe_put_user(*word++, uword++, fault);
	from = (const u8 *)word;
	to = (u8 __user *)uword;
	if (len & 4) {
		unsafe_put_user(*(const u32 *)from, (u32 __user *)to, fault);
		from += 4;
		to += 4;
	}
	if (len & 2) {
		unsafe_put_user(*(const u16 *)from, (u16 __user *)to, fault);
		from += 2;
		to += 2;
	}
	if (len & 1)
		unsafe_put_user(*from, to, fault);
	user_access_end();
	return true;

fault:
	user_access_end();
	return false;
}

static noinline bool pieces_from_user(u8 *to, const u8 __user *from, size_t len)
{
	if (len > PIECES_MAX)
		return !copy_from_user(to, from, len);
	if (!access_ok(from, len))
		return false;
	/* As copy_from_user(): no speculation with an address that is not the user's. */
	barrier_nospec();
	for (; len >= 1024; len -= 1024) {
		if (__copy_from_user(to, from, 1024))
			return false;
		to += 1024;
		from += 1024;
	}
	for (; len >= WORDS_MAX; len -= WORDS_MAX) {
		if (__copy_from_user(to, from, WORDS_MAX))
			return false;
		to += WORDS_MAX;
		from += WORDS_MAX;
	}
	return !len || words_from_user(to, from, len);
}

static noinline bool pieces_to_user(u8 __user *to, const u8 *from, size_t len)
{
	if (len > PIECES_MAX)
		return !copy_to_user(to, from, len);
	if (!access_ok(to, len))
		return false;
	for (; len >= 1024; len -= 1024) {
		if (__copy_to_user(to, from, 1024))
			return false;
		to += 1024;
		from += 1024;
	}
	for (; len >= WORDS_MAX; len -= WORDS_MAX) {
		if (__copy_to_user(to, from, WORDS_MAX))
			return false;
		to += WORDS_MAX;
		from += WORDS_MAX;
	}
	return !len || words_to_user(to, from, len);
}

/**
 * mbx_copy_from_user() - copy a payload, a part of it, or an argument from user space
 * @to: memory of at least @len bytes, aligned to a word
 * @from: address in user space
 * @len: how much
 *
 * Context: Process context, may sleep.
 * Return: whether all of it was copied. If not, the content of @to is undefined.
 */
bool mbx_copy_from_user(void *to, const void __user *from, size_t len)
{
	might_fault();
	if (!IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS))
		return !copy_from_user(to, from, len);
	if (likely(len < WORDS_MAX))
		return words_from_user(to, from, len);
	return pieces_from_user(to, from, len);
}

/**
 * mbx_copy_to_user() - copy a payload, or a part of it, to user space
 * @to: address in user space
 * @from: memory of at least @len bytes, aligned to a word
 * @len: how much
 *
 * Context: Process context, may sleep.
 * Return: whether all of it was copied.
 */
bool mbx_copy_to_user(void __user *to, const void *from, size_t len)
{
	might_fault();
	if (!IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS))
		return !copy_to_user(to, from, len);
	if (likely(len < WORDS_MAX))
		return words_to_user(to, from, len);
	return pieces_to_user(to, from, len);
}
