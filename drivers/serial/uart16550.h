/* SPDX-License-Identifier: MIT */
/* The 16550 UART (National Semiconductor PC16550D data sheet; register names from
 * linux/serial_reg.h). Output only so far. */
#ifndef DRIVERS_SERIAL_UART16550_H
#define DRIVERS_SERIAL_UART16550_H

#include "kernel/lib/types.h"

/* Sets 8N1 at `baud` and FIFOs on, and tests the port by its loopback mode. Returns 0, or -ENODEV
 * when nothing that behaves like a UART answers there; no wait is unbounded. */
MUST_CHECK int uart_init(uint16_t port, uint32_t baud);

/* Hands over up to `size` bytes without waiting (16 when the FIFO is empty, else none) and returns
 * how many. Takes and drops everything when no UART was found. */
size_t uart_put(const char *bytes, size_t size);

/* Waits, for a bounded time, until the last bit has left the shift register (LSR.TEMT). */
void uart_flush(void);

#endif
