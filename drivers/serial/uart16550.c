/* SPDX-License-Identifier: MIT */
/* The 16550 UART. Nothing here waits for the line but uart_flush, and that for a bounded time. */
#include "drivers/serial/uart16550.h"

#include <linux/errno.h>
#include <linux/serial_reg.h>

#include "kernel/lib/x86.h"

#define BASE_BAUD    115200
#define FIFO_SIZE    16
#define LOOP_BYTE    0xa5
#define POLLS_MAX    0x100000 /* far more than a byte takes at 115,200 baud on any machine */
#define MCR_LOOPBACK (UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_OUT1 | UART_MCR_RTS)

static bool wait_for(uint16_t base, uint8_t lsr_bits)
{
    for (uint32_t i = 0; i < POLLS_MAX; i++)
        if ((inb(base + UART_LSR) & lsr_bits) == lsr_bits)
            return true;
    return false;
}

static bool answers_in_loopback(uint16_t base)
{
    outb(base + UART_MCR, MCR_LOOPBACK);
    outb(base + UART_TX, LOOP_BYTE);
    bool answered = wait_for(base, UART_LSR_DR) && inb(base + UART_RX) == LOOP_BYTE;
    outb(base + UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
    return answered;
}

int uart_init(struct uart *uart, uint16_t port, uint32_t baud)
{
    uart->base = 0;
    uint32_t divisor = baud ? BASE_BAUD / baud : 0;
    if (port == 0 || divisor == 0 || divisor > UINT16_MAX)
        return -ENODEV;
    uint16_t base = port;

    outb(base + UART_IER, 0);
    outb(base + UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
    outb(base + UART_DLL, (uint8_t)divisor);
    outb(base + UART_DLM, (uint8_t)(divisor >> 8));
    outb(base + UART_LCR, UART_LCR_WLEN8);
    outb(base + UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);

    /* An absent port floats: all ones look ready but never give the byte back. */
    if (inb(base + UART_LSR) == 0xff || !answers_in_loopback(base))
        return -ENODEV;
    uart->base = base;
    return 0;
}

size_t uart_put(struct uart *uart, const char *bytes, size_t size)
{
    if (uart->base == 0)
        return size;
    if (!(inb(uart->base + UART_LSR) & UART_LSR_THRE))
        return 0;
    size_t count = MIN(size, FIFO_SIZE);
    outb_all(uart->base + UART_TX, bytes, count);
    return count;
}

bool uart_get(struct uart *uart, uint8_t *byte)
{
    if (uart->base == 0 || !(inb(uart->base + UART_LSR) & UART_LSR_DR))
        return false;
    *byte = inb(uart->base + UART_RX);
    return true;
}

void uart_flush(struct uart *uart)
{
    if (uart->base != 0 && !wait_for(uart->base, UART_LSR_TEMT))
        uart->base = 0; /* the line is stuck: better no log than no end */
}
