/* SPDX-License-Identifier: MIT */
/* A guest that keeps counting beside others that crash, and notices when one of them, or the
 * hypervisor, touches its memory or its registers. Options: ms=N, how long (default 200). */
#include "guests/lib/guest.h"

#define DEFAULT_MS     200
#define HEARTBEAT_MS   50
#define BUFFER_WORDS   8192
#define SPIN_TURNS     100000
#define SLEEP_NS       100000
#define MXCSR_DEFAULT  0x1f80u
#define MXCSR_ROUNDING 13 /* two bits: each VM rounds in its own way */

/* The layout that registers.asm loads and stores. */
struct register_set {
    uint64_t rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t xmm[32];
    uint32_t mxcsr, unused[3];
} __attribute__((aligned(16)));

void registers_across_call(const struct register_set *load, struct register_set *stored,
                           uint64_t call);
void registers_across_spin(const struct register_set *load, struct register_set *stored,
                           uint64_t turns);

static uint64_t buffer[BUFFER_WORDS];
static uint64_t vm;

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

/* The third round of three gives the core away by its time slice only. */
static bool registers_intact(uint64_t round)
{
    struct register_set loaded = {0}, stored = {0};
    uint64_t *words = (uint64_t *)&loaded;

    for (size_t i = 0; i < offsetof(struct register_set, mxcsr) / sizeof(*words); i++)
        words[i] = pattern(round, BUFFER_WORDS + i);
    loaded.mxcsr = MXCSR_DEFAULT | (uint32_t)(vm & 3) << MXCSR_ROUNDING;
    if (round % 3 == 1) {
        loaded.rdi = SLEEP_NS;
        registers_across_call(&loaded, &stored, ATOLL_CALL_SLEEP_FOR);
    } else if (round % 3 == 2) {
        registers_across_spin(&loaded, &stored, SPIN_TURNS);
    } else {
        registers_across_call(&loaded, &stored, ATOLL_CALL_YIELD);
    }
    if (memcmp(&loaded, &stored, sizeof(loaded)) == 0)
        return true;
    printf("witness: round %lu, registers changed\n", round);
    return false;
}

int main(void)
{
    uint64_t duration = guest_option_number("ms", DEFAULT_MS) * 1000000;
    uint64_t start = now_ns(), heartbeat = start, rounds = 0;
    struct atoll_vm_info info = {0};

    atoll_vm_info(&info);
    vm = info.vm;
    printf("witness: counting for %lu ms\n", duration / 1000000);
    while (now_ns() - start < duration) {
        fill_memory(rounds);
        if (!registers_intact(rounds) || !memory_intact(rounds))
            return 1;
        rounds++;
        if (now_ns() - heartbeat >= HEARTBEAT_MS * 1000000ull) {
            heartbeat = now_ns();
            printf("witness: round %lu after %lu ms\n", rounds, (heartbeat - start) / 1000000);
        }
    }
    printf("witness: %lu rounds, memory intact\n", rounds);
    return 0;
}
