/* SPDX-License-Identifier: MIT */
/* Interrupts of a guest: a handler for each vector, and the way to sleep until one comes. */
#ifndef GUESTS_LIB_INTERRUPTS_H
#define GUESTS_LIB_INTERRUPTS_H

/* Vectors that the SDK takes for itself; those above are the APIC's (apic.h). */
#define INTERRUPT_NET           0xfau /* a frame came: only wakes (net.h) */
#define INTERRUPT_NET_TIMER     0xfbu
#define INTERRUPT_CONSOLE       0xfcu /* what was typed: only wakes (console_read_line) */
#define INTERRUPT_CHANNEL       0xfdu /* a doorbell that only wakes (channel.h) */
#define INTERRUPT_CHANNEL_TIMER 0xfeu

/* Installs the handler of a vector, 32 to 254, on all vCPUs; NULL takes it away. It runs with
 * interrupts off, and EOI follows it. An interrupt that has no handler is reported like an
 * exception. (A handler of exception_handler_set comes first and sends EOI itself.) */
void interrupt_handler_set(unsigned vector, void (*handler)(unsigned vector));

/* Sleeps until an interrupt has been handled. Interrupts are off when it is called, and again when
 * it returns; they are on only in HLT, so none is lost between the look and the sleep:
 *
 *     interrupts_off();
 *     while (!condition)
 *         wait_for_interrupt();
 *     interrupts_on();
 */
static inline void wait_for_interrupt(void)
{
    /* STI holds interrupts off until the next instruction is done: that is HLT (SDM Vol. 2B) */
    __asm__ volatile("sti\n"
                     "hlt\n"
                     "cli"
                     :
                     :
                     : "memory");
}

#endif
