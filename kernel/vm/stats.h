/* SPDX-License-Identifier: MIT */
/* What a vCPU's exits cost, by kind, and where its time goes. Recording is a few instructions on
 * the way of an exit; the build option `statistics` leaves all of it out. A kind is a basic exit
 * reason; hypercalls are told apart by number, I/O by port, EPT violations by address. Written by
 * the core that has the vCPU, read by anyone: figures may be one exit apart. */
#ifndef KERNEL_VM_STATS_H
#define KERNEL_VM_STATS_H

#include "kernel/lib/types.h"
#include "kernel/vm/lifecycle.h"
#include "vmx/vmx.h"

/* Costs are TSC ticks from the exit to the next entry; not the guest's time. */
struct stat {
    uint64_t count;
    uint64_t total;
    uint32_t least;  /* UINT32_MAX: none yet */
    uint32_t spread; /* the most, above the least: one comparison finds what is new of both */
};

#define STAT_REASONS 62 /* those from here on belong to what Atoll neither uses nor allows ... */
#define STAT_FURTHER 42 /* ... and count as this one, which the SDM has left out */
#define STAT_CALLS   25 /* hypercalls by number; the last one is for all that are unknown */
#define STAT_PORTS   17 /* of I/O; the last one is for all further ports */
#define STAT_PLACES  17 /* of EPT violations, 2 MiB each; the last one is for all further */
#define STAT_HOMES   16 /* of ports and of places: all slots but the last one */
#define STAT_BUCKETS 32 /* of the histogram: n has latencies of [2^n, 2^(n+1)) ticks, 0 also 0 */

/* The slots of a vCPU: the reasons, but for those told apart; then these. */
enum stat_slot {
    STAT_FIRST_CALL = STAT_REASONS,
    STAT_FIRST_PORT = STAT_FIRST_CALL + STAT_CALLS,
    STAT_FIRST_PLACE = STAT_FIRST_PORT + STAT_PORTS,
    STAT_SLOTS = STAT_FIRST_PLACE + STAT_PLACES,
};

struct stats {
    struct stat slots[STAT_SLOTS];
    uint32_t ports[STAT_PORTS];        /* port + 1, 0: free; looked for from `% STAT_HOMES` on */
    uint32_t places[STAT_PLACES];      /* likewise: address / 2 MiB + 1 */
    uint64_t in_state[VCPU_STATES];    /* TSC ticks spent in each state that is over ... */
    uint64_t since;                    /* ... and when the present one began */
    uint64_t wake_total;               /* of all latencies below */
    uint32_t wake_worst;
    uint32_t wakes[STAT_BUCKETS];      /* from the wake-up to the first instruction, in ticks */
};

#ifdef ATOLL_STATISTICS
#define STATS_KEPT true
#else
#define STATS_KEPT false
#endif

/* What the reader gets of one kind of exit. */
struct stat_row {
    uint32_t reason;     /* basic exit reason */
    bool has_detail;
    uint64_t detail;     /* hypercall number, port, guest-physical address of 2 MiB */
    bool others;         /* has_detail: all further ones */
    uint64_t count, total;
    uint32_t least, most;
};

/* The row of a slot; false when it counted nothing. Reasons that are told apart have no row of
 * their own: they are the sum of theirs. */
bool stats_row(const struct stats *stats, uint32_t slot, struct stat_row *row);

/* Adds `row` of another vCPU, or another slot, to a sum. */
void stats_sum(struct stat_row *sum, const struct stat_row *row);

/* Where the time went up to `now`: TSC ticks in a state, the present one included. */
uint64_t stats_in_state(const struct stats *stats, enum vcpu_state state, enum vcpu_state present,
                        uint64_t now);

/* The wake-ups of some vCPUs together. */
struct stat_wakes {
    uint64_t count, total;
    uint32_t worst;
    uint64_t buckets[STAT_BUCKETS];
};
void stats_add_wakes(struct stat_wakes *sum, const struct stats *stats);

/* The latency that `permille` of the wake-ups did not exceed, in ticks: the end of its bucket, or
 * the worst one if that is less. 0: there were none. */
uint64_t stats_wake_quantile(const struct stat_wakes *wakes, unsigned permille);

/* ---- Recording: by the core that has the vCPU */

/* A new vCPU, in its first state since `now`. All is zeroed. */
void stats_init(struct stats *stats, uint64_t now);

/* The slot of an exit that is not told apart. */
static inline uint32_t stats_reason_slot(uint32_t reason)
{
    return reason < STAT_REASONS ? reason : STAT_FURTHER;
}

#ifdef ATOLL_STATISTICS

/* The slot of an I/O exit, of an EPT violation; mostly at the first look. */
uint32_t stats_find_port(struct stats *stats, uint32_t port);
uint32_t stats_find_place(struct stats *stats, uint32_t place);

static inline bool stats_port_is_home(const struct stats *stats, uint32_t port, uint32_t *slot)
{
    uint32_t home = port % STAT_HOMES;
    *slot = STAT_FIRST_PORT + home;
    return __builtin_expect(stats->ports[home] == port + 1, 1);
}

static inline uint32_t stats_port_slot(struct stats *stats, uint32_t port)
{
    uint32_t slot;
    return stats_port_is_home(stats, port, &slot) ? slot : stats_find_port(stats, port);
}

static inline uint32_t stats_place_slot(struct stats *stats, uint64_t guest_physical)
{
    uint64_t place = guest_physical / PAGE_SIZE_2M; /* below 2^31: SDM Vol. 3A, 4.1.4 */
    uint64_t home = place % STAT_HOMES;
    if (__builtin_expect(stats->places[home] == (uint32_t)place + 1, 1))
        return (uint32_t)(STAT_FIRST_PLACE + home);
    return stats_find_place(stats, (uint32_t)place);
}

/* The vCPU leaves a state, in which it was for so many ticks. */
static inline uint64_t stats_leave_state(struct stats *stats, enum vcpu_state state, uint64_t now)
{
    /* The TSC of the core that set it may be a little ahead. */
    uint64_t ticks = now > stats->since ? now - stats->since : 0;
    stats->in_state[state] += ticks;
    stats->since = now;
    return ticks;
}

/* Its first instruction behind a wake-up comes so many ticks after it. */
void stats_wake_latency(struct stats *stats, uint64_t ticks);

/* A cost below the least so far or above the most. */
void stats_widen(struct stat *stat, uint32_t cost);

static inline void stats_record(struct stats *stats, uint32_t slot, uint32_t cost)
{
    struct stat *stat = &stats->slots[slot];
    if (cost - stat->least > stat->spread)
        stats_widen(stat, cost);
    stat->count++;
    stat->total += cost;
}

/* The same without a call: false, and nothing was done, if the cost is a new extreme. */
static inline bool stats_record_usual(struct stats *stats, uint32_t slot, uint32_t cost)
{
    struct stat *stat = &stats->slots[slot];
    if (!__builtin_constant_p(slot))
        __asm__("" : "+r"(stat)); /* computed once: GCC 12 would do it twice */
    if (cost - stat->least > stat->spread)
        return false;
    stat->count++;
    stat->total += cost;
    return true;
}

#else

static inline bool stats_port_is_home(const struct stats *stats, uint32_t port, uint32_t *slot)
{
    (void)stats, (void)port;
    *slot = 0;
    return true;
}

static inline uint32_t stats_port_slot(struct stats *stats, uint32_t port)
{
    (void)stats, (void)port;
    return 0;
}

static inline uint32_t stats_place_slot(struct stats *stats, uint64_t guest_physical)
{
    (void)stats, (void)guest_physical;
    return 0;
}

static inline uint64_t stats_leave_state(struct stats *stats, enum vcpu_state state, uint64_t now)
{
    (void)stats, (void)state, (void)now;
    return 0;
}

static inline void stats_wake_latency(struct stats *stats, uint64_t ticks)
{
    (void)stats, (void)ticks;
}

static inline void stats_record(struct stats *stats, uint32_t slot, uint32_t cost)
{
    (void)stats, (void)slot, (void)cost;
}

static inline bool stats_record_usual(struct stats *stats, uint32_t slot, uint32_t cost)
{
    (void)stats, (void)slot, (void)cost;
    return true;
}

#endif

#endif
