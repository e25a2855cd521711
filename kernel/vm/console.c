/* SPDX-License-Identifier: MIT */
/* Guest consoles. Every byte goes into the history; besides that, it has one reader. Who takes
 * what:
 *
 * - While the terminal is attached, all that is written is the terminal's, from the history.
 * - While it is not, whole lines go into the log. At attach, a line that waits for its newline
 *   becomes the terminal's: it is the end of the replay, and the log never has it. At detach, what
 *   the terminal did not take goes the way of the log; if it took the beginning of a line, the log
 *   has the rest of it as a line.
 *
 * Carriage returns before a newline are dropped on the way to the log, which escapes all that is
 * not printable. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/console.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/flags.h"
#include "kernel/lib/x86.h"
#include "kernel/log.h"
#include "kernel/vm/interrupts.h"
#include "kernel/vm/sched.h"

#define HOLD_TRIES   256
#define CONSOLE_PART 1024 /* a part, and the line before it, are less than the history */
#define RESUME_PART  10 /* after a drop lines wait until so many at once may come: a tenth of a
                           second's. So reports are no second flood */

_Static_assert((CONSOLE_INPUT & (CONSOLE_INPUT - 1)) == 0, "positions wrap by masking");

static _Atomic uint32_t lines_per_second = CONSOLE_RATE;
static _Atomic bool has_terminal;

/* ---- The rate of lines into the log, with the console's lock --------------------------------- */

void console_set_rate(uint32_t lines)
{
    /* relaxed: a line that comes at this moment may go by either rate */
    atomic_store_explicit(&lines_per_second, lines, memory_order_relaxed);
}

/* Credit grows with the TSC, to `full` at most. A core whose TSC is a little behind gains nothing;
 * one that is far behind sets the clock anew, else there would be no line until it has come up. */
static void refill(struct console *console, uint64_t full)
{
    uint64_t now = rdtsc();
    bool is_new = console->credit_tsc == 0;
    uint64_t credit = MIN(console->credit, full);
    if (is_new || now > console->credit_tsc) {
        uint64_t gain = is_new ? full : now - console->credit_tsc;
        console->credit = gain >= full - credit ? full : credit + gain;
        console->credit_tsc = now;
    } else if (console->credit_tsc - now > full) {
        console->credit_tsc = now;
    }
}

/* May one more line go into the log? */
static bool take_credit(struct console *console)
{
    uint32_t rate = atomic_load_explicit(&lines_per_second, memory_order_relaxed);
    if (rate == 0)
        return true;
    uint64_t ticks = time_tsc_hz() / rate, cost = MAX(ticks, 1);
    uint64_t at_once = MIN(MAX(rate / RESUME_PART, 1u), CONSOLE_BURST);
    refill(console, CONSOLE_BURST * cost);
    if (console->credit < (console->dropped ? at_once * cost : cost))
        return false;
    console->credit -= cost;
    return true;
}

static void report_dropped(struct vm *vm)
{
    if (vm->console->dropped == 0)
        return;
    log_line(vm->config.name, "console: %llu lines dropped, more than %u a second",
             (unsigned long long)vm->console->dropped,
             atomic_load_explicit(&lines_per_second, memory_order_relaxed));
    vm->console->dropped = 0;
}

/* ---- The history, with the console's lock ---------------------------------------------------- */

static void put_history(struct console *console, const char *bytes, size_t size)
{
    size_t first = MIN(size, CONSOLE_HISTORY - console->next);
    memcpy(console->history + console->next, bytes, first);
    console->written += size;
    console->next += (uint32_t)first;
    if (__builtin_expect(console->next == CONSOLE_HISTORY, 0)) {
        memcpy(console->history, bytes + first, size - first);
        console->next = (uint32_t)(size - first);
    }
}

/* The position of the oldest byte that is still there. */
static uint64_t oldest(const struct console *console)
{
    return console->written - MIN(console->written, CONSOLE_HISTORY);
}

/* The bytes from `position` on that lie together, at most `size` of them: returns how many. */
static size_t stretch(const struct console *console, uint64_t position, size_t size,
                      const char **bytes)
{
    size_t offset = position % CONSOLE_HISTORY;
    *bytes = console->history + offset;
    return MIN(MIN(size, console->written - position), CONSOLE_HISTORY - offset);
}

/* ---- Lines, with the console's lock ---------------------------------------------------------- */

static void log_bytes(struct vm *vm, uint64_t position, size_t length)
{
    char joined[CONSOLE_LINE_MAX];
    const char *bytes;
    size_t first = stretch(vm->console, position, length, &bytes);
    if (first < length) { /* over the end of the ring */
        memcpy(joined, bytes, first);
        memcpy(joined + first, vm->console->history, length - first);
        bytes = joined;
    }
    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    log_console_line(vm->config.name, bytes, length);
}

/* A line of the log, up to `end`. */
static void end_line(struct vm *vm, uint64_t end)
{
    struct console *console = vm->console;
    if (take_credit(console)) {
        report_dropped(vm);
        log_bytes(vm, console->line, (size_t)(end - console->line));
    } else {
        console->dropped++;
    }
    console->line = end;
}

/* A line that is too long is several. */
static inline void cut(struct vm *vm, uint64_t end)
{
    while (end - vm->console->line > CONSOLE_LINE_MAX)
        end_line(vm, vm->console->line + CONSOLE_LINE_MAX);
}

/* Is there certainly no newline? Of each ASCII byte that can be printed bit 5 or bit 6 is set. */
static inline bool is_plain(const char *bytes, size_t size)
{
    const uint64_t bit_6 = 0x4040404040404040ull;
    uint64_t word, all = bit_6;
    for (; size >= sizeof word; size -= sizeof word, bytes += sizeof word) {
        __builtin_memcpy(&word, bytes, sizeof word);
        all &= word | word << 1;
    }
    for (; size > 0; size--, bytes++)
        all &= (uint8_t)*bytes >= ' ' ? bit_6 : 0;
    return all == bit_6;
}

/* `size` bytes of the history are new, the first of them at `position`; that is where they lie. */
static void find_lines(struct vm *vm, uint64_t position, const char *bytes, size_t size)
{
    const char *from = bytes, *end = bytes + size, *newline;
    while (from < end && (newline = memchr(from, '\n', (size_t)(end - from)))) {
        uint64_t at = position + (uint64_t)(newline - bytes);
        cut(vm, at);
        end_line(vm, at);
        vm->console->line = at + 1;
        from = newline + 1;
    }
    cut(vm, position + size);
}

/* ---- The guest ------------------------------------------------------------------------------- */

void console_reset(struct vm *vm)
{
    struct console *console = vm->console;
    spin_lock(&console->lock);
    console->line = console->written;
    console->input_head = console->input_tail = 0;
    console->reader = NULL;
    console->vector = 0;
    spin_unlock(&console->lock);
}

/* In parts, so that the history still has the lines that are found. */
static __attribute__((noinline)) void write_in_parts(struct vm *vm, const char *bytes, size_t size)
{
    struct console *console = vm->console;
    while (size > 0) {
        size_t part = MIN(size, CONSOLE_PART);
        put_history(console, bytes, part);
        if (!is_true(&console->attached)) /* the lock orders it */
            find_lines(vm, console->written - part, bytes, part);
        bytes += part;
        size -= part;
    }
}

void console_write(struct vm *vm, const char *bytes, size_t size)
{
    struct console *console = vm->console;
    spin_lock(&console->lock);
    uint64_t line = console->written + size - console->line;
    bool ends = size > 0 && bytes[size - 1] == '\n';
    if (!ends && size < CONSOLE_HISTORY - console->next && line <= CONSOLE_LINE_MAX &&
        is_plain(bytes, size)) { /* a part of a line, as most are */
        memcpy(console->history + console->next, bytes, size);
        console->written += size;
        console->next += (uint32_t)size;
    } else {
        write_in_parts(vm, bytes, size);
    }
    spin_unlock(&console->lock);
}

void console_flush(struct vm *vm)
{
    struct console *console = vm->console;
    spin_lock(&console->lock);
    if (!is_true(&console->attached) && console->line != console->written)
        end_line(vm, console->written);
    report_dropped(vm);
    spin_unlock(&console->lock);
}

size_t console_read(struct vm *vm, char *bytes, size_t size)
{
    struct console *console = vm->console;
    size_t count = 0;
    spin_lock(&console->lock);
    while (count < size && console->input_tail != console->input_head)
        bytes[count++] = console->input[console->input_tail++ % CONSOLE_INPUT];
    spin_unlock(&console->lock);
    return count;
}

int console_set_vector(struct vcpu *vcpu, uint64_t vector)
{
    struct vm *vm = vcpu->vm;
    if (!interrupts_may_ask_for(vector))
        return -EINVAL;
    spin_lock(&vm->console->lock);
    bool gives_up = vector == 0 && vm->console->vector != 0;
    vm->console->reader = vcpu;
    vm->console->vector = (uint32_t)vector;
    spin_unlock(&vm->console->lock);
    /* All vCPUs look whether they sleep for good now. The caller runs: its VM stays. */
    for (uint32_t i = 0; gives_up && i < vm->config.vcpus; i++)
        sched_post(vm->vcpus[i], REQUEST_LOOK);
    return 0;
}

/* Without the lock: a vector that is taken away at this moment makes the vCPUs look again. */
bool console_can_wake(const struct vm *vm)
{
    return atomic_load_explicit(&has_terminal, memory_order_relaxed) && vm->console->vector != 0;
}

/* ---- The terminal ---------------------------------------------------------------------------- */

void console_has_terminal(void)
{
    /* relaxed: called before the first guest runs */
    atomic_store_explicit(&has_terminal, true, memory_order_relaxed);
}

void console_attach(struct vm *vm)
{
    struct console *console = vm->console;
    spin_lock(&console->lock);
    if (!atomic_load_explicit(&console->attached, memory_order_relaxed)) {
        console->shown = oldest(console);
        atomic_store_explicit(&console->attached, true, memory_order_relaxed);
    }
    spin_unlock(&console->lock);
}

/* What was in the log before the terminal came is not logged again, though it was not shown. */
static void log_rest(struct vm *vm)
{
    struct console *console = vm->console;
    uint64_t position = MAX(console->shown, console->line);
    if (position < oldest(console)) {
        log_line(vm->config.name, "console: %llu bytes lost: the terminal did not take them",
                 (unsigned long long)(oldest(console) - position));
        position = oldest(console);
    }
    console->line = position;
    while (position < console->written) { /* twice at most: the history is a ring */
        const char *bytes;
        size_t part = stretch(console, position, CONSOLE_HISTORY, &bytes);
        find_lines(vm, position, bytes, part);
        position += part;
    }
}

void console_detach(struct vm *vm)
{
    struct console *console = vm->console;
    spin_lock(&console->lock);
    if (atomic_load_explicit(&console->attached, memory_order_relaxed)) {
        log_rest(vm);
        atomic_store_explicit(&console->attached, false, memory_order_relaxed);
    }
    spin_unlock(&console->lock);
}

/* With the lock, while attached. */
static size_t take(struct console *console, char *bytes, size_t size, uint64_t *lost)
{
    size_t count = 0;
    if (console->shown < oldest(console)) {
        *lost += oldest(console) - console->shown;
        console->shown = oldest(console);
    }
    while (count < size && console->shown < console->written) {
        const char *from;
        size_t part = stretch(console, console->shown, size - count, &from);
        memcpy(bytes + count, from, part);
        console->shown += part;
        count += part;
    }
    return count;
}

size_t console_take(struct vm *vm, char *bytes, size_t size, uint64_t *lost)
{
    struct console *console = vm->console;
    size_t count = 0;
    spin_lock(&console->lock);
    if (atomic_load_explicit(&console->attached, memory_order_relaxed))
        count = take(console, bytes, size, lost);
    spin_unlock(&console->lock);
    return count;
}

/* With a hold on the VM: the reader is of this life, since console_reset began it. */
static size_t type(struct console *console, const char *bytes, size_t size)
{
    size_t count = 0;
    spin_lock(&console->lock);
    while (count < size && console->input_head - console->input_tail < CONSOLE_INPUT)
        console->input[console->input_head++ % CONSOLE_INPUT] = bytes[count++];
    struct vcpu *reader = console->reader;
    uint32_t vector = console->vector;
    spin_unlock(&console->lock);
    if (count > 0 && vector)
        interrupts_post(reader, (uint8_t)vector);
    return count;
}

/* Whoever has the VM's lock has it for a moment, or the VM does not live. */
static bool hold(struct vm *vm)
{
    for (unsigned i = 0; i < HOLD_TRIES; i++) {
        if (vm_hold(vm))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

size_t console_type(struct vm *vm, const char *bytes, size_t size)
{
    /* relaxed: only spares a wait for the lock of a VM whose memory is being given back */
    if (atomic_load_explicit(&vm->stop_reason, memory_order_relaxed) != STOP_NONE || !hold(vm))
        return 0;
    size_t count = type(vm->console, bytes, size);
    vm_put(vm);
    return count;
}
