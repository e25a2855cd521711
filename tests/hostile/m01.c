/* SPDX-License-Identifier: MIT */
/* M01: random instructions of all kinds that a hypervisor sees, from the seed n=. Expected: any
 * end that has a name; the same seed does the same. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

#define STEPS    3000
#define PROGRESS 500
#define ODDS     512 /* one step in so many may do what usually ends a guest */

static uint64_t digest;

static void mix(uint64_t value)
{
    digest = (digest ^ value) * 0x100000001b3u;
}

static bool on_interrupt(struct exception_frame *frame)
{
    if (frame->vector >= 32 && apic_bit(APIC_ISR, (unsigned)frame->vector))
        apic_end_of_interrupt();
    return true;
}

static uint32_t some_msr(uint64_t random)
{
    static const uint32_t from[] = {0,     0x170,      0x480,      0x6e0,
                                    0x800, 0xc0000080, 0xc0000100, 0xc0010100};

    return from[random % 8] + (uint32_t)(random >> 8) % 0x40;
}

/* Those that the SDK itself runs on are written as they are, once in a while as they should not. */
static bool is_vital(uint32_t msr)
{
    return msr == MSR_EFER || msr == MSR_GS_BASE || msr == APIC_ICR;
}

static uint64_t some_value(uint64_t random)
{
    switch (random >> 8 & 3) {
    case 0:
        return random >> (random & 63);
    case 1:
        return BIT(random & 63);
    case 2:
        return ~BIT(random & 63);
    default:
        return (uint32_t)random;
    }
}

static void some_call(uint64_t random)
{
    uint64_t number = random % 40, value = some_value(random_next());

    if (number == ATOLL_CALL_EXIT || number == ATOLL_CALL_SLEEP_UNTIL ||
        number == ATOLL_CALL_SLEEP_FOR || number == ATOLL_CALL_CONSOLE_WRITE)
        number = ATOLL_CALL_NULL;
    mix((uint64_t)atoll_call4(number, value, BIT(40) | random_next(), value >> 3, random_next()));
}

/* Each keeps the guest as it is for one instruction, or a little longer. */
static void control_registers(uint64_t random)
{
    uint64_t cr0 = read_cr0(), cr4 = read_cr4(), bit = BIT(random >> 8 & 63);
    uint64_t value = some_value(random >> 8);

    switch (random % 7) {
    case 0:
        mix((uint64_t)ATTEMPT("mov %0, %%cr0", : : "r"(cr0 ^ (bit & ~X86_CR0_TS)) : "memory"));
        write_cr0(cr0);
        break;
    case 1:
        mix((uint64_t)ATTEMPT("mov %0, %%cr4", : : "r"(cr4 ^ (bit & ~0x300060ul)) : "memory"));
        write_cr4(cr4);
        break;
    case 2:
        mix((uint64_t)ATTEMPT("mov %0, %%cr8", : : "r"(value)));
        write_cr8(0);
        break;
    case 3:
        mix((uint64_t)ATTEMPT("mov %0, %%dr7", : : "r"(value & ~0x20fful)));
        write_dr7(0x400);
        break;
    case 4:
        mix((uint64_t)ATTEMPT("mov %0, %%dr6", : : "r"(value)));
        __asm__ volatile("mov %0, %%dr3" : : "r"(value));
        break;
    case 5:
        write_cr2(value);
        mix(read_cr2());
        break;
    case 6:
        write_cr3(read_cr3()); /* another one: ruthless */
        mix(read_cr8());
        break;
    }
}

/* Tables at any place of any size; an exception in between is the guest's end. */
static void descriptor_tables(uint64_t random)
{
    struct descriptor_pointer old;
    uint64_t base = some_value(random >> 16);
    uint16_t size = (uint16_t)(random >> 8);

    interrupts_off();
    if (random & 1) {
        __asm__ volatile("sidt %0" : "=m"(old));
        lidt((const void *)(base & 0x7fffffffffff), size + 1ul);
    } else {
        __asm__ volatile("sgdt %0" : "=m"(old));
        lgdt((const void *)(base & 0x7fffffffffff), size + 1ul);
    }
    if (random & 2)
        mix(cpuid(0, 0).eax);
    if (random & 4)
        atoll_yield();
    if ((random >> 32) % ODDS == 0)
        __asm__ volatile("ud2");
    if (random & 1)
        __asm__ volatile("lidt %0" : : "m"(old));
    else
        __asm__ volatile("lgdt %0" : : "m"(old));
    interrupts_on();
}

/* To any selector and any address; mostly #GP at the jump itself. */
static void far_jump(uint64_t random)
{
    struct {
        uint64_t offset;
        uint16_t selector;
    } __attribute__((packed)) target = {some_value(random), (uint16_t)(random >> 24)};

    mix((uint64_t)ATTEMPT("rex64 ljmp *%0", : : "m"(target) : "memory"));
}

/* RAM, and now and then what is none. */
static void memory(uint64_t random)
{
    static volatile uint8_t ram[PAGE_SIZE];
    volatile uint8_t *at = &ram[random >> 8 & (PAGE_SIZE - 1)];

    if ((random >> 32) % ODDS == 0)
        at = (volatile uint8_t *)(uintptr_t)(0xc0000000u | (uint32_t)(random >> 8));
    if (random & 1)
        *at = (uint8_t)random;
    else
        mix(*at);
}

/* HLT, with a timer that ends it, most of the time. */
static void sleep(uint64_t random)
{
    interrupts_off();
    if (random % (4 * ODDS))
        apic_timer_deadline(0x50, rdtsc() + (random >> 8) % 20000);
    wait_for_interrupt();
    interrupts_on();
}

/* What no guest should do to itself. */
static void ruthless(uint64_t random)
{
    uint64_t value = some_value(random_next());

    switch (random & 7) {
    case 0:
        out8((uint16_t)(random >> 8), (uint8_t)value);
        break;
    case 1:
        *(volatile uint8_t *)(value & UINT32_MAX) = (uint8_t)value;
        break;
    case 2:
        ATTEMPT("mov %0, %%cr3", : : "r"(value & 0xfffff000) : "memory");
        break;
    case 3:
        try_wrmsr(MSR_EFER, value);
        break;
    case 4:
        apic_write(APIC_ICR, value & 0xffffffff000ccfffull);
        break;
    case 5:
        wrmsr(MSR_GS_BASE, value & 0x7fffffffffff);
        break;
    default:
        break;
    }
}

static void step(void)
{
    uint64_t random = random_next(), value = 0;
    uint16_t port = (uint16_t)(random >> 16);
    uint32_t msr = some_msr(random >> 8);

    switch (random % 16) {
    case 0:
        mix(in32(port));
        break;
    case 1:
        if (port + 3 < 0x64 || (port > 0x92 && port + 3 < 0xcf8) || port > 0xcf9)
            out32(port, (uint32_t)random);
        else if (port != 0x64 && port != 0x92 && port != 0xcf9)
            out8(port, (uint8_t)random);
        break;
    case 2:
        mix((uint64_t)try_rdmsr(msr, &value));
        look(value);
        break;
    case 3:
        if (!is_vital(msr))
            mix((uint64_t)try_wrmsr(msr, some_value(random_next())));
        break;
    case 4:
        mix(cpuid((uint32_t)some_value(random), (uint32_t)(random >> 32)).eax);
        break;
    case 5:
        some_call(random >> 8);
        break;
    case 6:
        control_registers(random >> 8);
        break;
    case 7:
        mix((uint64_t)ATTEMPT("invlpg (%0)", : : "r"(some_value(random)) : "memory"));
        break;
    case 8:
        apic_write(APIC_SELF_IPI, 32 + (random >> 8) % 200);
        break;
    case 9:
        apic_timer_deadline(0x50, rdtsc() + (random >> 8) % 2000);
        break;
    case 10:
        atoll_sleep_for((random >> 8) % 20000);
        break;
    case 11:
        descriptor_tables(random >> 8);
        break;
    case 12:
        far_jump(random >> 8);
        break;
    case 13:
        memory(random >> 8);
        break;
    case 14:
        sleep(random >> 8);
        break;
    case 15:
        if ((random >> 8) % ODDS == 0)
            ruthless(random >> 16);
        break;
    }
}

CASE(m01)
{
    printf("m01: seed %u\n", variant()); /* whatever becomes of it */
    random_seed(variant());
    for (unsigned vector = 32; vector < 256; vector++)
        exception_handler_set(vector, on_interrupt);
    exception_handler_set(VECTOR_NMI, on_interrupt);
    exception_handler_set(VECTOR_DB, on_interrupt);
    for (unsigned i = 1; i <= STEPS; i++) {
        step();
        if (i % PROGRESS == 0)
            printf("m01: step %u: digest %016lx\n", i, digest);
    }
    write_cr8(0);
    printf("m01: seed %u: digest %016lx\n", variant(), digest);
    expect(true, "it ends");
}
