/* SPDX-License-Identifier: MIT */
/* What the cases of the hostile suite share. A case is a file with one CASE; it either returns,
 * with all it expected, or says farewell before it does what must end the guest. */
#ifndef TESTS_HOSTILE_HOSTILE_H
#define TESTS_HOSTILE_HOSTILE_H

#include "guests/lib/guest.h"

struct hostile_case {
    const char *name;
    void (*run)(void);
};

#define CASE(number)                                                                               \
    static void run(void);                                                                         \
    extern const struct hostile_case case_##number;                                                \
    const struct hostile_case case_##number = {#number, run};                                      \
    static void run(void)

/* Counts an expectation; the first ones that are not met are printed, as a line with FAILURE. */
__attribute__((format(printf, 2, 3))) void expect(bool good, const char *format, ...);

/* An expected outcome of ATTEMPT: NO_EXCEPTION or a vector. */
void expect_vector(int got, int wanted, const char *what);

/* A value that the hypervisor gave: it must be no word of its secret. */
void look(uint64_t value);

/* What n= says: which of its ways a case takes. */
unsigned variant(void);

/* Before the deed that ends the guest: the counts so far. Whoever returns behind it has survived,
 * which is a failure. */
void farewell(void);

/* The same, for an access at guest-physical `address`, which the hypervisor must name. */
void farewell_at(uint64_t address);

/* RDMSR and WRMSR: the vector, or NO_EXCEPTION. */
int try_rdmsr(uint32_t msr, uint64_t *value);
int try_wrmsr(uint32_t msr, uint64_t value);

/* #GP for reads and for writes of 0, 1, all ones and bit 63 of each. */
void expect_no_msrs(const uint32_t *msrs, size_t count);

/* Maps the 2 MiB around guest-physical `address` at the same linear address, wherever it is below
 * 2^47; it must lie above 4 GiB. For both halves of memory's end. */
void map_far(uint64_t address);

/* What call_with loads before its VMCALL and stores behind it (call.asm). RFLAGS: without what
 * would trap behind the load, and DF is clear again when it returns. */
enum call_register { CALL_RAX, CALL_RBX, CALL_RCX, CALL_RDX, CALL_RSI, CALL_RDI, CALL_RBP, CALL_R8,
                     CALL_R9, CALL_R10, CALL_R11, CALL_R12, CALL_R13, CALL_R14, CALL_R15,
                     CALL_RFLAGS, CALL_REGISTERS };
void call_with(uint64_t registers[CALL_REGISTERS]);

/* The same with random registers but RAX and `arguments` (RDI, RSI, RDX, R10, R8): the result, and
 * an expectation that nothing else has changed. */
int64_t call_expect(uint64_t number, const uint64_t arguments[5]);

/* Pseudo-random numbers, the same in each run; another seed, other numbers. */
uint64_t random_next(void);
void random_seed(uint64_t seed);

#endif
