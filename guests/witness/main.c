/* SPDX-License-Identifier: MIT */
/* A guest that keeps counting beside others that crash, and notices when one of them, or the
 * hypervisor, touches its memory or its registers. Options: ms=N, how long (default 200);
 * until=others: until all others have ended, for which it needs `control`. */
#include "guests/lib/guest.h"

#define DEFAULT_MS     200
#define LONG_MS        60000
#define HEARTBEAT_MS   50
#define ASK_NS         1000000
#define BUFFER_WORDS   8192
#define SPIN_TURNS     100000
#define SLEEP_NS       100000
#define MXCSR_DEFAULT  0x1f80u
#define MXCSR_ROUNDING 13 /* two bits: each VM rounds in its own way */
#define CR4_OSXSAVE    (1ul << 18)
#define XCR0_AVX_STATE 7u /* x87, SSE, AVX */
#define MSR_STAR       0xc0000081u
#define MSR_FMASK      0xc0000084u
#define MSR_TSC_AUX    0xc0000103u

/* The layout that registers.asm loads and stores. */
struct register_set {
    uint64_t rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t xmm[32];
    uint32_t mxcsr, unused[3];
    uint64_t ymm_high[32]; /* bits 255:128, if use_avx */
} __attribute__((aligned(16)));

extern bool use_avx; /* registers.asm */

void registers_across_call(const struct register_set *load, struct register_set *stored,
                           uint64_t call);
void registers_across_spin(const struct register_set *load, struct register_set *stored,
                           uint64_t turns);

static uint64_t buffer[BUFFER_WORDS];
static uint64_t vm;
static uint64_t cycle = 3;

/* A different word for each VM, round and place (the constants are those of splitmix64). */
static uint64_t pattern(uint64_t round, uint64_t place)
{
    uint64_t x = (vm << 48) + (round << 16) + place + 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void fill_memory(uint64_t round)
{
    for (size_t i = 0; i < BUFFER_WORDS; i++)
        buffer[i] = pattern(round, i);
}

static bool memory_intact(uint64_t round)
{
    for (size_t i = 0; i < BUFFER_WORDS; i++) {
        if (buffer[i] == pattern(round, i))
            continue;
        printf("witness: round %lu, word %lu is %016lx\n", round, i, buffer[i]);
        return false;
    }
    return true;
}

static void enable_avx(void)
{
    if (!cpu_has(CPUID_XSAVE) || !cpu_has(CPUID_AVX))
        return;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"(XCR0_AVX_STATE), "d"(0));
    use_avx = true;
}

/* Registers that no exit saves: DR0 to DR3, CR2, those of the FPU, and the MSRs of SYSCALL, SWAPGS
 * and RDTSCP. */
struct rare_registers {
    uint64_t dr0, dr1, dr2, dr3, cr2, lstar, kernel_gs_base, star, fmask, tsc_aux;
    uint64_t fpu[8];
};

static bool has_tsc_aux;

static void write_rare(const struct rare_registers *r)
{
    write_cr2(r->cr2);
    wrmsr(MSR_STAR, r->star);
    wrmsr(MSR_FMASK, r->fmask);
    if (has_tsc_aux)
        wrmsr(MSR_TSC_AUX, r->tsc_aux);
    __asm__ volatile("fninit");
    for (size_t i = 0; i < ARRAY_SIZE(r->fpu); i++)
        __asm__ volatile("fildll %0" : : "m"(r->fpu[i]));
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
                     :
                     : "r"(r->dr0), "r"(r->dr1), "r"(r->dr2), "r"(r->dr3));
    wrmsr(MSR_LSTAR, r->lstar);
    wrmsr(MSR_KERNEL_GS_BASE, r->kernel_gs_base);
}

static struct rare_registers read_rare(void)
{
    struct rare_registers r;

    __asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
                     : "=r"(r.dr0), "=r"(r.dr1), "=r"(r.dr2), "=r"(r.dr3));
    for (size_t i = ARRAY_SIZE(r.fpu); i-- > 0;)
        __asm__ volatile("fistpll %0" : "=m"(r.fpu[i]));
    r.cr2 = read_cr2();
    r.star = rdmsr(MSR_STAR);
    r.fmask = rdmsr(MSR_FMASK);
    r.tsc_aux = has_tsc_aux ? rdmsr(MSR_TSC_AUX) : 0;
    r.lstar = rdmsr(MSR_LSTAR);
    r.kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
    return r;
}

/* One round of `cycle` yields, one sleeps; the others give the core away by the time slice only. */
static bool registers_intact(uint64_t round)
{
    struct register_set loaded = {0}, stored = {0};
    uint64_t *words = (uint64_t *)&loaded;
    size_t place = BUFFER_WORDS;

    for (size_t i = 0; i < offsetof(struct register_set, mxcsr) / sizeof(*words); i++)
        words[i] = pattern(round, place++);
    for (size_t i = 0; use_avx && i < ARRAY_SIZE(loaded.ymm_high); i++)
        loaded.ymm_high[i] = pattern(round, place++);
    struct rare_registers rare = {0};
    uint64_t *rare_words = (uint64_t *)&rare;
    for (size_t i = 0; i < sizeof(rare) / sizeof(*rare_words); i++)
        rare_words[i] = pattern(round, place + i) >> 20; /* canonical: DR and MSR writes check it */
    rare.fmask &= UINT32_MAX;
    rare.tsc_aux = has_tsc_aux ? rare.tsc_aux & UINT32_MAX : 0;
    write_rare(&rare);
    loaded.mxcsr = MXCSR_DEFAULT | (uint32_t)(vm & 3) << MXCSR_ROUNDING;
    if (round % cycle == 1) {
        loaded.rdi = SLEEP_NS;
        registers_across_call(&loaded, &stored, ATOLL_CALL_SLEEP_FOR);
    } else if (round % cycle == 0) {
        registers_across_call(&loaded, &stored, ATOLL_CALL_YIELD);
    } else {
        registers_across_spin(&loaded, &stored, SPIN_TURNS);
    }
    const struct rare_registers after = read_rare();
    if (memcmp(&loaded, &stored, sizeof(loaded)) == 0 && memcmp(&rare, &after, sizeof(rare)) == 0)
        return true;
    printf("witness: round %lu, registers changed\n", round);
    return false;
}

/* Has every VM but this one ended? Asks each millisecond; a guest that may not ask says yes. */
static bool others_ended(uint64_t now)
{
    static uint64_t asked;
    struct atoll_vm_state state;

    if (now - asked < ASK_NS)
        return false;
    asked = now;
    for (uint32_t other = 0; atoll_vm_state(other, &state) == sizeof(state); other++) {
        if (other != vm && state.state != ATOLL_VM_STOPPED && state.state != ATOLL_VM_REFUSED)
            return false;
    }
    return true;
}

int main(void)
{
    const char *until = guest_option("until");
    bool until_others = until && strcmp(until, "others") == 0;
    uint64_t duration = guest_option_number("ms", until_others ? LONG_MS : DEFAULT_MS) * 1000000;
    uint64_t start = now_ns(), heartbeat = start, rounds = 0;
    struct atoll_vm_info info = {0};

    atoll_vm_info(&info);
    vm = info.vm;
    if (until_others) /* its share is measured: who yields and sleeps gets less than that */
        cycle = 12;
    enable_avx();
    has_tsc_aux = cpu_has(CPUID_RDTSCP);
    printf("witness: counting for %lu ms%s\n", duration / 1000000, use_avx ? ", with AVX" : "");
    while (now_ns() - start < duration && !(until_others && others_ended(now_ns()))) {
        fill_memory(rounds);
        if (!registers_intact(rounds) || !memory_intact(rounds))
            return 1;
        rounds++;
        if (now_ns() - heartbeat >= HEARTBEAT_MS * 1000000ull) {
            heartbeat = now_ns();
            printf("witness: round %lu after %lu ms\n", rounds, (heartbeat - start) / 1000000);
        }
    }
    printf("witness: %lu rounds, memory intact, %lu us\n", rounds, (now_ns() - start) / 1000);
    return 0;
}
