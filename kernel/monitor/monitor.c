/* SPDX-License-Identifier: MIT */
/* The loop of the monitor: keys in, one step of the running command, the prompt. The first key
 * opens it; from then on the machine stays up until the operator ends it. */
#include "kernel/monitor/monitor.h"

#include <linux/errno.h>
#include <stdarg.h>
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/monitor/command.h"
#include "kernel/monitor/line_editor.h"
#include "kernel/monitor/terminal.h"
#include "kernel/vm/console.h"
#include "kernel/vm/sched.h"

#define PROMPT         "atoll> "
#define COLUMNS        80
#define KEYS_MAX       512 /* typed ahead; a power of two */
#define KEYS_A_TURN    16
#define ENDS_A_TURN    8  /* VMs that are told to end */
#define END_TIMEOUT_US 2000000
#define CANDIDATES_MAX 64
#define BUFFER_ORDER   3
#define CTRL(letter)   ((letter) & 0x1f)
#define QUIET_US       250000  /* behind a guest's last byte or the last key, and then ... */
#define QUIET_MAX_US   2000000 /* ... or after so much of noise there is a prompt */

_Static_assert(PAGE_SIZE << BUFFER_ORDER == TERMINAL_OUTPUT_SIZE, "the buffer of the terminal");

static struct options *options;
static struct timer poll_timer;
static bool opened;
static struct line_editor editor;
static uint8_t keys[KEYS_MAX]; /* typed, not yet looked at */
static uint32_t keys_put, keys_taken;
static bool prompt_changed;
static struct invocation call;
static char call_line[EDIT_LINE_MAX]; /* its words */
static bool running;                  /* a command ... */
static bool stepped;                  /* ... that was called */
static void (*screen_key)(uint8_t byte);
static struct vm *attached;
static struct vm *left; /* who was attached until the last key, the escape key */
static bool deaf; /* between a guest and the prompt ... */
static uint64_t quiet_tsc, deaf_tsc; /* ... until then, but no longer than until then */
static bool said_all_ended;

static enum onidle ending; /* not ONIDLE_DEFAULT: on the way out ... */
static struct vm *end_next; /* ... from this VM on ... */
static uint64_t end_tsc;   /* ... but no longer than until then */

/* ---- What a command may ask for -------------------------------------------------------------- */

const struct options *monitor_options(void)
{
    return options;
}

const char *monitor_escape_name(void)
{
    static char name[] = "Ctrl-?";
    name[sizeof name - 2] = (char)(options->escape | 0x40);
    return name;
}

void monitor_attach(struct vm *vm)
{
    attached = vm;
}

void monitor_take_screen(void (*key)(uint8_t byte))
{
    screen_key = key;
    terminal_set_mode(TERMINAL_SCREEN, NULL);
}

void monitor_end(enum onidle how)
{
    ending = how;
    end_next = STAILQ_FIRST(&vms);
    end_tsc = rdtsc() + time_us_to_ticks(END_TIMEOUT_US);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char text[2 * COLUMNS];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size > 0)
        terminal_write(NULL, text, MIN((size_t)size, sizeof text - 1));
}

/* ---- The prompt ------------------------------------------------------------------------------ */

static void show_prompt(void)
{
    char drawn[EDIT_DRAWN_MAX];
    size_t size = line_editor_draw(&editor, PROMPT, COLUMNS, drawn);
    prompt_changed = false;
    terminal_prompt(drawn, size, editor.length > 0);
}

static void next_prompt(void)
{
    line_editor_start(&editor);
    terminal_set_mode(TERMINAL_LOG, NULL);
    show_prompt();
}

static void open_monitor(void)
{
    opened = true;
    sched_stay(true);
    say("Atoll's monitor. `help` lists the commands, `poweroff` ends the machine.\n");
    next_prompt();
}

/* ---- Completion ------------------------------------------------------------------------------ */

struct candidates {
    const char *names[CANDIDATES_MAX];
    size_t count;
    const char *start; /* of the word */
    size_t length;
};

static void add_candidate(struct candidates *all, const char *name)
{
    if (all->count < CANDIDATES_MAX && !strncmp(name, all->start, all->length))
        all->names[all->count++] = name;
}

static void add_commands(struct candidates *all)
{
    for (size_t i = 0; i < commands_count; i++)
        add_candidate(all, commands[i]->name);
}

static void add_arguments(struct candidates *all, const struct command *command, uint32_t number)
{
    const struct vm *vm;
    if (command == &command_help && number == 1)
        add_commands(all);
    switch (number - 1 < ARGUMENTS_MAX ? command->arguments[number - 1] : ARGUMENT_NONE) {
    case ARGUMENT_VM:
    case ARGUMENT_VCPU:
        STAILQ_FOREACH(vm, &vms, link)
            add_candidate(all, vm->config.name);
        return;
    case ARGUMENT_WORD:
        for (const char *const *choice = command->choices; choice && *choice; choice++)
            add_candidate(all, *choice);
        return;
    default:
        return;
    }
}

static const struct command *typed_command(void)
{
    char name[EDIT_LINE_MAX];
    size_t length = 0;
    const char *at = editor.text;
    while (*at == ' ')
        at++;
    while (*at && *at != ' ')
        name[length++] = *at++;
    name[length] = '\0';
    return command_find(name);
}

static void list_candidates(const struct candidates *all)
{
    size_t column = 0;
    say(PROMPT "%s\n", editor.text);
    for (size_t i = 0; i < all->count; i++) {
        size_t width = strlen(all->names[i]) + 2;
        if (column + width > COLUMNS) {
            say("\n");
            column = 0;
        }
        say("%s  ", all->names[i]);
        column += width;
    }
    say("\n");
}

static void complete(void)
{
    struct candidates all = {.count = 0};
    uint32_t number;
    size_t before = editor.length;
    all.length = line_editor_word(&editor, &all.start, &number);
    const struct command *command = number > 0 ? typed_command() : NULL;
    if (number == 0)
        add_commands(&all);
    else if (command)
        add_arguments(&all, command, number);
    if (line_editor_complete(&editor, all.names, all.count) > 1 && editor.length == before)
        list_candidates(&all);
    show_prompt();
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void begin_command(const struct command *command, int words, bool json)
{
    call.command = command;
    call.out = (struct output){.put = terminal_write, .json = json};
    call.argc = (unsigned)words;
    call.json = json;
    call.cancelled = false;
    call.at = 0;
    memset(call.state, 0, sizeof call.state);
    running = true;
    stepped = false;
}

static void start_command(void)
{
    bool json = false;
    memcpy(call_line, editor.text, sizeof call_line);
    say(PROMPT "%s\n", editor.text);
    terminal_prompt(NULL, 0, false);
    terminal_set_mode(TERMINAL_COMMAND, NULL);
    int words = words_split(call_line, call.argv, &json);
    if (words <= 0) {
        if (words < 0)
            say("a line has at most %u words, and each \" another one\n", WORDS_MAX);
        next_prompt();
        return;
    }
    const struct command *command = command_find(call.argv[0]);
    if (!command)
        say("no command \"%.32s\"; `help` lists them\n", call.argv[0]);
    else if (words - 1 < command->least || words - 1 > command->most ||
             (json && !command->lists))
        say("expected: %s%s%s%s\n", command->name, *command->usage ? " " : "", command->usage,
            command->lists ? " [-j]" : "");
    else
        begin_command(command, words, json);
    if (!running)
        next_prompt();
}

static void attach(struct vm *vm)
{
    attached = vm;
    say("[%s: %s leaves, typed twice it goes to the guest]\n", attached->config.name,
        monitor_escape_name());
    terminal_prompt(NULL, 0, false);
    console_attach(attached);
    terminal_set_mode(TERMINAL_GUEST, attached);
}

static void be_quiet(void)
{
    quiet_tsc = rdtsc() + time_us_to_ticks(QUIET_US);
}

/* A guest can make a terminal answer (where is the cursor? what is your title?), and an operator
 * may still type at one that has just ended: neither is a command. Whatever comes before the prompt
 * is dropped, and the prompt comes when nothing has come for a while. */
static void detach(const char *why)
{
    struct vm *vm = attached;
    attached = NULL;
    console_detach(vm);
    say(TERMINAL_SANE "[%s: %s]\n", vm->config.name, why);
    terminal_set_mode(TERMINAL_LOG, NULL);
    keys_taken = keys_put;
    deaf = true;
    deaf_tsc = rdtsc() + time_us_to_ticks(QUIET_MAX_US);
    be_quiet();
}

static void listen_again(void)
{
    if (!terminal_is_empty())
        be_quiet();
    if (rdtsc() < MIN(quiet_tsc, deaf_tsc))
        return;
    deaf = false;
    next_prompt();
}

static void end_command(void)
{
    running = false;
    screen_key = NULL;
    if (attached)
        attach(attached);
    else
        next_prompt();
}

/* Text takes up to two bytes for one. */
static void run_command(void)
{
    if (call.cancelled && !stepped) {
        end_command();
        return;
    }
    if (terminal_room() < 2 * COMMAND_STEP_MAX && !call.cancelled)
        return;
    stepped = true;
    if (call.command->step(&call) == COMMAND_DONE || call.cancelled)
        end_command();
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void edit(uint8_t key)
{
    switch (line_editor_key(&editor, key)) {
    case EDIT_NOTHING:
        return;
    case EDIT_CHANGED:
        prompt_changed = true;
        return;
    case EDIT_LINE:
        start_command();
        return;
    case EDIT_COMPLETE:
        complete();
        return;
    case EDIT_CANCEL:
        say(PROMPT "%s^C\n", editor.text);
        next_prompt();
        return;
    case EDIT_REDRAW:
        say("\x1b[H\x1b[2J");
        show_prompt();
        return;
    }
}

static void key_for_guest(uint8_t key)
{
    if (key == options->escape) {
        left = attached;
        detach("detached");
    } else {
        (void)console_type(attached, (const char *)&key, 1); /* what does not fit is lost */
    }
}

/* The escape key twice: back, and it is for the guest. */
static void return_to(struct vm *vm, uint8_t key)
{
    deaf = false;
    attach(vm);
    (void)console_type(vm, (const char *)&key, 1);
}

static void take_key(uint8_t key)
{
    struct vm *was = left;
    left = NULL;
    if (!opened)
        open_monitor();
    if (screen_key)
        screen_key(key);
    else if (attached)
        key_for_guest(key);
    else if (was && key == options->escape)
        return_to(was, key);
    else if (deaf)
        be_quiet();
    else
        edit(key);
}

/* While a command runs, keys wait for its end; Ctrl-C ends it, and is seen however many wait: what
 * is typed beyond KEYS_MAX is lost. */
static void read_keys(void)
{
    uint8_t key;
    for (unsigned i = 0; i < KEYS_A_TURN && terminal_key(&key); i++) {
        if (running && !screen_key && key == CTRL('C')) {
            keys_taken = keys_put;
            call.cancelled = true;
        } else if (keys_put - keys_taken < KEYS_MAX) {
            keys[keys_put++ % KEYS_MAX] = key;
        }
    }
}

static bool wants_key(void)
{
    return screen_key || (!running && terminal_room() >= 2 * COMMAND_STEP_MAX);
}

/* A control key may do much: complete a word, begin a command, redraw all. It is the last one of
 * its turn. */
static void take_keys(void)
{
    for (unsigned i = 0; i < KEYS_A_TURN && keys_taken != keys_put && wants_key(); i++) {
        uint8_t key = keys[keys_taken++ % KEYS_MAX];
        take_key(key);
        if (key < ' ')
            break;
    }
    if (prompt_changed && !running && !attached && !deaf)
        show_prompt();
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void go_on_ending(void)
{
    for (unsigned i = 0; i < ENDS_A_TURN && end_next; i++) {
        if (vm_end(end_next) == -EAGAIN) /* one that has ended already refuses otherwise */
            break;
        end_next = STAILQ_NEXT(end_next, link);
    }
    if ((end_next || vms_alive() > 0) && rdtsc() < end_tsc)
        return;
    options->onidle = ending;
    terminal_set_mode(TERMINAL_LOG, NULL);
    terminal_prompt(NULL, 0, false);
    sched_stay(false);
    sched_leave();
}

/* For good, as far as it is known now: while another core builds it, it has not. */
static bool has_ended(struct vm *vm)
{
    if (!spin_trylock(&vm->lock))
        return false;
    bool ended = vm->state != VM_ALIVE && !vm->restarting;
    spin_unlock(&vm->lock);
    return ended;
}

static void look_at_guests(void)
{
    if (attached && !running && has_ended(attached) &&
        attached->console->shown == attached->console->written)
        detach("it has ended");
    bool all_ended = vms_alive() == 0 && !ending;
    if (all_ended && !said_all_ended && opened)
        log_info("all guests have ended; the monitor keeps the machine on: `poweroff` ends it");
    said_all_ended = all_ended;
}

static void poll(struct timer *timer)
{
    read_keys();
    if (!ending)
        take_keys();
    if (running)
        run_command();
    look_at_guests();
    if (deaf)
        listen_again();
    if (ending)
        go_on_ending();
    sched_arm(timer, rdtsc() + time_us_to_ticks(MONITOR_POLL_US));
}

void monitor_start(struct options *from)
{
    hpa_t buffer;
    options = from;
    if (options->onidle == ONIDLE_MONITOR)
        sched_stay(true);
    if (frame_alloc(BUFFER_ORDER, &buffer)) {
        log_info("no memory for the monitor");
        return;
    }
    terminal_use_buffer(phys_to_virt(buffer));
    console_has_terminal();
    poll_timer.fire = poll;
    sched_arm(&poll_timer, rdtsc());
}
