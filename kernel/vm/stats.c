/* SPDX-License-Identifier: MIT */
/* The figures of a vCPU: tables of ports and places that fill up and never empty, rows for the
 * reader, and the histogram of wake-ups. */
#include "kernel/vm/stats.h"

_Static_assert(STAT_BUCKETS == 32, "a bucket for each bit of a latency of 32 bits");

/* ---- Recording ------------------------------------------------------------------------------ */

void stats_init(struct stats *stats, uint64_t now)
{
    for (uint32_t slot = 0; slot < STAT_SLOTS; slot++)
        stats->slots[slot].least = UINT32_MAX;
    stats->since = now;
}

#ifdef ATOLL_STATISTICS

void stats_widen(struct stat *stat, uint32_t cost)
{
    if (stat->count == 0) {
        stat->least = cost;
    } else if (cost < stat->least) {
        stat->spread += stat->least - cost;
        stat->least = cost;
    } else {
        stat->spread = cost - stat->least;
    }
}

_Static_assert(STAT_PORTS == STAT_HOMES + 1 && STAT_PLACES == STAT_HOMES + 1, "and the rest");

uint32_t stats_find_port(struct stats *stats, uint32_t port)
{
    for (uint32_t i = 0; i < STAT_HOMES; i++) {
        uint32_t at = (port + i) % STAT_HOMES;
        if (stats->ports[at] == 0)
            stats->ports[at] = port + 1;
        if (stats->ports[at] == port + 1)
            return STAT_FIRST_PORT + at;
    }
    return STAT_FIRST_PORT + STAT_HOMES;
}

uint32_t stats_find_place(struct stats *stats, uint32_t place)
{
    for (uint32_t i = 0; i < STAT_HOMES; i++) {
        uint32_t at = (place + i) % STAT_HOMES;
        if (stats->places[at] == 0)
            stats->places[at] = place + 1;
        if (stats->places[at] == place + 1)
            return STAT_FIRST_PLACE + at;
    }
    return STAT_FIRST_PLACE + STAT_HOMES;
}

void stats_wake_latency(struct stats *stats, uint64_t ticks)
{
    const uint32_t latency = (uint32_t)MIN(ticks, UINT32_MAX);
    stats->wakes[31 - __builtin_clz(latency | 1)]++;
    stats->wake_total += ticks;
    stats->wake_worst = MAX(stats->wake_worst, latency);
}

#endif

/* ---- Reading -------------------------------------------------------------------------------- */

/* relaxed: the vCPU's core goes on counting, and each figure is right by itself. A reader gets a
 * count without the time of its last exit at worst. */
static uint64_t read64(const uint64_t *figure)
{
    return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

static uint32_t read32(const uint32_t *figure)
{
    return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

/* What the slot is for. */
static void identify(const struct stats *stats, uint32_t slot, struct stat_row *row)
{
    if (slot < STAT_FIRST_CALL) {
        row->reason = slot;
        return;
    }
    row->has_detail = true;
    if (slot < STAT_FIRST_PORT) {
        row->reason = EXIT_VMCALL;
        row->others = slot == STAT_FIRST_PORT - 1;
        row->detail = row->others ? 0 : slot - STAT_FIRST_CALL;
    } else if (slot < STAT_FIRST_PLACE) {
        row->reason = EXIT_IO;
        row->others = slot == STAT_FIRST_PLACE - 1;
        row->detail = row->others ? 0 : read32(&stats->ports[slot - STAT_FIRST_PORT]) - 1;
    } else {
        row->reason = EXIT_EPT_VIOLATION;
        row->others = slot == STAT_SLOTS - 1;
        uint64_t place = read32(&stats->places[slot - STAT_FIRST_PLACE]);
        row->detail = row->others ? 0 : (place - 1) * PAGE_SIZE_2M;
    }
}

bool stats_row(const struct stats *stats, uint32_t slot, struct stat_row *row)
{
    if (slot >= STAT_SLOTS)
        return false;
    const struct stat *stat = &stats->slots[slot];
    const uint64_t count = read64(&stat->count);
    if (count == 0)
        return false;
    *row = (struct stat_row){.count = count};
    identify(stats, slot, row);
    row->total = read64(&stat->total);
    row->least = read32(&stat->least);
    row->most = row->least + read32(&stat->spread);
    return true;
}

void stats_sum(struct stat_row *sum, const struct stat_row *row)
{
    if (row->count == 0)
        return;
    sum->least = sum->count == 0 ? row->least : MIN(sum->least, row->least);
    sum->most = MAX(sum->most, row->most);
    sum->count += row->count;
    sum->total += row->total;
}

uint64_t stats_in_state(const struct stats *stats, enum vcpu_state state, enum vcpu_state present,
                        uint64_t now)
{
    if ((unsigned)state >= VCPU_STATES)
        return 0;
    const uint64_t since = read64(&stats->since);
    uint64_t ticks = read64(&stats->in_state[state]);
    if (state == present && now > since)
        ticks += now - since;
    return ticks;
}

void stats_add_wakes(struct stat_wakes *sum, const struct stats *stats)
{
    for (uint32_t bucket = 0; bucket < STAT_BUCKETS; bucket++) {
        const uint32_t count = read32(&stats->wakes[bucket]);
        sum->buckets[bucket] += count;
        sum->count += count;
    }
    sum->total += read64(&stats->wake_total);
    const uint32_t worst = read32(&stats->wake_worst);
    sum->worst = MAX(sum->worst, worst);
}

uint64_t stats_wake_quantile(const struct stat_wakes *wakes, unsigned permille)
{
    const unsigned part = MIN(permille, 1000);
    uint64_t below = 0;
    /* Rounded up, in two parts that do not overflow. */
    const uint64_t wanted = wakes->count / 1000 * part + (wakes->count % 1000 * part + 999) / 1000;
    for (uint32_t bucket = 0; bucket < STAT_BUCKETS; bucket++) {
        below += wakes->buckets[bucket];
        if (below > 0 && below >= wanted)
            return MIN(BIT(bucket + 1) - 1, (uint64_t)wakes->worst);
    }
    return 0;
}
