/* SPDX-License-Identifier: MIT */
/* The command `top`: what VMs use, on the whole screen, once a second. Each turn it looks at all
 * VMs, a few vCPUs a step, sorts them, draws a screen and sends what differs from the last one; the
 * next turn waits until the line has taken it. Figures are read as in cmd_exits.c: behind the VM's
 * lock, which is tried, never waited for. */
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/monitor/command.h"
#include "kernel/monitor/monitor.h"
#include "kernel/monitor/screen_diff.h"
#include "kernel/monitor/terminal.h"
#include "kernel/monitor/vm_view.h"
#include "kernel/vm/sched_core.h"
#include "kernel/vm/stats.h"

#define PERIOD_US    1000000
#define VCPUS_A_STEP 6 /* of a VM */
#define SIFTS_A_STEP 16
#define ROWS_A_STEP  2
#define HEADER_STEPS 3
#define SEND_MAX     128
#define HEADER_ROWS  5
#define TABLE_ROWS   (SCREEN_ROWS - HEADER_ROWS - 1)
#define CORES_NAMED  6 /* in figures; more are a digit each */
#define CORES_DIGITS 70
#define NAME_WIDTH   13
#define TEXT_MAX     96 /* of a line of the screen, and a little more */
#define UNKNOWN      UINT32_MAX
#define ESCAPE       0x1b
#define CTRL(letter) ((letter)&0x1f)
#define CLEAR_SCREEN "\x1b[m\x1b[2J"
#define ENTER_SCREEN "\x1b[?1049h\x1b[?25l" CLEAR_SCREEN
#define LEAVE_SCREEN "\x1b[m\x1b[?25h\x1b[?1049l"

enum phase { PHASE_LOOK, PHASE_SORT, PHASE_DRAW, PHASE_SEND, PHASE_WAIT };

/* As vm_state_text says it, and asleep: no vCPU of it wants a core. */
static const char *const states[] = {"running",    "asleep",  "paused",   "stopped",
                                     "restarting", "refused", "stopping", "busy"};
#define STATES       ARRAY_SIZE(states)
#define STATE_ASLEEP 1
#define STATE_BUSY   (STATES - 1)

enum sort_key { BY_CPU, BY_NAME, BY_MEMORY, BY_EXITS, SORT_KEYS };

/* What all of a VM has come to. */
struct sample {
    uint64_t tsc, exits, wakes;
    uint32_t by_reason[STAT_REASONS]; /* modulo 2^32 */
};

/* A VM's line. */
struct line {
    struct vm *vm;
    uint32_t state; /* in `states` */
    struct sample last;
    bool has_rates;
    uint32_t cpu;          /* permille of a core */
    uint32_t top_reason;   /* most exits of the last turn, or UNKNOWN */
    uint64_t exits, wakes; /* a second */
    uint64_t run_ticks, memory;
    uint32_t first_vcpu; /* in vcpu_ran */
};

struct core_load {
    uint64_t ticks; /* so far in this turn */
    uint32_t load;  /* permille of the last one */
};

struct top {
    enum phase phase;
    uint32_t at; /* within the phase: a line, a row, a cell */
    uint64_t turn_tsc;
    uint32_t in_state[STATES]; /* VMs */
    struct screen shown, wanted;
    enum sort_key key;
    bool reverse;
    uint32_t scroll;
    /* While it looks: the VM at `at`. */
    uint32_t vcpu;
    struct sample sample;
    uint64_t ran;  /* by its vCPUs since the last turn, ticks */
    uint32_t heap; /* of PHASE_SORT: lines that are not yet in their place */
    uint32_t count;
    uint32_t order;          /* of its frames */
    struct core_load *cores; /* by index of the core */
    uint64_t *vcpu_ran;      /* run_ticks of every vCPU at the last turn */
    uint32_t *sorted;        /* lines */
    struct line lines[];
};

/* What keys ask for, until the next step; keys come between two steps, on the same core. */
static struct {
    bool quit, again, redraw, reverse;
    int32_t scroll;
    enum sort_key key; /* SORT_KEYS: as it is */
    uint8_t sequence;  /* bytes of an escape sequence so far */
} asked;

static void write_text(struct invocation *call, const char *text)
{
    call->out.put(call->out.context, text, strlen(text));
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void plain_key(uint8_t key)
{
    static const char sort_keys[SORT_KEYS] = {
        [BY_CPU] = 'c', [BY_NAME] = 'n', [BY_MEMORY] = 'm', [BY_EXITS] = 'e'};
    for (uint32_t i = 0; i < SORT_KEYS; i++)
        if (key == sort_keys[i])
            asked.key = i;
    asked.quit |= key == 'q' || key == CTRL('C');
    asked.reverse ^= key == 'r';
    asked.again |= key == ' ';
    asked.redraw |= key == CTRL('L');
    asked.scroll += (key == 'j') - (key == 'k');
}

/* Cursor keys are ESC [ A or ESC O A and the like. */
static void take_key(uint8_t key)
{
    const uint8_t sequence = asked.sequence;
    asked.sequence = 0;
    if (key == ESCAPE)
        asked.sequence = 1;
    else if (sequence == 1 && (key == '[' || key == 'O'))
        asked.sequence = 2;
    else if (sequence == 2)
        asked.scroll += (key == 'B') - (key == 'A');
    else
        plain_key(key);
}

static void sort_again(struct top *top)
{
    top->phase = PHASE_SORT;
    top->at = top->count / 2;
    top->heap = top->count;
}

static void look_again(struct top *top)
{
    top->phase = PHASE_LOOK;
    top->at = top->vcpu = 0;
    memset(top->in_state, 0, sizeof top->in_state);
}

/* What was asked for; not in the middle of a turn. */
static void answer_keys(struct invocation *call, struct top *top)
{
    const int64_t scroll = (int64_t)top->scroll + asked.scroll;
    const uint32_t most = top->count > TABLE_ROWS ? top->count - TABLE_ROWS : 0;
    const bool sorts = asked.key != SORT_KEYS || asked.reverse || asked.scroll;
    if (asked.key != SORT_KEYS)
        top->key = asked.key;
    top->reverse ^= asked.reverse;
    top->scroll = (uint32_t)MIN(MAX(scroll, 0), (int64_t)most);
    if (asked.redraw) {
        write_text(call, CLEAR_SCREEN);
        screen_clear(&top->shown);
    }
    if (asked.again)
        look_again(top);
    else if (sorts || asked.redraw)
        sort_again(top);
    asked.again = asked.redraw = asked.reverse = false;
    asked.scroll = 0;
    asked.key = SORT_KEYS;
}

/* ---- Looking --------------------------------------------------------------------------------- */

static uint32_t state_of(const struct vm *vm)
{
    const char *text = vm_state_text(vm);
    uint32_t state = 0;
    bool asleep = vm->state == VM_ALIVE;
    while (state < STATE_BUSY && strcmp(states[state], text) != 0)
        state++;
    for (uint32_t i = 0; asleep && i < vm->config.vcpus; i++) {
        const enum vcpu_state now = vm->vcpus[i]->state;
        asleep = now != VCPU_RUNNING && now != VCPU_RUNNABLE;
    }
    return state == 0 && asleep ? STATE_ASLEEP : state;
}

static void add_reason(struct sample *sample, uint32_t reason, uint64_t count)
{
    sample->exits += count;
    sample->by_reason[reason] += (uint32_t)count;
}

static void begin_sample(struct top *top, const struct line *line)
{
    memset(&top->sample, 0, sizeof top->sample);
    top->ran = 0;
    for (uint32_t reason = 0; reason < STAT_REASONS; reason++)
        add_reason(&top->sample, reason, line->vm->exits[reason]);
}

static void add_vcpu(struct top *top, const struct line *line, const struct vcpu *vcpu)
{
    uint64_t *last = &top->vcpu_ran[line->first_vcpu + vcpu->index];
    const uint64_t now = vcpu->run_ticks;
    const uint64_t ran = now < *last ? now : now - *last; /* less: another life */
    struct stat_wakes wakes = {.count = 0};
    struct stat_row row;
    *last = now;
    top->ran += ran;
    top->cores[atomic_load_explicit(&vcpu->cpu, memory_order_relaxed)].ticks += ran;
    if (!vcpu->stats)
        return;
    for (uint32_t slot = 0; slot < STAT_SLOTS; slot++)
        if (stats_row(vcpu->stats, slot, &row))
            add_reason(&top->sample, row.reason, row.count);
    stats_add_wakes(&wakes, vcpu->stats);
    top->sample.wakes += wakes.count;
}

static uint64_t a_second(uint64_t count, uint64_t ticks)
{
    const uint64_t us = MAX(time_ticks_to_ns(ticks) / 1000, 1);
    return count > UINT64_MAX / 1000000 ? count / us * 1000000 : count * 1000000 / us;
}

static uint32_t most_exits(const struct sample *now, const struct sample *last)
{
    uint32_t most = 0, found = UNKNOWN;
    for (uint32_t reason = 0; reason < STAT_REASONS; reason++) {
        const uint32_t count = now->by_reason[reason] - last->by_reason[reason];
        if (count > most) {
            most = count;
            found = reason;
        }
    }
    return found;
}

static void end_sample(struct top *top, struct line *line)
{
    const struct vm *vm = line->vm;
    struct sample *now = &top->sample;
    const struct sample *last = &line->last;
    now->tsc = rdtsc();
    const uint64_t ticks = now->tsc - last->tsc;
    line->has_rates = last->tsc != 0;
    line->cpu = (uint32_t)(top->ran * 1000 / MAX(ticks, 1));
    line->exits = a_second(now->exits - MIN(last->exits, now->exits), ticks);
    line->wakes = a_second(now->wakes - MIN(last->wakes, now->wakes), ticks);
    line->top_reason = most_exits(now, last);
    line->run_ticks = vm->run_ticks + (vm->state == VM_ALIVE ? vm_run_ticks(vm) : 0);
    line->memory = vm->state == VM_ALIVE ? vm->memory.size : 0;
    line->state = state_of(vm);
    line->last = *now;
}

/* Some vCPUs of a VM whose lock is held. True: that were all. */
static bool look_at(struct top *top, struct line *line)
{
    struct vm *vm = line->vm;
    const bool lives = vm->state == VM_ALIVE;
    if (top->vcpu == 0)
        begin_sample(top, line);
    for (uint32_t i = 0; lives && i < VCPUS_A_STEP && top->vcpu < vm->config.vcpus; i++)
        add_vcpu(top, line, vm->vcpus[top->vcpu++]);
    if (lives && top->vcpu < vm->config.vcpus)
        return false;
    end_sample(top, line);
    return true;
}

static void end_look(struct top *top)
{
    const uint64_t now = rdtsc(), ticks = MAX(now - top->turn_tsc, 1);
    for (uint32_t i = 0; i < sched_member_count; i++) {
        struct core_load *core = &top->cores[sched_members[i]];
        core->load = top->turn_tsc ? (uint32_t)MIN(core->ticks * 1000 / ticks, 1000) : UNKNOWN;
        core->ticks = 0;
    }
    top->turn_tsc = now;
    sort_again(top);
}

static void look_at_next(struct top *top)
{
    struct line *line = &top->lines[top->at];
    if (spin_trylock(&line->vm->lock)) {
        const bool done = look_at(top, line);
        spin_unlock(&line->vm->lock);
        if (!done)
            return;
    } else { /* it is being built or given back: the next turn */
        line->state = STATE_BUSY;
    }
    top->in_state[line->state]++;
    top->at++;
    top->vcpu = 0;
}

static void look(struct top *top)
{
    if (top->at < top->count)
        look_at_next(top);
    else
        end_look(top);
}

/* ---- Sorting: a heap sort that can stop anywhere --------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Does line a stand above line b? No two are alike: in the end by their order in the list. */
static bool is_above(const struct top *top, uint32_t a, uint32_t b)
{
    const struct line *x = &top->lines[a], *y = &top->lines[b];
    int order = 0;
    switch (top->key) {
    case BY_CPU:
        order = compare(x->cpu, y->cpu);
        break;
    case BY_NAME:
        order = strcmp(y->vm->config.name, x->vm->config.name);
        break;
    case BY_MEMORY:
        order = compare(x->memory, y->memory);
        break;
    case BY_EXITS:
        order = compare(x->exits, y->exits);
        break;
    case SORT_KEYS:
        break;
    }
    if (order == 0)
        return a < b;
    return (order > 0) != top->reverse;
}

static void swap(uint32_t *a, uint32_t *b)
{
    const uint32_t other = *a;
    *a = *b;
    *b = other;
}

/* The lowest line is at the root: what is taken from there goes to the end. */
static void sift(struct top *top, uint32_t at)
{
    uint32_t *sorted = top->sorted;
    for (uint32_t child = 2 * at + 1; child < top->heap; child = 2 * at + 1) {
        if (child + 1 < top->heap && is_above(top, sorted[child], sorted[child + 1]))
            child++;
        if (!is_above(top, sorted[at], sorted[child]))
            return;
        swap(&sorted[at], &sorted[child]);
        at = child;
    }
}

static void sort(struct top *top)
{
    for (uint32_t i = 0; i < SIFTS_A_STEP; i++) {
        if (top->at > 0) {
            sift(top, --top->at);
        } else if (top->heap > 1) {
            swap(&top->sorted[0], &top->sorted[--top->heap]);
            sift(top, 0);
        } else {
            top->phase = PHASE_DRAW;
            return;
        }
    }
}

/* ---- Drawing --------------------------------------------------------------------------------- */

static void put(struct top *top, uint32_t row, const char *text)
{
    screen_put(&top->wanted, row, 0, 0, text);
}

static void draw_title(struct top *top)
{
    char text[TEXT_MAX];
    const uint64_t seconds = log_time_us() / 1000000;
    snprintf(text, sizeof text, "atoll  up %llu:%02u:%02u  %u core%s  memory %llu of %llu MiB free",
             (unsigned long long)(seconds / 3600), (unsigned)(seconds / 60 % 60),
             (unsigned)(seconds % 60), sched_member_count, sched_member_count == 1 ? "" : "s",
             (unsigned long long)(frames_available_count() * PAGE_SIZE / MIB),
             (unsigned long long)(frames_total_count() * PAGE_SIZE / MIB));
    put(top, 0, text);
}

/* "VMs: 12  running 3  asleep 2" */
static void draw_states(struct top *top)
{
    char text[TEXT_MAX];
    int used = snprintf(text, sizeof text, "VMs: %u", top->count);
    for (uint32_t i = 0; i < STATES; i++)
        if (top->in_state[i] > 0 && used < SCREEN_COLUMNS)
            used += snprintf(text + used, sizeof text - (size_t)used, "  %s %u", states[i],
                             top->in_state[i]);
    put(top, 1, text);
}

/* "Load: 0 12%  1 100%"; many cores are a digit each, tenths, and '#' is all of it. */
static void draw_cores(struct top *top)
{
    char text[TEXT_MAX] = "";
    int used =
        snprintf(text, sizeof text, "%s", sched_member_count > CORES_NAMED ? "Load/10: " : "Load:");
    for (uint32_t i = 0; i < MIN(sched_member_count, CORES_DIGITS); i++) {
        const uint32_t load = top->cores[sched_members[i]].load;
        if (sched_member_count > CORES_NAMED)
            text[used++] = load == UNKNOWN ? '-' : load >= 950 ? '#' : (char)('0' + load / 100);
        else if (load == UNKNOWN)
            used += snprintf(text + used, sizeof text - (size_t)used, "  %u -", sched_members[i]);
        else
            used += snprintf(text + used, sizeof text - (size_t)used, "  %u %u%%", sched_members[i],
                             (load + 5) / 10);
    }
    text[used] = '\0';
    put(top, 2, text);
}

static void draw_keys(struct top *top)
{
    static const char *const keys[SORT_KEYS] = {
        [BY_CPU] = "c cpu", [BY_NAME] = "n name", [BY_MEMORY] = "m memory", [BY_EXITS] = "e exits"};
    uint32_t column = screen_put(&top->wanted, SCREEN_ROWS - 1, 0, 0, "Sort:");
    for (uint32_t i = 0; i < SORT_KEYS; i++)
        column = screen_put(&top->wanted, SCREEN_ROWS - 1, column + 1,
                            i == top->key ? SCREEN_INVERSE : 0, keys[i]);
    column = screen_put(&top->wanted, SCREEN_ROWS - 1, column + 1,
                        top->reverse ? SCREEN_INVERSE : 0, "r reverse");
    screen_put(&top->wanted, SCREEN_ROWS - 1, column + 3, 0, "j k scroll  space again  q quit");
}

static void draw_titles(struct top *top)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%-*s %-10s %6s %8s %5s %5s %7s %7s %-11s", NAME_WIDTH, "NAME",
             "STATE", "CPU%", "RUN TIME", "VCPUS", "MEM", "EXITS/s", "WAKES/s", "TOP EXIT");
    screen_put(&top->wanted, HEADER_ROWS - 1, 0, SCREEN_INVERSE, text);
}

/* "12.34s", "12:34:56", "1234h" */
static void duration(uint64_t ticks, char *text, size_t size)
{
    const uint64_t ms = time_ticks_to_ns(ticks) / 1000000;
    if (ms < 1000000)
        snprintf(text, size, "%u.%02us", (unsigned)(ms / 1000), (unsigned)(ms % 1000 / 10));
    else if (ms < 100ull * 3600 * 1000)
        snprintf(text, size, "%u:%02u:%02u", (unsigned)(ms / 3600000), (unsigned)(ms / 60000 % 60),
                 (unsigned)(ms / 1000 % 60));
    else
        snprintf(text, size, "%lluh", (unsigned long long)(ms / 3600000));
}

/* At most 7 characters. */
static void rate(const struct line *line, uint64_t value, char *text, size_t size)
{
    if (!line->has_rates || !STATS_KEPT)
        snprintf(text, size, "-");
    else if (value < 10000000)
        snprintf(text, size, "%llu", (unsigned long long)value);
    else
        snprintf(text, size, "%lluM", (unsigned long long)(value / 1000000));
}

static void draw_line(struct top *top, uint32_t row, const struct line *line)
{
    char text[TEXT_MAX], cpu[12] = "-", ran[24], memory[24] = "-", exits[24], wakes[24];
    const char *reason =
        line->top_reason == UNKNOWN || !line->has_rates ? "-" : vmx_exit_name(line->top_reason);
    if (line->has_rates)
        snprintf(cpu, sizeof cpu, "%u.%u", line->cpu / 10, line->cpu % 10);
    if (line->memory)
        snprintf(memory, sizeof memory, "%lluM", (unsigned long long)(line->memory / MIB));
    duration(line->run_ticks, ran, sizeof ran);
    rate(line, line->exits, exits, sizeof exits);
    rate(line, line->wakes, wakes, sizeof wakes);
    snprintf(text, sizeof text, "%-*.*s %-10s %6s %8s %5u %5s %7s %7s %.11s", NAME_WIDTH,
             NAME_WIDTH, line->vm->config.name, states[line->state], cpu, ran,
             line->vm->config.vcpus, memory, exits, wakes, reason);
    put(top, row, text);
}

static void draw_header(struct top *top, uint32_t step)
{
    switch (step) {
    case 0:
        screen_clear(&top->wanted);
        draw_title(top);
        return;
    case 1:
        draw_states(top);
        draw_cores(top);
        return;
    default:
        draw_titles(top);
        draw_keys(top);
        return;
    }
}

static void draw(struct top *top)
{
    const uint32_t rows = MIN(TABLE_ROWS, top->count - top->scroll);
    if (top->at < HEADER_STEPS) {
        draw_header(top, top->at++);
        return;
    }
    for (uint32_t i = 0; i < ROWS_A_STEP && top->at < HEADER_STEPS + rows; i++, top->at++) {
        const uint32_t row = top->at - HEADER_STEPS;
        draw_line(top, HEADER_ROWS + row, &top->lines[top->sorted[top->scroll + row]]);
    }
    if (top->at < HEADER_STEPS + rows)
        return;
    top->phase = PHASE_SEND;
    top->at = 0;
}

static void send(struct top *top, struct output *out)
{
    char bytes[SEND_MAX];
    const size_t size = screen_diff(&top->shown, &top->wanted, &top->at, bytes, sizeof bytes);
    out->put(out->context, bytes, size);
    if (top->at == SCREEN_CELLS)
        top->phase = PHASE_WAIT;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* The parts of its frames. */
static void lay_out(struct top *top, uint32_t count, uint32_t vcpus)
{
    struct vm *vm = STAILQ_FIRST(&vms);
    uint32_t first = 0;
    top->count = count;
    top->cores = (struct core_load *)&top->lines[count];
    top->vcpu_ran = (uint64_t *)&top->cores[CPUS_MAX];
    top->sorted = (uint32_t *)&top->vcpu_ran[vcpus];
    for (uint32_t i = 0; i < count; i++, vm = STAILQ_NEXT(vm, link)) {
        top->lines[i] = (struct line){.vm = vm, .first_vcpu = first};
        top->sorted[i] = i;
        first += vm->config.vcpus;
    }
}

static enum command_result start(struct invocation *call)
{
    const struct vm *vm;
    uint32_t count = 0, vcpus = 0;
    unsigned order = 0;
    hpa_t frames;
    STAILQ_FOREACH(vm, &vms, link)
    { /* all that will ever be */
        count++;
        vcpus += vm->config.vcpus;
    }
    const size_t size = sizeof(struct top) + count * sizeof(struct line) +
                        CPUS_MAX * sizeof(struct core_load) + vcpus * sizeof(uint64_t) +
                        count * sizeof(uint32_t);
    while (PAGE_SIZE << order < size)
        order++;
    if (frame_alloc(order, &frames))
        return command_fail(call, "no memory: %llu KiB are needed", (PAGE_SIZE << order) / KIB);
    struct top *top = phys_to_virt(frames);
    call->state[0] = (uintptr_t)top;
    call->at = 1;
    top->order = order;
    lay_out(top, count, vcpus);
    screen_clear(&top->shown);
    memset(&asked, 0, sizeof asked);
    asked.key = SORT_KEYS;
    monitor_take_screen(take_key);
    write_text(call, ENTER_SCREEN);
    return COMMAND_MORE;
}

static enum command_result end(struct invocation *call, struct top *top)
{
    write_text(call, LEAVE_SCREEN);
    frame_free(virt_to_phys(top), top->order);
    call->state[0] = 0;
    return COMMAND_DONE;
}

static enum command_result wait(struct invocation *call, struct top *top)
{
    if (!terminal_is_empty())
        return COMMAND_WAIT;
    answer_keys(call, top);
    if (top->phase == PHASE_WAIT && rdtsc() - top->turn_tsc >= time_us_to_ticks(PERIOD_US))
        look_again(top);
    return top->phase == PHASE_WAIT ? COMMAND_WAIT : COMMAND_MORE;
}

static enum command_result step(struct invocation *call)
{
    struct top *top = (struct top *)(uintptr_t)call->state[0];
    if (call->at == 0)
        return call->cancelled ? COMMAND_DONE : start(call);
    if (asked.quit || call->cancelled)
        return end(call, top);
    switch (top->phase) {
    case PHASE_LOOK:
        look(top);
        return COMMAND_MORE;
    case PHASE_SORT:
        sort(top);
        return COMMAND_MORE;
    case PHASE_DRAW:
        draw(top);
        return COMMAND_MORE;
    case PHASE_SEND:
        send(top, &call->out);
        return COMMAND_MORE;
    case PHASE_WAIT:
        break;
    }
    return wait(call, top);
}

const struct command command_top = {
    .name = "top",
    .usage = "",
    .help = "what VMs use, once a second, on the whole screen",
    .more = "c, n, m, e sort by CPU time, name, memory, exits; r reverses. j and k or the\n"
            "cursor keys scroll, space looks at once, Ctrl-L draws all anew, q or Ctrl-C\n"
            "ends it.\n"
            "CPU% is of one core, over the last second; TOP EXIT has most exits of that time.\n",
    .step = step,
};
