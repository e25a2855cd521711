/* SPDX-License-Identifier: MIT */
/* The guest half of the tour through VMX: causes, one by one, every exit that a 64-bit guest can
 * cause, says so beforehand and checks what came back. With end=NAME it takes only the last step of
 * that name, from which there is no return. */
#include "guests/tour/tour.h"

#define FINALE_DELAY_MS 200 /* the walk of another guest comes first in the log */

static unsigned run_steps(void)
{
    unsigned count[3] = {0};

    for (size_t i = 0; i < step_count; i++) {
        const struct step *s = &steps[i];
        printf("step %lu: %s (SDM %s) - %s\n", i + 1, s->name, s->section, s->expected);
        count[s->cause()]++;
    }
    printf("tour: %u of %lu steps as expected, %u skipped\n", count[AS_EXPECTED], step_count,
           count[SKIPPED]);
    return count[NOT_AS_EXPECTED];
}

int main(void)
{
    const char *end = guest_option("end");

    if (!end)
        return run_steps() > 0;
    for (size_t i = 0; i < finale_count; i++) {
        const struct finale *f = &finales[i];
        if (strcmp(end, f->end) != 0)
            continue;
        sleep_ms(FINALE_DELAY_MS);
        printf("finale: %s (SDM %s) - %s\n", f->name, f->section, f->expected);
        f->cause();
        printf("FAILURE: still alive after end=%s\n", end);
        return 1;
    }
    printf("tour: unknown end=%s\n", end);
    return 2;
}
