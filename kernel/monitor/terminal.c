/* SPDX-License-Identifier: MIT */
/* The serial line and who has it. Bytes are staged a piece at a time, a log line, a prompt, some of
 * a command's output, and go out as the line takes them. The log's drain lock makes one core at a
 * time the mover; what the monitor's core changes meanwhile is behind a lock of its own. */
#include "kernel/monitor/terminal.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/vm/console.h"

#define STAGED_MAX    512
#define PIECES_A_TURN 16  /* that are staged, or not shown, before others have their turn ... */
#define BYTES_A_TURN  512 /* ... and for a line that takes all: a port is written slowly */
#define ERASE_LINE    "\r\x1b[K"
#define NO_WRAP       "\x1b[?7l"
#define WRAP          "\x1b[?7h"
#define COLUMNS       80
#define DRAWN_MAX     256

_Static_assert(sizeof ERASE_LINE + sizeof NO_WRAP + sizeof WRAP + LOG_BUFFER <= STAGED_MAX,
               "a line fits");

struct terminal_filter terminal_filter = {.show = SHOW_ALL};

static const struct terminal_line *line;

/* What is on its way to the line: only the mover's. */
static char staged[STAGED_MAX];
static size_t staged_size, staged_done;
static bool prompt_shown; /* as drawn last */
static char guest_byte;   /* the last one of the attached guest */

/* What commands write: the monitor's core puts, the mover takes. */
static char *output;
static _Atomic uint64_t output_put, output_taken;

/* Of the monitor's core, read by the mover. */
static struct spinlock lock;
static enum terminal_mode mode;
static struct vm *guest;
static char drawn[DRAWN_MAX];
static size_t drawn_size;
static bool drawn_changed;
static uint64_t log_waits_until; /* TSC */
static uint64_t passed_over, guest_lost;

void terminal_init(const struct terminal_line *serial)
{
    line = serial;
}

void terminal_use_buffer(char *memory)
{
    output = memory;
}

bool terminal_key(uint8_t *byte)
{
    return line && line->get(byte);
}

/* ---- The monitor's side ---------------------------------------------------------------------- */

size_t terminal_room(void)
{
    /* acquire: what the mover has taken may be overwritten */
    uint64_t taken = atomic_load_explicit(&output_taken, memory_order_acquire);
    uint64_t put = atomic_load_explicit(&output_put, memory_order_relaxed);
    return output ? TERMINAL_OUTPUT_SIZE - (size_t)(put - taken) : 0;
}

bool terminal_is_empty(void)
{
    return terminal_room() == TERMINAL_OUTPUT_SIZE;
}

static void put_byte(char byte)
{
    uint64_t put = atomic_load_explicit(&output_put, memory_order_relaxed);
    if (terminal_room() == 0)
        return;
    output[put & (TERMINAL_OUTPUT_SIZE - 1)] = byte;
    /* release: the byte before the count of it */
    atomic_store_explicit(&output_put, put + 1, memory_order_release);
}

void terminal_write(void *context, const char *bytes, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            put_byte('\r');
        put_byte(bytes[i]);
    }
    log_has_work();
}

void terminal_prompt(const char *text, size_t size, bool typing)
{
    spin_lock(&lock);
    log_waits_until = typing ? rdtsc() + time_us_to_ticks(TYPING_US) : 0;
    drawn_size = text ? MIN(size, sizeof drawn) : 0;
    if (text)
        memcpy(drawn, text, drawn_size);
    drawn_changed = true;
    spin_unlock(&lock);
    log_has_work();
}

/* What was not shown meanwhile. */
static void report_passed_over(void)
{
    char text[80];
    int size = snprintf(text, sizeof text, "[%llu log lines meanwhile; `log` shows them]\n",
                        (unsigned long long)passed_over);
    if (passed_over > 0)
        terminal_write(NULL, text, (size_t)size);
    passed_over = 0;
    size = snprintf(text, sizeof text, "[%llu bytes of its console were lost on this line]\n",
                    (unsigned long long)guest_lost);
    if (guest_lost > 0)
        terminal_write(NULL, text, (size_t)size);
    guest_lost = 0;
}

void terminal_set_mode(enum terminal_mode next, struct vm *vm)
{
    spin_lock(&lock);
    mode = next;
    guest = vm;
    drawn_changed = true;
    if (next == TERMINAL_LOG || next == TERMINAL_COMMAND)
        report_passed_over();
    spin_unlock(&lock);
    log_has_work();
}

/* ---- The mover's side ------------------------------------------------------------------------ */

static void stage(const char *bytes, size_t size)
{
    size = MIN(size, sizeof staged - staged_size);
    memcpy(staged + staged_size, bytes, size);
    staged_size += size;
}

/* Nothing else stands in the line of the prompt. */
static void erase_prompt(void)
{
    if (prompt_shown)
        stage(ERASE_LINE, sizeof ERASE_LINE - 1);
    prompt_shown = false;
}

static bool stage_output(void)
{
    uint64_t taken = atomic_load_explicit(&output_taken, memory_order_relaxed);
    /* acquire: the bytes behind the count of them */
    uint64_t put = atomic_load_explicit(&output_put, memory_order_acquire);
    if (taken == put)
        return false;
    erase_prompt();
    size_t offset = taken & (TERMINAL_OUTPUT_SIZE - 1);
    size_t size = MIN(MIN((size_t)(put - taken), TERMINAL_OUTPUT_SIZE - offset),
                      sizeof staged - staged_size);
    stage(output + offset, size);
    /* release: the room behind the bytes */
    atomic_store_explicit(&output_taken, taken + size, memory_order_release);
    return true;
}

/* "[    1.234567] name| ..." or "[    1.234567] cpu0 name.0: ...": behind the time. */
static const char *behind_time(const char *text, size_t size)
{
    const char *end = memchr(text, ']', size);
    return end && text + size - end >= 2 ? end + 2 : text;
}

static bool is_of_guest(const char *subject, const char *end)
{
    const char *blank = memchr(subject, ' ', (size_t)(end - subject));
    return blank && blank > subject && blank[-1] == '|';
}

static bool filter_passes(const char *text, size_t size)
{
    const struct terminal_filter *filter = &terminal_filter;
    size_t only = strlen(filter->only);
    const char *end = text + size;
    const char *subject = behind_time(text, size);
    bool of_guest = is_of_guest(subject, end);
    if (filter->show == SHOW_NOTHING || (filter->show == SHOW_HOST && of_guest))
        return false;
    if (only == 0)
        return true;
    const char *blank = memchr(subject, ' ', (size_t)(end - subject));
    if (blank && !of_guest)
        subject = blank + 1;
    return (size_t)(end - subject) > only && !memcmp(subject, filter->only, only) &&
           (subject[only] == '|' || subject[only] == ':' || subject[only] == '.');
}

static bool stage_log(void)
{
    char text[LOG_BUFFER];
    size_t size = log_take(text);
    if (size == 0)
        return false;
    if (!filter_passes(text, size))
        return true;
    erase_prompt();
    /* A guest's long line would go on in the next row, and could look like another line there: an
     * operator's terminal cuts it. The bytes are all there for whoever keeps them. */
    bool cut = drawn_size > 0 && size - 2 > COLUMNS &&
               is_of_guest(behind_time(text, size), text + size);
    if (cut)
        stage(NO_WRAP, sizeof NO_WRAP - 1);
    stage(text, size);
    if (cut)
        stage(WRAP, sizeof WRAP - 1);
    return true;
}

static bool stage_prompt(void)
{
    if (!drawn_changed && (prompt_shown || drawn_size == 0))
        return false;
    drawn_changed = false;
    if (drawn_size == 0)
        erase_prompt();
    stage(drawn, drawn_size); /* it erases the line before it draws */
    prompt_shown = drawn_size > 0;
    return true;
}

/* As it comes, but for the end of a line: guests write a newline alone. */
static bool stage_guest(void)
{
    char text[STAGED_MAX / 2];
    size_t size = console_take(guest, text, sizeof text, &guest_lost);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' && guest_byte != '\r')
            staged[staged_size++] = '\r';
        staged[staged_size++] = guest_byte = text[i];
    }
    return size > 0;
}

static bool log_is_held(void)
{
    return rdtsc() < log_waits_until;
}

/* The next piece; false when there is none. */
static bool stage_next(void)
{
    staged_size = staged_done = 0;
    if (stage_output())
        return true;
    switch (mode) {
    case TERMINAL_LOG: /* what is typed is seen at once, however much waits in the log */
        if (drawn_changed)
            return stage_prompt();
        return !log_is_held() && (stage_log() || stage_prompt());
    case TERMINAL_COMMAND:
        return false;
    case TERMINAL_SCREEN:
        passed_over += log_pass_over();
        return false;
    case TERMINAL_GUEST:
        passed_over += log_pass_over();
        return stage_guest();
    }
    return false;
}

/* A line may take bytes as fast as they come, and lines that are not shown take no time on it:
 * guests could keep this core busy without end. */
static bool drain(void)
{
    size_t bytes = 0;
    for (unsigned pieces = 0; pieces <= PIECES_A_TURN; pieces++) {
        while (staged_done < staged_size) {
            size_t taken = line->put(staged + staged_done, staged_size - staged_done);
            staged_done += taken;
            bytes += taken;
            if (taken == 0 || bytes > BYTES_A_TURN)
                return false;
        }
        spin_lock(&lock);
        bool more = stage_next();
        spin_unlock(&lock);
        if (!more)
            return mode != TERMINAL_GUEST && !log_is_held(); /* there may soon be more */
    }
    return false;
}

static void flush(void)
{
    line->flush();
}

static void put_all(const char *bytes, size_t size)
{
    while (size > 0) {
        size_t taken = line->put(bytes, size);
        bytes += taken;
        size -= taken;
        if (taken == 0)
            line->flush();
    }
}

static void show_panic(const char *bytes, size_t size)
{
    put_all(staged + staged_done, staged_size - staged_done);
    staged_size = staged_done = 0;
    if (mode != TERMINAL_LOG || prompt_shown)
        put_all(TERMINAL_SANE, sizeof TERMINAL_SANE - 1);
    mode = TERMINAL_LOG;
    prompt_shown = false;
    put_all(bytes, size);
}

const struct log_sink terminal_sink = {drain, flush, show_panic};
