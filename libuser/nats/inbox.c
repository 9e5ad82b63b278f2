// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Messages on their way from the threads of libnats to the loop.
 *
 * A full inbox makes the thread of its subscription wait. Messages then collect in
 * libnats, up to the limit of the subscription, and it drops what comes beyond that.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bridge.h"

/**
 * inbox_new() - make an inbox
 * @event: eventfd of the loop
 * @size: how many messages it can hold
 *
 * Return: the inbox, or NULL and errno.
 */
struct inbox *inbox_new(int event, unsigned int size)
{
	struct inbox *inbox = calloc(1, sizeof(*inbox));

	if (!inbox)
		return NULL;
	inbox->ring = calloc(size, sizeof(natsMsg *));
	if (!inbox->ring) {
		free(inbox);
		return NULL;
	}
	pthread_mutex_init(&inbox->lock, NULL);
	pthread_cond_init(&inbox->room, NULL);
	inbox->event = event;
	inbox->size = size;
	inbox->refs = 1;
	return inbox;
}

/* Called with the lock, which it drops. */
static void put_ref(struct inbox *inbox)
{
	unsigned int refs = --inbox->refs;

	pthread_mutex_unlock(&inbox->lock);
	if (refs)
		return;
	pthread_mutex_destroy(&inbox->lock);
	pthread_cond_destroy(&inbox->room);
	free(inbox->ring);
	free(inbox);
}

/**
 * inbox_close() - end the use of an inbox
 * @inbox: the inbox; NULL has no effect
 *
 * It is freed when libnats has also ended its subscription.
 */
void inbox_close(struct inbox *inbox)
{
	if (!inbox)
		return;
	pthread_mutex_lock(&inbox->lock);
	inbox->closed = true;
	for (; inbox->count; inbox->count--) {
		natsMsg_Destroy(inbox->ring[inbox->head]);
		inbox->head = (inbox->head + 1) % inbox->size;
	}
	pthread_cond_broadcast(&inbox->room);
	put_ref(inbox);
}

/**
 * inbox_take() - take the oldest message
 * @inbox: the inbox
 *
 * Return: the message, which the caller destroys, or NULL.
 */
natsMsg *inbox_take(struct inbox *inbox)
{
	natsMsg *msg = NULL;

	pthread_mutex_lock(&inbox->lock);
	if (inbox->count) {
		msg = inbox->ring[inbox->head];
		inbox->head = (inbox->head + 1) % inbox->size;
		if (inbox->count-- == inbox->size)
			pthread_cond_signal(&inbox->room);
	}
	pthread_mutex_unlock(&inbox->lock);
	return msg;
}

/* Whether there is no message in it. */
bool inbox_empty(struct inbox *inbox)
{
	bool empty;

	pthread_mutex_lock(&inbox->lock);
	empty = !inbox->count;
	pthread_mutex_unlock(&inbox->lock);
	return empty;
}

/* Whether libnats has ended its subscription: no more come. */
bool inbox_ended(struct inbox *inbox)
{
	bool ended;

	pthread_mutex_lock(&inbox->lock);
	ended = inbox->ended;
	pthread_mutex_unlock(&inbox->lock);
	return ended;
}

/* A thread of libnats has a message. */
static void arrive(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
	struct inbox *inbox = closure;
	bool first;

	(void)nc;
	(void)sub;
	pthread_mutex_lock(&inbox->lock);
	while (inbox->count == inbox->size && !inbox->closed)
		pthread_cond_wait(&inbox->room, &inbox->lock);
	if (inbox->closed) {
		pthread_mutex_unlock(&inbox->lock);
		natsMsg_Destroy(msg);
		return;
	}
	first = !inbox->count;
	inbox->ring[(inbox->head + inbox->count++) % inbox->size] = msg;
	pthread_mutex_unlock(&inbox->lock);
	if (first)
		eventfd_write(inbox->event, 1);
}

static void complete(void *closure)
{
	struct inbox *inbox = closure;

	pthread_mutex_lock(&inbox->lock);
	inbox->ended = true;
	if (!inbox->closed)
		eventfd_write(inbox->event, 1);
	put_ref(inbox);
}

/**
 * inbox_subscribe() - have messages of a subject come into an inbox
 * @inbox: the inbox
 * @sub: out: the subscription
 * @bridge: has the connection
 * @subject: the subject
 * @queue: the queue group, or NULL
 * @pending: how many messages libnats keeps at most; a setting says how many bytes
 *
 * Return: what libnats says.
 */
natsStatus inbox_subscribe(struct inbox *inbox, natsSubscription **sub, struct bridge *bridge,
			   const char *subject, const char *queue, int pending)
{
	natsConnection *nc = bridge->nc;
	natsStatus status;

	if (queue)
		status = natsConnection_QueueSubscribe(sub, nc, subject, queue, arrive, inbox);
	else
		status = natsConnection_Subscribe(sub, nc, subject, arrive, inbox);
	if (status != NATS_OK)
		return status;
	/* The thread of the subscription calls it when it ends. */
	pthread_mutex_lock(&inbox->lock);
	inbox->refs++;
	pthread_mutex_unlock(&inbox->lock);
	status = natsSubscription_SetOnCompleteCB(*sub, complete, inbox);
	if (status == NATS_OK)
		status = natsSubscription_SetPendingLimits(*sub, pending, bridge->conf.pending);
	return status;
}
