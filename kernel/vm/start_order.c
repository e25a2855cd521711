/* SPDX-License-Identifier: MIT */
/* The order of the start: each guest waits for at most one other, so what waits for what is a set
 * of chains that may end in circles. Circles are refused first; of what remains, the first in line
 * that waits for nobody is next. */
#include "kernel/vm/start_order.h"
#include "kernel/lib/format.h"

#include <string.h>

/* What scratch[n] says of entry n, where it is not the number of the entry that n waits for. */
#define NOBODY  UINT32_MAX        /* it waits for nobody */
#define STARTED (UINT32_MAX - 1u) /* it is in the order already */

static uint32_t find_name(const struct start_entry *entries, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(entries[i].config->name, name) == 0)
            return i;
    }
    return NOBODY;
}

/* For whom does entry `i` wait? Refuses it if there is no such guest. */
static uint32_t find_awaited(struct start_entry *entries, uint32_t count, uint32_t i)
{
    struct start_entry *entry = &entries[i];
    const char *after = entry->config->after;

    entry->refused = false;
    entry->error[0] = '\0';
    if (after[0] == '\0')
        return NOBODY;
    if (strcmp(after, entry->config->name) == 0) {
        snprintf(entry->error, sizeof(entry->error), "after=%s: this is the guest itself", after);
        entry->refused = true;
        return NOBODY;
    }
    uint32_t awaited = find_name(entries, count, after);
    if (awaited == NOBODY) {
        snprintf(entry->error, sizeof(entry->error), "after=%s: no guest has this name", after);
        entry->refused = true;
    }
    return awaited;
}

/* Does the chain of who waits for whom lead from `i` back to `i`? */
static bool in_circle(const uint32_t *awaited, uint32_t count, uint32_t i)
{
    uint32_t at = awaited[i];

    for (uint32_t steps = 1; steps < count && at != NOBODY && at != i; steps++)
        at = awaited[at];
    return at == i;
}

/* Appends two strings to the entry's error, which has `used` bytes; returns how many then. */
static size_t append(struct start_entry *entry, size_t used, const char *first, const char *second)
{
    return used + (size_t)snprintf(entry->error + used, sizeof(entry->error) - used, "%s%s", first,
                                   second);
}

/* "(a after b after a)"; of a circle that does not fit, "(a after b after ... after a)". */
static void describe_circle(struct start_entry *entries, const uint32_t *awaited, uint32_t i)
{
    static const char start[] = ": stands in a circle (", link[] = " after ", dots[] = "...";
    struct start_entry *entry = &entries[i];
    const char *name = entry->config->name;
    size_t end = strlen(link) + strlen(dots) + strlen(link) + strlen(name) + sizeof(")");
    _Static_assert(6 + sizeof(start) + 3 * VM_NAME_MAX + 2 * sizeof(link) + sizeof(dots) + 1 <=
                       START_ORDER_ERROR_MAX,
                   "the shortest form always fits");

    size_t used = append(entry, 0, "after=", entry->config->after);
    used = append(entry, used, start, name);
    for (uint32_t at = awaited[i]; at != i; at = awaited[at]) {
        const char *next = entries[at].config->name;
        if (used + strlen(link) + strlen(next) + end > sizeof(entry->error)) {
            used = append(entry, used, link, dots);
            break;
        }
        used = append(entry, used, link, next);
    }
    used = append(entry, used, link, name);
    append(entry, used, ")", "");
}

static void refuse_circles(struct start_entry *entries, uint32_t count, uint32_t *awaited)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!in_circle(awaited, count, i))
            continue;
        entries[i].refused = true;
        describe_circle(entries, awaited, i);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (awaited[i] != NOBODY && entries[awaited[i]].refused)
            awaited[i] = NOBODY; /* who is refused never starts: nobody waits for that */
    }
}

/* What is known of those that are not in the order yet, so that not all are looked at for each
 * one: usually who is first in line is next. */
struct rest {
    uint32_t first; /* none is before it */
    int32_t lowest; /* none has a lower boot_order */
};

/* The first in line of those that can start now, or NOBODY. */
static uint32_t find_next(const struct start_entry *entries, uint32_t count,
                          const uint32_t *awaited, struct rest *rest)
{
    uint32_t next = NOBODY, first = NOBODY;
    int32_t lowest = INT32_MAX;

    for (uint32_t i = rest->first; i < count; i++) {
        int32_t order = entries[i].config->boot_order;
        if (entries[i].refused || awaited[i] == STARTED)
            continue;
        if (first == NOBODY)
            rest->first = first = i;
        lowest = MIN(lowest, order);
        if (awaited[i] != NOBODY && awaited[awaited[i]] != STARTED)
            continue;
        if (order == rest->lowest)
            return i;
        if (next == NOBODY || order < entries[next].config->boot_order)
            next = i;
    }
    rest->lowest = lowest;
    return next;
}

uint32_t start_order(struct start_entry *entries, uint32_t count, uint32_t *order,
                     uint32_t *scratch)
{
    struct rest rest = {.first = 0, .lowest = INT32_MIN};
    uint32_t ordered = 0;

    for (uint32_t i = 0; i < count; i++)
        scratch[i] = find_awaited(entries, count, i);
    refuse_circles(entries, count, scratch);

    for (uint32_t next; (next = find_next(entries, count, scratch, &rest)) != NOBODY;) {
        order[ordered++] = next;
        scratch[next] = STARTED;
    }
    return ordered;
}
