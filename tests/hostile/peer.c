/* SPDX-License-Identifier: MIT */
/* The peer of the hostile guests, with `control`: watches them, stops those that have not ended
 * after kill= milliseconds (1000), and ends when all but the witness have, and ms= are over. */
#include "guests/lib/guest.h"

#define KILL_MS  1000
#define PAUSE_MS 5

static bool has_ended(const struct atoll_vm_state *state)
{
    return state->state == ATOLL_VM_STOPPED || state->state == ATOLL_VM_REFUSED;
}

/* How many of the others have not ended; stops them if `stop`. */
static unsigned others(uint32_t self, bool stop)
{
    struct atoll_vm_state state;
    unsigned alive = 0;

    for (uint32_t vm = 0; atoll_vm_state(vm, &state) == sizeof(state); vm++) {
        if (vm == self || strcmp(state.name, "witness") == 0 || has_ended(&state))
            continue;
        alive++;
        if (stop)
            atoll_control(ATOLL_CONTROL_STOP, vm);
    }
    return alive;
}

int main(void)
{
    uint64_t start = now_ns(), end = start + guest_option_number("kill", KILL_MS) * 1000000;
    uint64_t least = start + guest_option_number("ms", 0) * 1000000;
    struct atoll_vm_info info = {0};

    atoll_vm_info(&info);
    while (others(info.vm, now_ns() >= end) > 0 || now_ns() < least)
        sleep_ms(PAUSE_MS);
    printf("peer: all have ended\n");
    return 0;
}
