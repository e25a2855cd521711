/* SPDX-License-Identifier: MIT */
/* POLL with two network devices behind a disk: how long it waits, what it says, and that it says so
 * until the frame was read. A `pinger` on each switch asks for somebody who is not there, for a
 * second or so; the second begins when the first has given up. */
#include "guests/hvt/lib/guest.h"

#include "tests/guests/check.h"

#define MS 1000000ull

HVT_DEVICES(HVT_BLOCK("disk"), HVT_NET("first"), HVT_NET("second"));

static struct hvt_poll last;

/* Polls, and returns how many milliseconds that took. */
static unsigned poll_ms(uint64_t timeout_ns)
{
    uint64_t start = now_ns();

    last = (struct hvt_poll){timeout_ns, UINT64_MAX, -1};
    hvt_call(HVT_CALL_POLL, (uint32_t)(uintptr_t)&last);
    return (unsigned)((now_ns() - start) / MS);
}

static void check_ready(uint64_t ready, int count, const char *when)
{
    check(last.ready == ready && last.result == count, "%s: ready %lx, result %d", when, last.ready,
          last.result);
}

/* Reads all that has come for a device. */
static unsigned drain(uint64_t device)
{
    uint8_t frame[2048];
    size_t size = sizeof(frame);
    unsigned frames = 0;

    while (hvt_net_read(device, frame, &size) == HVT_OK) {
        size = sizeof(frame);
        frames++;
    }
    return frames;
}

static void check_timeouts(void)
{
    unsigned ms = poll_ms(0);
    check(ms < 2, "timeout 0 took %u ms", ms);
    check_ready(0, 0, "nothing has come");
    ms = poll_ms(20 * MS);
    check(ms >= 20 && ms < 40, "timeout 20 ms took %u ms", ms);
    check_ready(0, 0, "still nothing");
    ms = poll_ms(1);
    check(ms < 2, "timeout 1 ns took %u ms", ms);
}

static void check_wake(uint64_t device, const char *name)
{
    unsigned ms = poll_ms(UINT64_MAX);
    check(ms > 5, "%s: a frame ended the wait after %u ms", name, ms);
    check_ready(BIT(device), 1, name);
    ms = poll_ms(1000 * MS);
    check(ms < 2, "%s: as long as it waits, POLL returns at once: %u ms", name, ms);
    check_ready(BIT(device), 1, name);
}

int main(void)
{
    check_timeouts();
    check_wake(2, "first");
    unsigned frames = drain(2);
    check(frames > 0, "%u frames read", frames);
    poll_ms(0);
    check_ready(0, 0, "all is read");
    do
        sleep_ms(100);
    while (drain(2) > 0);
    check_wake(3, "second");
    return checks_done("poll");
}
