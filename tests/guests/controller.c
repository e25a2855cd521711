/* SPDX-License-Identifier: MIT */
/* A guest that operates on another VM (`control` on its line): pause and resume, stop and start,
 * and many starts and stops behind which the machine has as much memory as before. Options:
 * target=NAME, a guest that runs for long by itself ("victim"); cycles=N (100); expect=denied, for
 * a guest without `control`. */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define DEFAULT_CYCLES 100
#define PATIENCE_NS    2000000000ull
#define LOOK_MS        20
#define LIFE_MAX_US    5000

static uint64_t target;

static struct atoll_vm_state state(void)
{
    struct atoll_vm_state result = {0};

    if (atoll_vm_state(target, &result) < 0)
        result.state = ATOLL_VM_REFUSED;
    return result;
}

static bool find_target(const char *name)
{
    struct atoll_vm_state s;

    for (target = 0; atoll_vm_state(target, &s) > 0; target++) {
        if (strncmp(s.name, name, sizeof(s.name)) == 0)
            return true;
    }
    return false;
}

static bool wait_for_state(enum atoll_run_state wanted)
{
    uint64_t end = now_ns() + PATIENCE_NS;

    while (state().state != wanted) {
        if (now_ns() > end)
            return false;
        atoll_sleep_for(100000);
    }
    return true;
}

static bool change(enum atoll_control operation, enum atoll_run_state wanted)
{
    int64_t error = atoll_control(operation, target);

    if (error)
        printf("operation %u: %ld\n", operation, error);
    return !error && wait_for_state(wanted);
}

static uint64_t ticks_meanwhile(void)
{
    uint64_t before = state().run_ticks;

    sleep_ms(LOOK_MS);
    return state().run_ticks - before;
}

static void refusals(void)
{
    uint64_t behind = 0;
    struct atoll_vm_state s;

    while (atoll_vm_state(behind, &s) > 0)
        behind++;
    check(atoll_vm_state(behind, &s) == -ENOENT &&
              atoll_control(ATOLL_CONTROL_PAUSE, behind) == -ENOENT,
          "there is no VM %lu", behind);
    check(atoll_vm_state(~0ull, &s) == -ENOENT, "and none with the highest number");
    int64_t unknown = atoll_control(99, target), start = atoll_control(ATOLL_CONTROL_START, target);
    check(unknown == -EINVAL, "operation 99: %ld", unknown);
    check(start < 0, "who runs cannot be started: %ld", start);
}

static void pause_and_resume(void)
{
    check(wait_for_state(ATOLL_VM_RUNNING) && ticks_meanwhile() > 0, "it runs");
    check(change(ATOLL_CONTROL_PAUSE, ATOLL_VM_PAUSED), "it is paused");
    sleep_ms(1); /* until the slices under way are over, and counted */
    uint64_t ticks = ticks_meanwhile();
    check(ticks == 0, "paused, its run time stands still (%lu ticks)", ticks);
    check(change(ATOLL_CONTROL_RESUME, ATOLL_VM_RUNNING), "it is resumed");
    ticks = ticks_meanwhile();
    check(ticks > 0, "and runs on (%lu ticks)", ticks);
}

static bool cycle(uint64_t life_us)
{
    if (!change(ATOLL_CONTROL_START, ATOLL_VM_RUNNING))
        return false;
    if (life_us)
        atoll_sleep_for(life_us * 1000);
    return change(ATOLL_CONTROL_STOP, ATOLL_VM_STOPPED);
}

/* Its vCPUs are in no queue then. */
static void stop_while_paused(void)
{
    check(change(ATOLL_CONTROL_START, ATOLL_VM_RUNNING) &&
              change(ATOLL_CONTROL_PAUSE, ATOLL_VM_PAUSED) &&
              change(ATOLL_CONTROL_STOP, ATOLL_VM_STOPPED),
          "it stops while it is paused");
}

/* What is freed may arrive a little behind the state. */
static bool frames_return_to(uint64_t wanted)
{
    uint64_t end = now_ns() + PATIENCE_NS;

    while (state().free_frames != wanted && now_ns() < end)
        sleep_ms(1);
    return state().free_frames == wanted;
}

static void start_and_stop(uint64_t cycles, uint64_t step_us)
{
    uint64_t running_frames = state().free_frames, done = 0;

    bool stopped = change(ATOLL_CONTROL_STOP, ATOLL_VM_STOPPED);
    check(stopped && state().reason[0], "it is stopped: %s", state().reason);
    check(atoll_control(ATOLL_CONTROL_RESUME, target) < 0, "and cannot be resumed");
    check(cycle(0), "it starts again and stops again"); /* first uses are over behind this */
    stop_while_paused();
    sleep_ms(LOOK_MS);
    struct atoll_vm_state before = state();
    check(before.free_frames > running_frames, "its memory is free: %lu frames more",
          before.free_frames - running_frames);
    while (done < cycles && cycle(done * step_us % LIFE_MAX_US))
        done++;
    check(done == cycles, "%lu of %lu starts and stops", done, cycles);
    check(state().starts == before.starts + cycles, "it counts %u starts", state().starts);
    check(frames_return_to(before.free_frames), "as many frames are free as before: %lu, %lu",
          before.free_frames, state().free_frames);
}

static int denied(void)
{
    struct atoll_vm_state s;

    check(atoll_vm_state(0, &s) == -EPERM, "VM_STATE is denied");
    for (unsigned operation = 0; operation <= ATOLL_CONTROL_START; operation++)
        check(atoll_control(operation, 0) == -EPERM, "operation %u is denied", operation);
    return checks_done("controller");
}

int main(void)
{
    const char *name = guest_option("target"), *expected = guest_option("expect");

    if (expected && strcmp(expected, "denied") == 0)
        return denied();
    if (!find_target(name ? name : "victim")) {
        printf("FAILURE: no VM to operate on\n");
        return 1;
    }
    refusals();
    pause_and_resume();
    start_and_stop(guest_option_number("cycles", DEFAULT_CYCLES), guest_option_number("step", 0));
    return checks_done("controller");
}
