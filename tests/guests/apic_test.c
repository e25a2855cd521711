/* SPDX-License-Identifier: MIT */
/* A guest that tests its local APIC: every way to send an interrupt to itself, priorities, EOI, the
 * timer's three modes, NMI, reserved registers and bits, the shadows of STI and MOV SS, and that no
 * interrupt is lost or doubled while exits happen (SDM Vol. 3A chapter 10, Vol. 3C 26.3.1.5). */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define LOW              0x41 /* three vectors of three priority classes */
#define MIDDLE           0x51
#define HIGH             0x61
#define TIMER            0x71
#define RECORDS_MAX      16
#define STORM            2000
#define RACES            300
#define BETWEEN          2000 /* turns between two writes of a deadline: within what RACES covers */
#define PERIODS          5
#define MSR_APIC_BASE    0x1bu
#define APIC_BASE_BSP    (1u << 8)
#define APIC_BASE_X2APIC (1u << 10)
#define APIC_BASE_ENABLE (1u << 11)
#define ESR_SEND_ILLEGAL (1u << 5)

static volatile unsigned count, records, nmis, nmis_wanted;
static volatile unsigned record[RECORDS_MAX];
static volatile uint64_t last_tsc, last_rip;

static void on_interrupt(unsigned vector)
{
    last_tsc = rdtsc();
    if (records < RECORDS_MAX)
        record[records++] = vector;
    count++;
}

static void forget(void)
{
    interrupts_off();
    count = 0;
    records = 0;
    interrupts_on();
}

/* A few instructions, so that a pending interrupt comes. */
static void let_in(void)
{
    interrupts_on();
    __asm__ volatile("nop; nop" : : : "memory");
}

static void identity(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    uint32_t initial = cpuid(1, 0).ebx >> 24;

    check(cpu_has(CPUID_X2APIC) && cpu_has(CPUID_DEADLINE),
          "CPUID shows x2APIC and the TSC-deadline timer");
    check(base & APIC_BASE_ENABLE && base & APIC_BASE_X2APIC && base & APIC_BASE_BSP,
          "IA32_APIC_BASE 0x%lx: enabled, x2APIC, boot processor", base);
    check(apic_id() == vcpu_index() && initial == apic_id(), "x2APIC id %u, CPUID says %u",
          apic_id(), initial);
    check((apic_read(APIC_VERSION) & 0xff) >= 0x10, "version 0x%lx", apic_read(APIC_VERSION));
    check(apic_read(APIC_LDR) == ((apic_id() >> 4) << 16 | 1u << (apic_id() & 15)),
          "logical id 0x%lx", apic_read(APIC_LDR));
}

static void one_way(const char *name, uint64_t icr)
{
    forget();
    apic_write(APIC_ICR, icr | LOW);
    wait_for(&count, 1);
    spin_us(100);
    check(count == 1 && !apic_bit(APIC_ISR, LOW) && !apic_bit(APIC_IRR, LOW),
          "an IPI to myself by %s comes once (%u)", name, count);
}

static void every_way_to_myself(void)
{
    forget();
    apic_send_self(LOW);
    wait_for(&count, 1);
    check(count == 1, "SELF IPI comes once (%u)", count);
    one_way("physical destination", APIC_ICR_TO(apic_id()));
    one_way("logical destination", APIC_ICR_TO(apic_read(APIC_LDR)) | APIC_ICR_LOGICAL);
    one_way("the shorthand self", APIC_ICR_SELF);
    one_way("the shorthand all", APIC_ICR_ALL);
    one_way("broadcast", APIC_ICR_TO(APIC_BROADCAST));
    forget();
    apic_write(APIC_ICR, APIC_ICR_OTHERS | LOW);
    spin_us(500);
    check(count == 0, "all but self leaves me out (%u)", count);
}

static void pending(void)
{
    forget();
    interrupts_off();
    apic_send_self(LOW);
    apic_send_self(LOW);
    bool requested = apic_bit(APIC_IRR, LOW);
    unsigned before = count;
    let_in();
    check(requested && before == 0 && count == 1, "two of one vector, held back, come as one (%u)",
          count);
}

static void priorities(void)
{
    forget();
    interrupts_off();
    apic_send_self(LOW);
    apic_send_self(HIGH);
    apic_send_self(MIDDLE);
    let_in();
    check(records == 3 && record[0] == HIGH && record[1] == MIDDLE && record[2] == LOW,
          "the higher ones come first: %x %x %x", record[0], record[1], record[2]);
}

static void task_priority(void)
{
    forget();
    apic_write(APIC_TPR, MIDDLE & 0xf0);
    apic_send_self(LOW);
    apic_send_self(MIDDLE);
    apic_send_self(HIGH);
    spin_us(100);
    check(count == 1 && record[0] == HIGH, "TPR 0x50 lets 0x%x through alone (%u)", HIGH, count);
    check(apic_read(APIC_PPR) == (MIDDLE & 0xf0) && read_cr8() == MIDDLE >> 4,
          "PPR 0x%lx and CR8 %lu follow TPR", apic_read(APIC_PPR), read_cr8());
    write_cr8(LOW >> 4);
    spin_us(100);
    check(count == 2 && record[1] == MIDDLE && apic_read(APIC_TPR) == (LOW & 0xf0),
          "a lower CR8 lets 0x%x through (%u)", MIDDLE, count);
    apic_write(APIC_TPR, 0);
    spin_us(100);
    check(count == 3 && record[2] == LOW, "TPR 0 lets 0x%x through (%u)", LOW, count);
}

/* As an interrupt handler that lets others in before its own EOI. */
static bool nesting(struct exception_frame *frame)
{
    (void)frame;
    apic_send_self(LOW - 1); /* of the same class: waits for EOI */
    apic_send_self(HIGH);
    let_in();
    interrupts_off();
    bool right = count == 1 && record[0] == HIGH && apic_bit(APIC_ISR, LOW) &&
                 !apic_bit(APIC_ISR, HIGH) && apic_bit(APIC_IRR, LOW - 1) &&
                 apic_read(APIC_PPR) == (LOW & 0xf0);
    record[RECORDS_MAX - 1] = right;
    apic_end_of_interrupt();
    return true;
}

static void end_of_interrupt(void)
{
    forget();
    interrupt_handler_set(LOW - 1, on_interrupt);
    exception_handler_set(LOW, nesting);
    apic_send_self(LOW);
    wait_for(&count, 2);
    exception_handler_set(LOW, NULL);
    check(record[RECORDS_MAX - 1], "in service, a higher class comes at once, its own waits");
    check(count == 2 && record[1] == LOW - 1 && apic_read(APIC_PPR) == 0,
          "EOI lets the next one in (%u)", count);
    apic_end_of_interrupt();
    check(apic_read(APIC_PPR) == 0, "an EOI too many does nothing");
}

static void one_shot(void)
{
    forget();
    apic_timer_one_shot(TIMER, 10000000); /* long: others may have the core between two reads */
    uint64_t first = apic_read(APIC_CURRENT_COUNT), second = apic_read(APIC_CURRENT_COUNT);
    check(first <= 10000000 && first >= second && second > 0, "the count goes down: %lu, %lu",
          first, second);
    apic_timer_one_shot(TIMER, 10000);
    wait_for(&count, 1);
    spin_us(2000);
    check(count == 1 && apic_read(APIC_CURRENT_COUNT) == 0, "one-shot fires once (%u)", count);
    forget();
    apic_timer_one_shot(TIMER, 100000);
    apic_write(APIC_INITIAL_COUNT, 0);
    spin_us(4000);
    check(count == 0, "a count of 0 stops it (%u)", count);
    apic_write(APIC_LVT_TIMER, TIMER | APIC_LVT_MASKED);
    apic_write(APIC_INITIAL_COUNT, 1000);
    spin_us(2000);
    check(count == 0 && apic_read(APIC_CURRENT_COUNT) == 0, "masked it counts in silence (%u)",
          count);
}

static void periodic(void)
{
    forget();
    apic_timer_periodic(TIMER, 20000);
    wait_for(&count, PERIODS);
    unsigned reached = count;
    apic_timer_stop();
    spin_us(100);
    unsigned stopped_at = count;
    spin_us(3000);
    check(reached >= PERIODS, "periodic fires again and again (%u)", reached);
    check(count == stopped_at, "and stops when it is told to (%u)", count - stopped_at);
}

static void deadline(void)
{
    uint64_t at = rdtsc() + tsc_hz() / 1000;

    forget();
    apic_timer_deadline(TIMER, at);
    check(apic_read(APIC_TSC_DEADLINE) == at, "the deadline reads as it was written");
    wait_for(&count, 1);
    check(count == 1 && last_tsc >= at, "it fires once, %ld ticks behind the deadline",
          (long)(last_tsc - at));
    check(apic_read(APIC_TSC_DEADLINE) == 0, "and reads 0 then");
    apic_write(APIC_INITIAL_COUNT, 1000);
    spin_us(2000);
    check(count == 1 && apic_read(APIC_CURRENT_COUNT) == 0, "the initial count is ignored (%u)",
          count);
    apic_write(APIC_TSC_DEADLINE, 1);
    wait_for(&count, 2);
    check(count == 2, "a deadline that has passed fires at once (%u)", count);
    apic_write(APIC_TSC_DEADLINE, rdtsc() + tsc_hz() / 500);
    apic_write(APIC_TSC_DEADLINE, 0);
    spin_us(4000);
    check(count == 2, "0 disarms it (%u)", count);
    apic_write(APIC_TSC_DEADLINE, rdtsc() + tsc_hz() / 500);
    apic_write(APIC_LVT_TIMER, TIMER);
    apic_write(APIC_TSC_DEADLINE, 1);
    spin_us(4000);
    check(count == 2 && apic_read(APIC_TSC_DEADLINE) == 0, "another mode disarms it (%u)", count);
    apic_timer_stop();
}

/* Sends the next NMI itself: it has to wait for this one's IRET (SDM 6.7.1). */
static bool on_nmi(struct exception_frame *frame)
{
    static volatile bool inside;

    (void)frame;
    if (inside)
        nmis = 1000; /* nested */
    inside = true;
    if (++nmis < nmis_wanted)
        apic_send_nmi(apic_id());
    spin_us(20);
    inside = false;
    return true;
}

static void nmi(void)
{
    exception_handler_set(VECTOR_NMI, on_nmi);
    nmis = 0;
    nmis_wanted = 1;
    interrupts_off();
    apic_send_nmi(apic_id());
    wait_for(&nmis, 1);
    spin_us(100);
    check(nmis == 1, "an NMI to myself comes with interrupts off, once (%u)", nmis);
    nmis = 0;
    nmis_wanted = 3;
    apic_send_nmi(apic_id());
    wait_for(&nmis, 3);
    spin_us(100);
    check(nmis == 3, "three that are sent in the handler come one behind the other (%u)", nmis);
    interrupts_on();
    exception_handler_set(VECTOR_NMI, NULL);
}

static void disabled(void)
{
    forget();
    apic_write(APIC_LVT_TIMER, TIMER);
    apic_write(APIC_SVR, APIC_SPURIOUS_VECTOR);
    check(apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED, "software-disabled, the LVT is masked");
    apic_write(APIC_LVT_TIMER, TIMER);
    check(apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED, "and stays masked");
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    spin_us(100);
    check(count == 0, "nothing came of it (%u)", count);
    apic_send_self(LOW);
    wait_for(&count, 1);
    check(count == 1, "enabled again, it takes interrupts (%u)", count);
}

static void illegal_vector(void)
{
    apic_write(APIC_ESR, 0);
    apic_send_self(5);
    apic_write(APIC_ESR, 0);
    check(apic_read(APIC_ESR) & ESR_SEND_ILLEGAL, "vector 5 is an error, not an interrupt: 0x%lx",
          apic_read(APIC_ESR));
    apic_write(APIC_ESR, 0);
    apic_write(APIC_ESR, 0);
    check(apic_read(APIC_ESR) == 0, "which is forgotten behind the next write");
}

static int try_read(uint32_t msr)
{
    return ATTEMPT("rdmsr", : : "c"(msr) : "rax", "rdx");
}

static int try_write(uint32_t msr, uint64_t value)
{
    return ATTEMPT("wrmsr", : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void reserved(void)
{
    static const uint32_t unreadable[] = {0x800, 0x801, 0x804, 0x809, 0x80b, 0x80c, 0x80e,
                                          0x829, 0x831, 0x83a, 0x83f, 0x840, 0x8ff};
    static const struct {
        uint32_t msr;
        uint64_t value;
    } unwritable[] = {
        {APIC_ID, 0},
        {APIC_VERSION, 0},
        {APIC_PPR, 0},
        {APIC_LDR, 1},
        {APIC_ISR, 0},
        {APIC_TMR, 0},
        {APIC_IRR, 0},
        {APIC_CURRENT_COUNT, 0},
        {0x80e, 0},
        {0x831, 0},
        {0x840, 0},
        {APIC_TPR, 0x100},
        {APIC_EOI, 1},
        {APIC_ESR, 1},
        {APIC_SELF_IPI, 0x100},
        {APIC_SVR, 1u << 16},
        {APIC_LVT_TIMER, 1u << 20},
        {APIC_DIVIDE, 4},
        {APIC_ICR, 1u << 20},
        {APIC_INITIAL_COUNT, 1ull << 32},
        {APIC_TPR, 1ull << 32},
        {MSR_APIC_BASE, APIC_BASE_ENABLE | 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++) {
        int vector = try_read(unreadable[i]);
        check(vector == VECTOR_GP, "RDMSR 0x%x: %s", unreadable[i], exception_name(vector));
    }
    for (size_t i = 0; i < ARRAY_SIZE(unwritable); i++) {
        int vector = try_write(unwritable[i].msr, unwritable[i].value);
        check(vector == VECTOR_GP, "WRMSR 0x%x = 0x%lx: %s", unwritable[i].msr, unwritable[i].value,
              exception_name(vector));
    }
}

static bool record_rip(struct exception_frame *frame)
{
    last_rip = frame->rip;
    count++;
    apic_end_of_interrupt();
    return true;
}

/* With LOW pending and interrupts off: runs `instructions`, in which label 2 is where the interrupt
 * must come. Interrupts are on behind it. */
#define COMES_AT_LABEL_2(instructions)                                                             \
    ({                                                                                             \
        uint64_t expected_;                                                                        \
        forget();                                                                                  \
        interrupts_off();                                                                          \
        apic_send_self(LOW);                                                                       \
        __asm__ volatile("lea 2f(%%rip), %0\n" instructions                                        \
                         : "=&r"(expected_)                                                        \
                         : "i"(X86_EFLAGS_IF)                                                      \
                         : "memory", "cc", "rax", "rbx", "rcx", "rdx");                            \
        interrupts_on();                                                                           \
        count == 1 && last_rip == expected_;                                                       \
    })

static void shadows(void)
{
    exception_handler_set(LOW, record_rip);
    bool good = COMES_AT_LABEL_2("sti\n nop\n 2: nop\n nop\n");
    check(good, "STI holds it back for one instruction");
    good = COMES_AT_LABEL_2("xor %%eax, %%eax\n sti\n cpuid\n 2: nop\n nop\n");
    check(good, "also when that one is CPUID");
    good = COMES_AT_LABEL_2("sti\n hlt\n 2: nop\n nop\n");
    check(good, "and when it is HLT");
    good = COMES_AT_LABEL_2("pushf\n orq %1, (%%rsp)\n popf\n 2: nop\n nop\n");
    check(good, "POPF does not hold it back");
    good = COMES_AT_LABEL_2("pushf\n orq %1, (%%rsp)\n mov %%ss, %%eax\n mov %%eax, %%ss\n popf\n"
                            "2: nop\n nop\n");
    check(good, "nor is there a shadow behind MOV SS and POPF");
    exception_handler_set(LOW, NULL);
}

/* Every interrupt that is sent comes once, whatever exits around it. */
static void storm(void)
{
    forget();
    for (unsigned i = 0; i < STORM; i++) {
        interrupts_off();
        apic_send_self(i % 2 ? LOW : HIGH);
        if (i % 3 == 0)
            cpuid(0, 0);
        if (i % 5 == 0)
            atoll_null();
        if (i % 7 == 0)
            atoll_yield();
        let_in();
        if (count != i + 1)
            break;
    }
    check(count == STORM, "%u of %u interrupts came among exits", count, STORM);
}

/* The first deadline falls due before, at or behind the write of the second one, which is far off.
 * Was it over when the second one was written, and lost by that? */
static bool is_lost_when_written_again(uint64_t distance)
{
    forget();
    interrupts_off();
    uint64_t first = rdtsc() + distance;
    apic_write(APIC_TSC_DEADLINE, first);
    for (unsigned i = 0; i < BETWEEN; i++)
        __asm__ volatile("");
    bool over = rdtsc() >= first;
    apic_write(APIC_TSC_DEADLINE, first + tsc_hz() / 10);
    let_in();
    return over && count == 0;
}

static void sleep_races(void)
{
    uint64_t step = tsc_hz() / 1000000 + 1;
    unsigned lost = 0;

    apic_write(APIC_LVT_TIMER, TIMER | APIC_LVT_DEADLINE);
    for (unsigned i = 0; i < RACES; i++)
        lost += is_lost_when_written_again(i * step);
    forget();
    for (unsigned i = 0; i < RACES; i++) {
        apic_timer_deadline(TIMER, rdtsc() + i * step);
        interrupts_off();
        while (count <= i)
            wait_for_interrupt();
        interrupts_on();
    }
    check(count == RACES && lost == 0,
          "%u of %u sleeps ended by timers of all lengths, %u lost by another write", count, RACES,
          lost);
    apic_timer_stop();
}

/* A sleep of the hypervisor's that an interrupt ends, and one that none ends. */
static void sleep_calls(void)
{
    forget();
    apic_timer_deadline(TIMER, rdtsc() + tsc_hz() / 1000);
    int64_t result = atoll_sleep_for(5000000000ull);
    check(result == -EINTR && count == 1, "the timer ends a long sleep: %ld", result);
    uint64_t start = now_ns();
    result = atoll_sleep_for(1000000);
    check(result == 0 && now_ns() - start >= 1000000, "and nothing a short one: %ld", result);
    apic_timer_stop();
}

int main(void)
{
    static void (*const parts[])(void) = {
        identity,      every_way_to_myself,
        pending,       priorities,
        task_priority, end_of_interrupt,
        one_shot,      periodic,
        deadline,      nmi,
        disabled,      illegal_vector,
        reserved,      shadows,
        storm,         sleep_races,
        sleep_calls,
    };
    static const unsigned vectors[] = {LOW, MIDDLE, HIGH, TIMER};

    if (!cpu_has(CPUID_X2APIC)) {
        printf("FAILURE: CPUID shows no x2APIC\n");
        return 1;
    }
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
        interrupt_handler_set(vectors[i], on_interrupt);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        parts[i]();
    return checks_done("apic_test");
}
