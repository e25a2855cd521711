/* SPDX-License-Identifier: MIT */
/* J11: the registers with which a vCPU starts, by the call that says they are those of PVH.
 * Expected: EBX as given, the modes of the ABI, and zero in all others. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/modes.h"

CASE(j11)
{
    for (uint32_t round = 1; round <= 10; round++) {
        memset((void *)start_registers, 0xff, sizeof(start_registers));
        uint64_t end = now_ns() + 200000000;
        int64_t error;
        do /* the INIT of the round before takes effect a little later */
            error = atoll_start_vcpu(1, (uintptr_t)start32, 0xab000000 | round);
        while (error == -EBUSY && now_ns() < end);
        expect(error == 0, "no start: %ld", error);
        while (start_registers[START_DONE] != 1 && now_ns() < end)
            atoll_yield();
        expect(start_registers[START_DONE] == 1, "vCPU 1 does not come");
        for (unsigned i = 0; i < START_GENERAL; i++)
            expect(start_registers[i] == (i == START_EBX ? 0xab000000 | round : 0),
                   "register %u starts as %x", i, start_registers[i]);
        expect((start_registers[START_CR0] & 0x8000ffffu) == 0x11 ||
                   (start_registers[START_CR0] & 0x8000ffffu) == 0x31,
               "CR0 starts as %x", start_registers[START_CR0]);
        expect(start_registers[START_CR4] == 0, "CR4 starts as %x", start_registers[START_CR4]);
        expect(start_registers[START_CR3] == 0, "CR3 starts as %x", start_registers[START_CR3]);
        expect(start_registers[START_EFLAGS] == 2,
               "EFLAGS start as %x", start_registers[START_EFLAGS]);
        apic_send_init(1);
    }
}
