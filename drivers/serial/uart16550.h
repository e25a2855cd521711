/* SPDX-License-Identifier: MIT */
/* The 16550 UART (National Semiconductor PC16550D data sheet; register names from
 * linux/serial_reg.h). It is polled, in both directions. */
#ifndef DRIVERS_SERIAL_UART16550_H
#define DRIVERS_SERIAL_UART16550_H

#include "kernel/lib/types.h"

struct uart {
    uint16_t base; /* its first port; 0: there is none, and what is put there is dropped */
};

/* Sets 8N1 at `baud` and FIFOs on, and tests the port by its loopback mode. Returns 0, or -ENODEV
 * when nothing that behaves like a UART answers there; no wait is unbounded. */
MUST_CHECK int uart_init(struct uart *uart, uint16_t port, uint32_t baud);

/* Hands over up to `size` bytes without waiting (16 when the FIFO is empty, else none) and returns
 * how many. */
size_t uart_put(struct uart *uart, const char *bytes, size_t size);

/* A byte that was received; false: none. 16 wait at most: at 115,200 baud 1.4 ms' worth. */
bool uart_get(struct uart *uart, uint8_t *byte);

/* Waits, for a bounded time, until the last bit has left the shift register (LSR.TEMT). */
void uart_flush(struct uart *uart);

#endif
