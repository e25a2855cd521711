/* SPDX-License-Identifier: MIT */
/* The command `exits`: what exits cost, by kind, and where the time of vCPUs goes. The figures of
 * some vCPUs are summed first, a few vCPUs a step, then shown.
 *
 * They are read while their cores write them. That is harmless: each is one aligned word, which is
 * whole at any time, and two of them may be one exit apart. That the page stays is what the VM's
 * lock is for. */
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/monitor/command.h"
#include "kernel/vm/hypercall_names.h"
#include "kernel/vm/stats.h"

#define ROWS_SHOWN   24 /* of the table; the rest is one row */
#define ROWS_A_STEP  2
#define VCPUS_A_STEP 6
#define BUSY_TRIES   20  /* COMMAND_WAITs for the lock of a VM that is being built or given back */
#define FOUND_MAX    200 /* ports and places of all vCPUs that are told apart */
#define LABEL_MAX    48
#define BAR_MAX      40
#define RUN_ORDER    2

enum phase {
    PHASE_COLLECT,
    PHASE_TITLE,
    PHASE_ROWS,
    PHASE_SUMS,
    PHASE_STATES,
    PHASE_WAKES,
    PHASE_BUCKETS,
    PHASE_END,
};

/* Those whose figures are told apart. */
static const uint32_t told_apart[] = {EXIT_VMCALL, EXIT_IO, EXIT_EPT_VIOLATION};
static const char *const told_apart_labels[] = {"= all VMCALL", "= all I/O",
                                                "= all EPT violations"};

/* The command while it runs: in frames of its own. */
struct exits_run {
    enum phase phase;
    struct vm *vm; /* the next one, or the only one */
    uint32_t vcpu; /* of it: the next one, or the only one */
    bool one_vm, one_vcpu;
    uint32_t tries;
    uint32_t busy;    /* VMs that were left out */
    uint32_t at;      /* within the phase */
    uint32_t vcpus;   /* that were summed */
    uint64_t earlier; /* exits of lives that are over */
    uint64_t in_state[VCPU_STATES];
    struct stat_wakes wakes;
    struct stat_row all, rest;
    uint32_t rest_kinds;
    struct stat_row sums[ARRAY_SIZE(told_apart)];
    struct stat_row slots[STAT_FIRST_PORT];
    uint32_t found_count;
    struct stat_row found[FOUND_MAX]; /* the first two: further ports, further places */
};
_Static_assert(sizeof(struct exits_run) <= PAGE_SIZE << RUN_ORDER, "its frames hold it");

static const struct column plain_columns[] = {{"EXIT", "exit", -23},      {"COUNT", "count", 10},
                                              {"SHARE", "share", 6},      {"TIME us", "us", 10},
                                              {"SHARE", "time_share", 6}, {"MIN", "min_ticks", 5},
                                              {"MEAN", "mean_ticks", 6},  {"MAX", "max_ticks", 7}};
static const struct column json_columns[] = {
    {"", "exit", 0},       {"", "reason", 0},   {"", "detail", 0},     {"", "count", 0},
    {"", "share", 0},      {"", "us", 0},       {"", "time_share", 0}, {"", "min_ticks", 0},
    {"", "mean_ticks", 0}, {"", "max_ticks", 0}};
static const struct column earlier_columns[] = {{"", "earlier_exits", 0}};
static const struct column state_columns[] = {
    {"STATE", "state", -23}, {"TIME us", "us", 14}, {"SHARE", "share", 6}};
static const struct column wake_columns[] = {{"WAKE-UPS", "wake_ups", 10},
                                             {"MEAN ns", "mean_ns", 12},
                                             {"MEDIAN ns", "median_ns", 12},
                                             {"99 % ns", "p99_ns", 12},
                                             {"WORST ns", "worst_ns", 12}};
static const struct column bucket_columns[] = {
    {"UP TO ns", "up_to_ns", 12}, {"WAKE-UPS", "wake_ups", 10}, {"SHARE", "share", 6}, {"", "", 0}};

static uint64_t to_us(uint64_t ticks)
{
    return time_ticks_to_ns(ticks) / 1000;
}

/* Of counts and ticks that may be large. */
static uint64_t permille(uint64_t part, uint64_t whole)
{
    while (whole > UINT64_MAX / 2000) {
        part /= 2;
        whole /= 2;
    }
    return whole ? MIN(part, whole) * 1000 / whole : 0;
}

static void next_phase(struct exits_run *run, enum phase phase)
{
    run->phase = phase;
    run->at = 0;
}

/* ---- Summing --------------------------------------------------------------------------------- */

static void end(struct invocation *call)
{
    struct exits_run *run = (struct exits_run *)(uintptr_t)call->state[0];
    if (run)
        frame_free(virt_to_phys(run), RUN_ORDER);
    call->state[0] = 0;
}

/* The sum that a row belongs to. */
static struct stat_row *sum_of(struct exits_run *run, uint32_t slot, const struct stat_row *row)
{
    if (slot < STAT_FIRST_PORT)
        return &run->slots[slot];
    struct stat_row *others = &run->found[slot >= STAT_FIRST_PLACE];
    if (row->others)
        return others;
    for (uint32_t i = 2; i < run->found_count; i++)
        if (run->found[i].reason == row->reason && run->found[i].detail == row->detail)
            return &run->found[i];
    return run->found_count < FOUND_MAX ? &run->found[run->found_count++] : others;
}

static void add_row(struct exits_run *run, uint32_t slot, const struct stat_row *row)
{
    struct stat_row *sum = sum_of(run, slot, row);
    if (sum->count == 0) {
        sum->reason = row->reason;
        sum->has_detail = row->has_detail;
        sum->others = sum == &run->found[0] || sum == &run->found[1] || row->others;
        sum->detail = sum->others ? 0 : row->detail;
    }
    stats_sum(sum, row);
    stats_sum(&run->all, row);
    for (uint32_t i = 0; i < ARRAY_SIZE(told_apart); i++)
        if (row->reason == told_apart[i])
            stats_sum(&run->sums[i], row);
}

static void add_vcpu(struct exits_run *run, const struct vcpu *vcpu)
{
    const struct stats *stats = vcpu->stats;
    struct stat_row row;
    if (!stats)
        return;
    for (uint32_t slot = 0; slot < STAT_SLOTS; slot++)
        if (stats_row(stats, slot, &row))
            add_row(run, slot, &row);
    const uint64_t now = rdtsc();
    for (uint32_t state = 0; state < VCPU_STATES; state++)
        run->in_state[state] += stats_in_state(stats, state, vcpu->state, now);
    stats_add_wakes(&run->wakes, stats);
    run->vcpus++;
}

static void add_earlier(struct exits_run *run, const struct vm *vm)
{
    for (uint32_t reason = 0; reason < STAT_REASONS; reason++)
        run->earlier += vm->exits[reason];
}

/* Some vCPUs of a VM whose lock is held. True: that were all. */
static bool add_some(struct exits_run *run)
{
    const struct vm *vm = run->vm;
    const bool lives = vm->state == VM_ALIVE;
    if (run->one_vcpu) {
        if (lives)
            add_vcpu(run, vm->vcpus[run->vcpu]);
        return true;
    }
    if (run->vcpu == 0)
        add_earlier(run, vm);
    for (uint32_t i = 0; lives && i < VCPUS_A_STEP && run->vcpu < vm->config.vcpus; i++)
        add_vcpu(run, vm->vcpus[run->vcpu++]);
    return !lives || run->vcpu == vm->config.vcpus;
}

static enum command_result collect(struct exits_run *run)
{
    if (!spin_trylock(&run->vm->lock)) {
        if (++run->tries < BUSY_TRIES)
            return COMMAND_WAIT;
        run->busy++;
    } else {
        const bool done = add_some(run);
        spin_unlock(&run->vm->lock);
        if (!done)
            return COMMAND_MORE;
    }
    run->vm = run->one_vm ? NULL : STAILQ_NEXT(run->vm, link);
    run->vcpu = run->tries = 0;
    if (!run->vm)
        run->phase = PHASE_TITLE;
    return COMMAND_MORE;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void label(const struct stat_row *row, char text[LABEL_MAX])
{
    const char *name = row->has_detail ? hypercall_name(row->detail) : NULL;
    const unsigned long long detail = row->detail;
    if (!row->has_detail)
        snprintf(text, LABEL_MAX, "%s", vmx_exit_name(row->reason));
    else if (row->reason == EXIT_VMCALL)
        snprintf(text, LABEL_MAX, "VMCALL %s", row->others || !name ? "unknown" : name);
    else if (row->others)
        snprintf(text, LABEL_MAX, "%s others",
                 row->reason == EXIT_IO ? "I/O port" : "EPT violation");
    else if (row->reason == EXIT_IO)
        snprintf(text, LABEL_MAX, "I/O port 0x%llx", detail);
    else
        snprintf(text, LABEL_MAX, "EPT violation 0x%llx", detail);
}

static void put_row(struct invocation *call, const struct exits_run *run, const char *text,
                    const struct stat_row *row)
{
    struct output *out = &call->out;
    if (call->json) {
        row_begin(out, json_columns, ARRAY_SIZE(json_columns));
        row_text(out, text);
        row_number(out, row->reason);
        if (row->has_detail && !row->others)
            row_number(out, row->detail);
        else
            row_none(out);
    } else {
        row_begin(out, plain_columns, ARRAY_SIZE(plain_columns));
        row_text(out, text);
    }
    row_number(out, row->count);
    row_permille(out, permille(row->count, run->all.count));
    row_number(out, to_us(row->total));
    row_permille(out, permille(row->total, run->all.total));
    row_number(out, row->least);
    row_number(out, row->count ? row->total / row->count : 0);
    row_number(out, row->most);
    row_end(out);
}

static bool costs_more(const struct stat_row *a, const struct stat_row *b)
{
    return a->total != b->total ? a->total > b->total : a->count > b->count;
}

/* The row with the most time that was not shown; NULL: all were. */
static struct stat_row *next_row(struct exits_run *run)
{
    struct stat_row *best = NULL;
    for (uint32_t i = 0; i < STAT_FIRST_PORT + run->found_count; i++) {
        struct stat_row *row =
            i < STAT_FIRST_PORT ? &run->slots[i] : &run->found[i - STAT_FIRST_PORT];
        if (row->count > 0 && (!best || costs_more(row, best)))
            best = row;
    }
    return best;
}

static void put_title(struct invocation *call, struct exits_run *run)
{
    struct output *out = &call->out;
    run->phase = PHASE_ROWS;
    if (call->json)
        return;
    if (run->busy)
        output_text(out, "%u VMs are being built or given back, and left out\n", run->busy);
    output_text(out, "%s: %u vCPU%s; ticks of the TSC, %llu kHz\n",
                call->argc > 1 ? call->argv[1] : "all VMs", run->vcpus, run->vcpus == 1 ? "" : "s",
                (unsigned long long)time_tsc_hz() / 1000);
    output_header(out, plain_columns, ARRAY_SIZE(plain_columns));
}

/* The next few; in a table all behind the first ones are one. */
static void put_rows(struct invocation *call, struct exits_run *run)
{
    for (uint32_t i = 0; i < ROWS_A_STEP; i++) {
        struct stat_row *row = next_row(run);
        char text[LABEL_MAX];
        if (!row) {
            next_phase(run, PHASE_SUMS);
            return;
        }
        if (call->json || run->at < ROWS_SHOWN) {
            label(row, text);
            put_row(call, run, text, row);
        } else {
            stats_sum(&run->rest, row);
            run->rest_kinds++;
        }
        row->count = 0;
        run->at++;
    }
}

static void put_earlier(struct invocation *call, const struct exits_run *run)
{
    if (call->json) {
        row_begin(&call->out, earlier_columns, ARRAY_SIZE(earlier_columns));
        row_number(&call->out, run->earlier);
        row_end(&call->out);
    } else if (run->earlier > 0) {
        output_text(&call->out, "and %llu exits in earlier lives\n",
                    (unsigned long long)run->earlier);
    }
}

/* The sum at run->at: of what was not shown, of a reason, of all; then there is none. */
static bool put_sum(struct invocation *call, const struct exits_run *run)
{
    char text[LABEL_MAX];
    const uint32_t reason = run->at - 1;
    snprintf(text, sizeof text, "%u more kinds", run->rest_kinds);
    if (run->at == 0 && run->rest.count)
        put_row(call, run, text, &run->rest);
    else if (reason < ARRAY_SIZE(told_apart) && run->sums[reason].count)
        put_row(call, run, told_apart_labels[reason], &run->sums[reason]);
    else if (reason == ARRAY_SIZE(told_apart))
        put_row(call, run, "= all exits", &run->all);
    return run->at <= ARRAY_SIZE(told_apart);
}

/* Sums are no rows of JSON: whoever adds its rows up would count twice. */
static void put_sums(struct invocation *call, struct exits_run *run)
{
    if (!call->json && put_sum(call, run)) {
        run->at++;
        return;
    }
    if (!run->one_vcpu)
        put_earlier(call, run);
    next_phase(run, PHASE_STATES);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void put_state(struct invocation *call, const char *name, uint64_t ticks, uint64_t whole)
{
    row_begin(&call->out, state_columns, ARRAY_SIZE(state_columns));
    row_text(&call->out, name);
    row_number(&call->out, to_us(ticks));
    row_permille(&call->out, permille(ticks, whole));
    row_end(&call->out);
}

static void put_states(struct invocation *call, struct exits_run *run)
{
    static const char *const names[VCPU_STATES] = {
        [VCPU_CREATED] = "not started", [VCPU_RUNNABLE] = "runnable", [VCPU_RUNNING] = "running",
        [VCPU_SLEEPING] = "asleep",     [VCPU_PAUSED] = "paused",     [VCPU_STOPPED] = "stopped"};
    static const enum vcpu_state order[VCPU_STATES] = {VCPU_RUNNING, VCPU_RUNNABLE, VCPU_SLEEPING,
                                                       VCPU_PAUSED,  VCPU_CREATED,  VCPU_STOPPED};
    uint64_t whole = 0;
    for (uint32_t state = 0; state < VCPU_STATES; state++)
        whole += run->in_state[state];
    if (run->at == 0) {
        if (!call->json)
            output_text(&call->out, "\n");
        output_header(&call->out, state_columns, ARRAY_SIZE(state_columns));
    }
    for (uint32_t i = 0; i < ROWS_A_STEP && run->at < VCPU_STATES; i++, run->at++) {
        const enum vcpu_state state = order[run->at];
        if (run->at < 3 || run->in_state[state] > 0)
            put_state(call, names[state], run->in_state[state], whole);
    }
    if (run->at < VCPU_STATES)
        return;
    if (!call->json)
        put_state(call, "(running: exits)", run->all.total, whole);
    next_phase(run, PHASE_WAKES);
}

static void put_wakes(struct invocation *call, struct exits_run *run)
{
    struct output *out = &call->out;
    const struct stat_wakes *wakes = &run->wakes;
    next_phase(run, wakes->count ? PHASE_BUCKETS : PHASE_END);
    if (!call->json)
        output_text(out, "\n");
    output_header(out, wake_columns, ARRAY_SIZE(wake_columns));
    row_begin(out, wake_columns, ARRAY_SIZE(wake_columns));
    row_number(out, wakes->count);
    row_number(out, wakes->count ? time_ticks_to_ns(wakes->total / wakes->count) : 0);
    row_number(out, time_ticks_to_ns(stats_wake_quantile(wakes, 500)));
    row_number(out, time_ticks_to_ns(stats_wake_quantile(wakes, 990)));
    row_number(out, time_ticks_to_ns(wakes->worst));
    row_end(out);
    if (!call->json && wakes->count)
        output_text(out, "\n");
    if (wakes->count)
        output_header(out, bucket_columns, ARRAY_SIZE(bucket_columns));
}

static void put_bucket(struct invocation *call, const struct stat_wakes *wakes, uint32_t bucket)
{
    struct output *out = &call->out;
    const uint64_t part = permille(wakes->buckets[bucket], wakes->count);
    char bar[BAR_MAX + 1] = "";
    memset(bar, '#', part * BAR_MAX / 1000);
    bar[part * BAR_MAX / 1000] = '\0';
    row_begin(out, bucket_columns, ARRAY_SIZE(bucket_columns) - call->json);
    row_number(out, time_ticks_to_ns(BIT(bucket + 1) - 1));
    row_number(out, wakes->buckets[bucket]);
    row_permille(out, part);
    if (!call->json)
        row_text(out, bar);
    row_end(out);
}

/* From the first to the last that is not empty. */
static void put_buckets(struct invocation *call, struct exits_run *run)
{
    const uint64_t *buckets = run->wakes.buckets;
    uint32_t first = 0, last = STAT_BUCKETS - 1;
    while (first < last && buckets[first] == 0)
        first++;
    while (last > first && buckets[last] == 0)
        last--;
    for (uint32_t i = 0; i < ROWS_A_STEP && first + run->at <= last; i++)
        put_bucket(call, &run->wakes, first + run->at++);
    if (first + run->at > last)
        run->phase = PHASE_END;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* What is to be summed: "a.1" is a vCPU if a VM is called "a", else the VM "a.1". False behind
 * command_fail. */
static bool choose(struct invocation *call, struct exits_run *run)
{
    const char *word = call->argv[1];
    size_t length;
    uint32_t index;
    run->vm = STAILQ_FIRST(&vms);
    if (call->argc < 2)
        return true;
    run->one_vm = true;
    run->vm = NULL;
    if (words_vcpu(word, &length, &index) == 0 && length < strlen(word))
        run->vm = vm_by_name(word, length);
    if (!run->vm)
        return (run->vm = command_vm(call, word)) != NULL;
    if (index >= run->vm->config.vcpus) {
        command_fail(call, "no vCPU \"%s\": expected %s.0 to %s.%u", word, run->vm->config.name,
                     run->vm->config.name, run->vm->config.vcpus - 1);
        return false;
    }
    run->vcpu = index;
    run->one_vcpu = true;
    return true;
}

static enum command_result start(struct invocation *call)
{
    if (!STATS_KEPT)
        return command_fail(call, "statistics are compiled out (build option \"statistics\")");
    hpa_t frames;
    if (frame_alloc(RUN_ORDER, &frames))
        return command_fail(call, "no memory: %llu KiB are needed", (PAGE_SIZE << RUN_ORDER) / KIB);
    struct exits_run *run = phys_to_virt(frames);
    call->state[0] = (uintptr_t)run;
    call->at = 1;
    run->found_count = 2;
    if (choose(call, run)) {
        run->phase = run->vm ? PHASE_COLLECT : PHASE_TITLE;
        return COMMAND_MORE;
    }
    end(call);
    return COMMAND_DONE;
}

static enum command_result step(struct invocation *call)
{
    struct exits_run *run = (struct exits_run *)(uintptr_t)call->state[0];
    if (call->at == 0)
        return call->cancelled ? COMMAND_DONE : start(call);
    if (call->cancelled)
        run->phase = PHASE_END;
    switch (run->phase) {
    case PHASE_COLLECT:
        return collect(run);
    case PHASE_TITLE:
        put_title(call, run);
        return COMMAND_MORE;
    case PHASE_ROWS:
        put_rows(call, run);
        return COMMAND_MORE;
    case PHASE_SUMS:
        put_sums(call, run);
        return COMMAND_MORE;
    case PHASE_STATES:
        put_states(call, run);
        return COMMAND_MORE;
    case PHASE_WAKES:
        put_wakes(call, run);
        return COMMAND_MORE;
    case PHASE_BUCKETS:
        put_buckets(call, run);
        return COMMAND_MORE;
    case PHASE_END:
        break;
    }
    end(call);
    return COMMAND_DONE;
}

const struct command command_exits = {
    .name = "exits",
    .usage = "[VM[.N]]",
    .help = "what exits cost, by kind, and where the time goes",
    .more = "    exits\n    exits web\n    exits web.1 -j\n"
            "Costs are ticks from an exit to the next entry. SHARE is of all exits, then of\n"
            "the time of all exits. Lines that begin with \"=\" are sums of lines above them.\n",
    .step = step,
    .arguments = {ARGUMENT_VCPU},
    .most = 1,
    .lists = true,
};
