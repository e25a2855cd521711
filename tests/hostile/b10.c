/* SPDX-License-Identifier: MIT */
/* B10: EFER: LME and LMA under paging, SVME, reserved bits, NXE off while pages are NX. Expected:
 * #GP, LMA ignored, and EFER as it was; without NXE bit 63 of an entry is reserved, for this guest
 * alone, across exits. */
#include "tests/hostile/hostile.h"

#define LME BIT(8)
#define LMA BIT(10)

extern uint64_t guest_page_table[512]; /* start.asm: of the first 2 MiB */

#define RSVD BIT(3) /* of a page fault's error code */

static volatile uint64_t error_code;
static volatile unsigned faults;

static bool on_fault(struct exception_frame *frame)
{
    error_code = frame->error_code;
    faults++;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE); /* or it would fault for ever */
    return true;
}

/* Everything that it needs until the fault lies in pages that may be executed or are below. */
static void without_nxe(uint64_t efer)
{
    static uint64_t *pages[3]; /* a page directory's way to one page with bit 63 */
    uint64_t *pml4 = (uint64_t *)(read_cr3() & ~0xfffull), now;

    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
        pages[i] = pages_alloc(1);
    for (unsigned i = 0; i < 512; i++) /* all pages of the image without bit 63 */
        guest_page_table[i] &= ~BIT(63);
    pml4[8] = (uintptr_t)pages[0] | 3;
    pages[0][0] = (uintptr_t)pages[1] | 3;
    pages[1][0] = (uintptr_t)pages[2] | 3;
    pages[2][0] = (uintptr_t)pages[2] | 3 | BIT(63);
    write_cr3(read_cr3());
    exception_handler_set(VECTOR_PF, on_fault);
    for (unsigned i = 1; i <= 50; i++) {
        wrmsr(MSR_EFER, efer & ~(uint64_t)EFER_NXE);
        expect(rdmsr(MSR_EFER) == (efer & ~(uint64_t)EFER_NXE), "NXE stays on");
        atoll_yield();
        now = *(volatile uint64_t *)(8ull << 39); /* faults, and then is read with NXE on */
        expect(faults == i && (error_code & RSVD), "NX without NXE: %u faults, %lx", faults,
               error_code);
        look(now);
    }
    exception_handler_set(VECTOR_PF, NULL);
    pml4[8] = 0;
    write_cr3(read_cr3());
}

static void toggle(uint64_t efer)
{
    uint64_t now;

    for (unsigned i = 0; i < 200; i++) {
        uint64_t wanted = i & 2 ? efer : efer & ~(uint64_t)EFER_SCE;
        expect_vector(try_wrmsr(MSR_EFER, i & 1 ? wanted : wanted & ~LMA), NO_EXCEPTION,
                      "LMA written");
        atoll_yield();
        expect(try_rdmsr(MSR_EFER, &now) == NO_EXCEPTION && now == wanted, "EFER is %lx", now);
    }
}

CASE(b10)
{
    uint64_t efer = rdmsr(MSR_EFER), now;

    expect_vector(try_wrmsr(MSR_EFER, efer & ~LME), VECTOR_GP, "LME off while paging");
    for (unsigned bit = 1; bit < 64; bit++) {
        if (bit == 8 || bit == 10 || bit == 11)
            continue;
        int vector = try_wrmsr(MSR_EFER, efer ^ BIT(bit));
        expect(vector == VECTOR_GP, "EFER bit %u: %s", bit, exception_name(vector));
    }
    expect(try_rdmsr(MSR_EFER, &now) == NO_EXCEPTION && now == efer, "EFER became %lx", now);
    toggle(efer);
    wrmsr(MSR_EFER, efer);
    if (efer & EFER_NXE)
        without_nxe(efer);
}
