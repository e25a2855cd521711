/* SPDX-License-Identifier: MIT */
/* Exceptions of a guest, on every vCPU (SDM Vol. 3A chapter 6). An exception that nobody expects
 * is printed with the registers and ends the guest with status EXCEPTION_STATUS + vector. */
#ifndef GUESTS_LIB_EXCEPTIONS_H
#define GUESTS_LIB_EXCEPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum exception_vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_AC = 17,
};

#define EXCEPTION_STATUS 128
#define NO_EXCEPTION     (-1)

/* Selectors of the GDT in start.asm. */
#define SELECTOR_CODE64    0x08
#define SELECTOR_DATA      0x10
#define SELECTOR_CODE32    0x18
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_USER_CODE 0x2b
#define SELECTOR_TSS       0x30

/* What exceptions.asm pushes; a handler may change it. */
struct exception_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code; /* 0 for vectors without an error code */
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Installs `handler` for a vector on all vCPUs, NULL takes it away. A handler returns true to go on
 * at frame->rip, false to have the exception reported. For an interrupt it sends EOI itself, or
 * returns false to leave it to interrupt_handler_set's. It runs with interrupts off; the FPU and
 * SSE registers of the interrupted code are saved. */
void exception_handler_set(unsigned vector, bool (*handler)(struct exception_frame *frame));

/* From now on CPL 3 may cause this vector by INT n. */
void exception_gate_open(unsigned vector);

/* "#UD" and the like; "interrupt" for vectors from 32. */
const char *exception_name(int vector);

/* Runs one instruction that may fault, and goes on behind it in any case. Gives the vector of the
 * fault, or NO_EXCEPTION. Behind the instruction stand the operands as in an asm statement:
 *
 *     int vector = ATTEMPT("rdmsr", : "+a"(low), "=d"(high) : "c"(msr));
 */
#define ATTEMPT(instruction, ...)                                                                  \
    ({                                                                                             \
        exception_forget();                                                                        \
        __asm__ volatile("771: " instruction "\n"                                                  \
                         "772:\n"                                                                  \
                         ".pushsection .fixups, \"a\"\n"                                           \
                         ".quad 771b, 772b\n"                                                      \
                         ".popsection\n" __VA_ARGS__);                                             \
        exception_last();                                                                          \
    })

void exception_forget(void);
int exception_last(void);

/* Builds the IDT that all vCPUs use. */
void exceptions_init(void);

/* The entry points of exceptions.asm, one for each vector, and what they call. */
#define EXCEPTION_STUB_SIZE 16
extern const char exception_stubs[];
void exception_dispatch(struct exception_frame *frame);

/* Where to go on behind the instruction of an ATTEMPT that faulted at `rip`; 0: there is none. */
uint64_t exception_fixup(uint64_t rip);

#endif
