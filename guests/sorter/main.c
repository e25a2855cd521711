/* SPDX-License-Identifier: MIT */
/* A guest that sorts numbers with all its vCPUs: each sorts parts, then they merge neighbours until
 * one part is left. The parts are jobs under a lock; vCPUs without one sleep until an IPI says that
 * there are more. Options: n=N numbers (16384). */
#include "guests/lib/guest.h"

#define JOBS_VECTOR     0x40 /* to all others: there are jobs */
#define DONE_VECTOR     0x41 /* to vCPU 0: the last job is done */
#define DEFAULT_NUMBERS 16384
#define NUMBERS_MAX     (64 * MIB)

/* A job is one part of the step under way: to be sorted, or two parts to be merged. */
static struct {
    struct spinlock lock;
    unsigned count, next, done;
    void (*work)(unsigned job);
} step;

static _Atomic bool no_more_steps;
static uint32_t *from, *to; /* a step reads the one and fills the other */
static size_t numbers, part_size;

static void wake(unsigned vector)
{
    (void)vector;
}

/* The next job of the step, or -1. */
static int take_job(void)
{
    uint64_t flags = spin_lock_save(&step.lock);
    int job = step.next < step.count ? (int)step.next++ : -1;

    spin_unlock_restore(&step.lock, flags);
    return job;
}

static void finish_job(void)
{
    uint64_t flags = spin_lock_save(&step.lock);
    bool last = ++step.done == step.count;

    spin_unlock_restore(&step.lock, flags);
    if (last && vcpu_index() != 0)
        apic_send(0, DONE_VECTOR);
}

static bool step_done(void)
{
    uint64_t flags = spin_lock_save(&step.lock);
    bool done = step.done == step.count;

    spin_unlock_restore(&step.lock, flags);
    return done;
}

static void do_jobs(void)
{
    for (int job = take_job(); job >= 0; job = take_job()) {
        step.work((unsigned)job);
        finish_job();
    }
}

static bool has_job(void)
{
    uint64_t flags = spin_lock_save(&step.lock);
    bool has = step.next < step.count;

    spin_unlock_restore(&step.lock, flags);
    return has;
}

static void worker(void *unused)
{
    (void)unused;
    while (!atomic_load(&no_more_steps)) {
        do_jobs();
        interrupts_off();
        while (!has_job() && !atomic_load(&no_more_steps))
            wait_for_interrupt();
        interrupts_on();
    }
}

static void run_step(void (*work)(unsigned job), unsigned jobs, bool alone)
{
    uint64_t flags = spin_lock_save(&step.lock);
    step.work = work;
    step.next = 0;
    step.done = 0;
    step.count = jobs;
    spin_unlock_restore(&step.lock, flags);
    if (!alone)
        apic_send_others(JOBS_VECTOR);
    do_jobs();
    interrupts_off();
    while (!step_done())
        wait_for_interrupt();
    interrupts_on();
}

/* Merges [left, middle) and [middle, right) of `source` into the same places of `target`. */
static void merge(const uint32_t *source, uint32_t *target, size_t left, size_t middle,
                  size_t right)
{
    size_t i = left, j = middle;

    for (size_t k = left; k < right; k++) {
        if (i < middle && (j >= right || source[i] <= source[j]))
            target[k] = source[i++];
        else
            target[k] = source[j++];
    }
}

static void sort_part(unsigned job)
{
    size_t left = MIN(job * part_size, numbers), right = MIN(left + part_size, numbers);
    uint32_t *source = from, *target = to;

    for (size_t width = 1; width < right - left; width *= 2) {
        for (size_t at = left; at < right; at += 2 * width)
            merge(source, target, at, MIN(at + width, right), MIN(at + 2 * width, right));
        uint32_t *swap = source;
        source = target;
        target = swap;
    }
    if (source != to)
        memcpy(to + left, source + left, (right - left) * sizeof(*to));
}

static void merge_parts(unsigned job)
{
    size_t left = MIN(2 * job * part_size, numbers);

    merge(from, to, left, MIN(left + part_size, numbers), MIN(left + 2 * part_size, numbers));
}

static void swap_buffers(void)
{
    uint32_t *swap = from;

    from = to;
    to = swap;
}

/* Returns the nanoseconds it took. */
static uint64_t sort(bool alone)
{
    unsigned parts = vcpu_count();
    uint64_t start = now_ns();

    part_size = (numbers + parts - 1) / parts;
    run_step(sort_part, parts, alone);
    swap_buffers();
    for (; parts > 1; parts = (parts + 1) / 2) {
        run_step(merge_parts, (parts + 1) / 2, alone);
        swap_buffers();
        part_size *= 2;
    }
    return now_ns() - start;
}

/* The same numbers each time; returns their sum. */
static uint64_t fill(void)
{
    uint64_t x = 88172645463325252ull, sum = 0; /* Marsaglia's xorshift64 */

    for (size_t i = 0; i < numbers; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        from[i] = (uint32_t)x;
        sum += from[i];
    }
    return sum;
}

static bool is_sorted(uint64_t wanted_sum)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < numbers; i++) {
        sum += from[i];
        if (i > 0 && from[i - 1] > from[i]) {
            printf("FAILURE: number %lu is less than the one before it\n", i);
            return false;
        }
    }
    if (sum != wanted_sum)
        printf("FAILURE: these are not the numbers that were to be sorted\n");
    return sum == wanted_sum;
}

static bool make_buffers(void)
{
    numbers = MIN(MAX(guest_option_number("n", DEFAULT_NUMBERS), 2u), NUMBERS_MAX);
    size_t pages = ALIGN_UP(numbers * sizeof(*from), PAGE_SIZE) / PAGE_SIZE;

    from = pages_alloc(pages);
    to = pages_alloc(pages);
    return from && to;
}

static bool start_workers(void)
{
    interrupt_handler_set(JOBS_VECTOR, wake);
    interrupt_handler_set(DONE_VECTOR, wake);
    for (unsigned i = 1; i < vcpu_count(); i++) {
        int error = vcpu_start(i, worker, NULL);
        if (error) {
            printf("FAILURE: vCPU %u does not start (%d)\n", i, error);
            return false;
        }
    }
    return true;
}

int main(void)
{
    if (!make_buffers()) {
        printf("sorter: %lu numbers do not fit into my RAM\n", numbers);
        return 2;
    }
    uint64_t sum = fill();
    uint64_t alone_ns = sort(true);
    if (!is_sorted(sum) || !start_workers())
        return 1;
    fill();
    uint64_t together_ns = sort(false);
    atomic_store(&no_more_steps, true);
    if (vcpu_count() > 1)
        apic_send_others(JOBS_VECTOR);
    if (!is_sorted(sum))
        return 1;
    printf("sorter: %lu numbers: %lu us with 1 vCPU, %lu us with %u\n", numbers, alone_ns / 1000,
           together_ns / 1000, vcpu_count());
    return 0;
}
