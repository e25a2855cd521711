/* SPDX-License-Identifier: MIT */
/* Channels: the ring does the talking, this file the sleeping and waking. */
#include "guests/lib/guest.h"

/* That the interrupt came is all there is to it: it ends HLT. */
static void wake(unsigned vector)
{
    (void)vector;
}

int channel_open(struct channel *channel, struct link *link, unsigned peer, enum ring_end end,
                 void *memory, size_t bytes)
{
    if (!memory)
        return -EINVAL;
    *channel = (struct channel){.link = link, .peer = peer};
    int error = ring_open(&channel->ring, memory, bytes, end);
    if (!error && end == RING_RECEIVER && link->vector == 0)
        error = link_interrupt_set(link, INTERRUPT_CHANNEL, wake);
    return error;
}

int channel_send(struct channel *channel, const void *message, size_t length)
{
    int error = ring_put(&channel->ring, message, length);

    /* A peer that died with the flag set reads the ring when it comes again. */
    if (!error && ring_receiver_sleeps(&channel->ring))
        link_ring(channel->link, channel->peer);
    return error;
}

/* Interrupts are off and the receiver has said that it sleeps. What came before the peer's death is
 * received first. */
static int look(struct channel *channel, void *buffer, size_t size, uint64_t deadline)
{
    bool gone =
        link_noticed(channel->link, channel->peer) && link_peer_gone(channel->link, channel->peer);
    int length = ring_get(&channel->ring, buffer, size);

    if (length != -EAGAIN)
        return length;
    if (gone)
        return -EPIPE;
    return deadline && rdtsc() >= deadline ? -ETIMEDOUT : -EAGAIN;
}

static int sleep_and_look(struct channel *channel, void *buffer, size_t size, uint64_t deadline)
{
    int length;

    if (deadline) {
        interrupt_handler_set(INTERRUPT_CHANNEL_TIMER, wake);
        apic_timer_deadline(INTERRUPT_CHANNEL_TIMER, deadline);
    }
    interrupts_off();
    ring_sleeping_set(&channel->ring, true);
    while ((length = look(channel, buffer, size, deadline)) == -EAGAIN)
        wait_for_interrupt();
    ring_sleeping_set(&channel->ring, false);
    interrupts_on();
    if (deadline)
        apic_timer_stop();
    return length;
}

int channel_receive(struct channel *channel, void *buffer, size_t size, uint64_t deadline)
{
    int length = ring_get(&channel->ring, buffer, size);

    return length == -EAGAIN ? sleep_and_look(channel, buffer, size, deadline) : length;
}
