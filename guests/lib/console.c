/* SPDX-License-Identifier: MIT */
/* printf onto the guest's console (ATOLL_CALL_CONSOLE_WRITE), and reading what is typed there. Each
 * vCPU gathers a line of its own; the lock is for lines that are too long for one call. */
#include <stdarg.h>

#include "guests/lib/guest.h"

#include "guests/lib/vcpu.h"

#define BACKSPACE 0x08
#define DELETE    0x7f /* what most terminals send for Backspace */

static struct spinlock write_lock;
static _Atomic bool taken_over;

void console_take_over(void)
{
    atomic_store(&taken_over, true);
}

static void write_line(struct vcpu *vcpu)
{
    if (vcpu->line_length > 0)
        atoll_console_write(vcpu->line, vcpu->line_length);
    vcpu->line_length = 0;
}

static void put(const char *text)
{
    struct vcpu *vcpu = vcpu_this();

    for (; *text; text++) {
        vcpu->line[vcpu->line_length++] = *text;
        if (*text == '\n' || vcpu->line_length == sizeof(vcpu->line))
            write_line(vcpu);
    }
}

/* Interrupts are off: a handler may print too. */
static uint64_t console_lock(bool *locked)
{
    uint64_t flags = interrupts_save();

    *locked = !atomic_load(&taken_over);
    if (*locked)
        spin_lock(&write_lock);
    return flags;
}

static void console_unlock(uint64_t flags, bool locked)
{
    if (locked)
        spin_unlock(&write_lock);
    interrupts_restore(flags);
}

void console_flush(void)
{
    bool locked;
    uint64_t flags = console_lock(&locked);

    write_line(vcpu_this());
    console_unlock(flags, locked);
}

int printf(const char *format, ...)
{
    char text[VCPU_LINE_MAX];
    va_list args;
    bool locked;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    uint64_t flags = console_lock(&locked);
    put(text);
    console_unlock(flags, locked);
    return length;
}

/* ---- Reading --------------------------------------------------------------------------------- */

int console_read(char *bytes, size_t size)
{
    return (int)atoll_console_read(bytes, size);
}

/* That the interrupt came is all there is to it: it ends HLT. */
static void wake(unsigned vector)
{
    (void)vector;
}

static char wait_for_byte(void)
{
    char byte;

    interrupts_off();
    while (console_read(&byte, 1) != 1)
        wait_for_interrupt();
    interrupts_on();
    return byte;
}

/* Enter is CR on a terminal, LF in a script, both in some: a newline for each. */
static char wait_for_key(void)
{
    static bool after_return;
    char byte = wait_for_byte();

    if (byte == '\n' && after_return)
        byte = wait_for_byte();
    after_return = byte == '\r';
    return after_return ? '\n' : byte;
}

/* Returns the new length of the line. */
static size_t edit(char *line, size_t length, size_t size, char key)
{
    if ((key == BACKSPACE || key == DELETE) && length > 0) {
        printf("\b \b");
        length--;
    } else if (key >= ' ' && key < DELETE && length + 1 < size) {
        printf("%c", key);
        line[length++] = key;
    }
    return length;
}

int console_read_line(char *line, size_t size)
{
    size_t length = 0;
    char key;

    if (size == 0)
        return -EINVAL;
    console_flush();
    interrupt_handler_set(INTERRUPT_CONSOLE, wake);
    int error = (int)atoll_console_vector(INTERRUPT_CONSOLE);
    if (error)
        return error;
    while ((key = wait_for_key()) != '\n') {
        length = edit(line, length, size, key);
        console_flush();
    }
    printf("\n");
    atoll_console_vector(0); /* who sleeps for good later is not kept alive by the console */
    line[length] = '\0';
    return (int)length;
}
