/* SPDX-License-Identifier: MIT */
/* A machine of a few cores for test_sched: each core is a coroutine with a clock of its own, and
 * the one that is least far in time goes on. Every atomic operation, lock, read of the TSC and stub
 * takes a random time and so is a point at which another core may overtake. Stands in the place of
 * the headers with the processor's instructions and must be included first. */
#ifndef TESTS_UNIT_SCHED_MACHINE_H
#define TESTS_UNIT_SCHED_MACHINE_H

#include <sanitizer/common_interface_defs.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define KERNEL_LIB_X86_H
#define KERNEL_LIB_SPINLOCK_H

#define MACHINE_CORES    4
#define MACHINE_OPERATOR MACHINE_CORES /* one that takes no part in the scheduler */
#define MACHINE_OUTSIDE  511           /* what cpu_index() is in no coroutine */
#define MACHINE_STACK    (128 * 1024)
#define NEVER            UINT64_MAX

struct machine_core {
    ucontext_t context;
    uint64_t now;   /* when it goes on; NEVER: not without an interrupt */
    uint64_t since; /* when it began to wait */
    uint64_t timer; /* its APIC's timer, NEVER: stopped */
    uint64_t stay;  /* when the preemption timer ends the guest's stay */
    bool exists, waits, in_guest, interrupt, finished;
    void *bound; /* the vCPU whose state is in its registers */
    char *stack;
    void *fake_stack;
};

struct machine {
    struct machine_core cores[MACHINE_CORES + 1];
    uint32_t running;      /* index, or MACHINE_OUTSIDE */
    uint64_t now, horizon; /* in no coroutine; when the running one is overtaken */
    uint64_t random;
    uint32_t delays; /* one in so many steps takes long; 0: none does */
    uint64_t steps;
    ucontext_t conductor;
    void *fake_stack;
    const void *stack;
    size_t stack_size;
    bool failed;
    char failure[256];
};

static struct machine machine;

static uint64_t pick_random(uint64_t below)
{
#ifdef FUZZ_CHOICES /* of the fuzz target that includes this: they come first */
    if (FUZZ_CHOICES.left > 0)
        return draw(&FUZZ_CHOICES, below > 256 ? 2 : 1) % below;
#endif
    machine.random ^= machine.random << 13;
    machine.random ^= machine.random >> 7;
    machine.random ^= machine.random << 17;
    return (machine.random >> 11) % below;
}

static bool one_in(uint64_t many)
{
    return pick_random(many) == 0;
}

static struct machine_core *running_core(void)
{
    return machine.running == MACHINE_OUTSIDE ? NULL : &machine.cores[machine.running];
}

static uint64_t time_now(void)
{
    return running_core() ? running_core()->now : machine.now;
}

/* Back to the conductor; returns when this core is the one that is least far. */
static void let_others(void)
{
    struct machine_core *core = running_core();
    __sanitizer_start_switch_fiber(&core->fake_stack, machine.stack, machine.stack_size);
    swapcontext(&core->context, &machine.conductor);
    __sanitizer_finish_switch_fiber(core->fake_stack, NULL, NULL);
}

/* The first failure ends the run; on a core it never returns. */
static void machine_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void machine_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!machine.failed) {
        int used = snprintf(machine.failure, sizeof machine.failure, "at %llu on core %u: ",
                            (unsigned long long)time_now(), machine.running);
        vsnprintf(machine.failure + used, sizeof machine.failure - (size_t)used, format, args);
    }
    va_end(args);
    machine.failed = true;
    while (running_core())
        let_others();
}

#define CHECK(condition, ...) ((condition) ? (void)0 : machine_fail(__VA_ARGS__))

static void spend(uint64_t ticks)
{
    struct machine_core *core = running_core();
    if (!core)
        return;
    core->now += ticks;
    if (core->now > machine.horizon)
        let_others();
}

#define STEP_MAX  8
#define DELAY_MAX 1500

static void step(void)
{
    machine.steps++;
    if (running_core())
        spend(1 + (machine.delays && one_in(machine.delays) ? pick_random(DELAY_MAX)
                                                            : pick_random(STEP_MAX)));
}

/* The running core does nothing until `time`, or until an interrupt comes. */
static void wait_until(uint64_t time)
{
    struct machine_core *core = running_core();
    if (core->interrupt)
        return;
    core->since = core->now;
    core->waits = true;
    core->now = time;
    let_others();
    core->waits = false;
}

static void machine_interrupt(uint32_t index)
{
    struct machine_core *core = &machine.cores[index];
    uint64_t arrives = time_now() + 40 + pick_random(200);
    core->interrupt = true;
    if (!core->waits)
        return;
    arrives = arrives > core->since ? arrives : core->since;
    core->now = core->now < arrives ? core->now : arrives;
    machine.horizon = machine.horizon < core->now ? machine.horizon : core->now;
}

/* ---- The conductor --------------------------------------------------------------------------- */

static void enter(uint32_t index)
{
    struct machine_core *core = &machine.cores[index];
    machine.running = index;
    __sanitizer_start_switch_fiber(&machine.fake_stack, core->stack, MACHINE_STACK);
    swapcontext(&machine.conductor, &core->context);
    __sanitizer_finish_switch_fiber(machine.fake_stack, NULL, NULL);
    machine.running = MACHINE_OUTSIDE;
}

static void core_entry(unsigned low, unsigned high)
{
    __sanitizer_finish_switch_fiber(NULL, &machine.stack, &machine.stack_size);
    void (*body)(void) = (void (*)(void))((uint64_t)high << 32 | low);
    body();
    running_core()->finished = true;
    running_core()->now = NEVER;
    for (;;)
        let_others();
}

static void machine_add(uint32_t index, void (*body)(void))
{
    struct machine_core *core = &machine.cores[index];
    char *stack = core->stack;
    memset(core, 0, sizeof *core);
    core->stack = stack ? stack : malloc(MACHINE_STACK);
    core->timer = core->stay = NEVER;
    core->now = machine.now + pick_random(1000);
    core->exists = true;
    getcontext(&core->context);
    core->context.uc_stack.ss_sp = core->stack;
    core->context.uc_stack.ss_size = MACHINE_STACK;
    makecontext(&core->context, (void (*)(void))core_entry, 2, (unsigned)(uintptr_t)body,
                (unsigned)((uintptr_t)body >> 32));
}

static void machine_init(uint64_t seed, uint32_t delays)
{
    for (uint32_t i = 0; i <= MACHINE_CORES; i++) {
        free(machine.cores[i].stack);
        machine.cores[i] = (struct machine_core){.now = NEVER};
    }
    machine.random = seed * 0x9e3779b97f4a7c15ull + 1;
    for (int i = 0; i < 8; i++)
        pick_random(2);
    machine.delays = delays;
    machine.now = 1000000000 + pick_random(1000000);
    machine.running = MACHINE_OUTSIDE;
    machine.failed = false;
}

/* Goes on until `end`, until all cores have finished, or until a failure. `look` is called every
 * `interval` ticks. False: all have finished. */
static bool machine_run(uint64_t end, uint64_t interval, void (*look)(void))
{
    uint64_t next_look = machine.now + interval;
    while (!machine.failed) {
        uint32_t first = MACHINE_OUTSIDE;
        uint64_t soonest = NEVER, second = NEVER;
        bool all_finished = true;
        for (uint32_t i = 0; i <= MACHINE_CORES; i++) {
            struct machine_core *core = &machine.cores[i];
            all_finished = all_finished && (!core->exists || core->finished);
            if (!core->exists || core->now >= second)
                continue;
            second = core->now;
            if (second < soonest) {
                second = soonest;
                soonest = core->now;
                first = i;
            }
        }
        if (all_finished)
            return false;
        uint64_t border = next_look < end ? next_look : end;
        if (soonest <= border) {
            machine.horizon = second < border ? second : border;
            enter(first);
            continue;
        }
        machine.now = border;
        if (border == end)
            return true;
        next_look += interval;
        look();
    }
    return true;
}

/* ---- In the place of kernel/lib/x86.h and kernel/lib/spinlock.h ------------------------------ */

static uint64_t rdtsc(void)
{
    step();
    return time_now();
}

static uint32_t cpu_index(void)
{
    return machine.running;
}

static void wait_for_interrupt(void)
{
    struct machine_core *core = running_core();
    step();
    if (core->timer > core->now)
        wait_until(core->timer);
    core->interrupt = false;
}

struct spinlock {
    bool held;
};

static void spin_lock(struct spinlock *lock)
{
    step();
    for (unsigned i = 0; lock->held; i++) {
        CHECK(i < 10000 && running_core(), "a lock is never released");
        spend(20);
    }
    lock->held = true;
}

static bool spin_trylock(struct spinlock *lock)
{
    step();
    bool taken = !lock->held;
    lock->held = true;
    return taken;
}

static void cpu_pause(void)
{
    step();
}

static void spin_unlock(struct spinlock *lock)
{
    lock->held = false;
    step();
}

/* ---- Atomic operations: another core may do anything right before them ----------------------- */

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#define atomic_load_explicit(object, order)         (step(), __atomic_load_n(object, order))
#define atomic_load(object)                         atomic_load_explicit(object, 5)
#define atomic_store_explicit(object, value, order) (step(), __atomic_store_n(object, value, order))
#define atomic_store(object, value)                 atomic_store_explicit(object, value, 5)
#define atomic_exchange_explicit(object, value, order)                                             \
    (step(), __atomic_exchange_n(object, value, order))
#define atomic_exchange(object, value) atomic_exchange_explicit(object, value, 5)
#define atomic_fetch_add_explicit(object, value, order)                                            \
    (step(), __atomic_fetch_add(object, value, order))
#define atomic_fetch_sub_explicit(object, value, order)                                            \
    (step(), __atomic_fetch_sub(object, value, order))
#define atomic_fetch_and_explicit(object, value, order)                                            \
    (step(), __atomic_fetch_and(object, value, order))
#define atomic_fetch_and(object, value) atomic_fetch_and_explicit(object, value, 5)
#define atomic_fetch_or_explicit(object, value, order)                                             \
    (step(), __atomic_fetch_or(object, value, order))
#define atomic_fetch_or(object, value) atomic_fetch_or_explicit(object, value, 5)

#endif
