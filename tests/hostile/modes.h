/* SPDX-License-Identifier: MIT */
/* Out of long mode and back (modes.asm), for the cases about other modes. Interrupts are off there,
 * and there is no IDT that an exception could use. */
#ifndef TESTS_HOSTILE_MODES_H
#define TESTS_HOSTILE_MODES_H

#include <stdint.h>

/* What RAX holds when a routine is reached, and RBX, RDX, RSI, RDI and R8 to R11: loaded in 64-bit
 * mode, so their upper halves are there, too. */
extern volatile uint64_t entry_rax, entry_rest;

/* Runs a routine of modes.asm in 32-bit protected mode without paging; returns its EAX. */
uint32_t run32(void (*routine)(void));

/* The same in 16-bit protected mode, and by it in real mode, with the segments that were loaded
 * before. */
uint32_t run_protected16(void (*routine)(void));
uint32_t run16(void (*routine)(void));

/* Routines for run32. */
void vm_call32(void);        /* a call: EAX */
void pae_bad(void);          /* PAE paging with reserved bits in a PDPTE: 1 if #GP came */
void pae_bad_cr3(void);      /* the same by MOV to CR3, PAE paging being on */
void long_with_tss16(void);  /* long mode with a 16-bit TSS: 1 if #GP came */
void triple32(void);         /* an exception without an IDT */
void alignment_loop(void);   /* #AC at CPL 3, on a stack that causes the next one: for ever */
void task_jump(void);        /* JMP to a TSS */
void task_call(void);        /* CALL of one */
void task_gate(void);        /* INT by a task gate */
void task_return(void);      /* IRET with NT set */
void task_nmi(void);         /* an NMI by a task gate */
void task_nmi_user(void);    /* the same at CPL 3, when at_user is 1 and another vCPU sends it */
extern volatile uint32_t at_user;

/* For run32: through 32-bit, PAE, 16-bit, real, unreal, virtual-8086, compatibility and 64-bit mode
 * and back, with CPUID and a call in each; returns how many of WALK_VISITS were as they should. */
void walk(void);
#define WALK_VISITS 12

/* Where ATOLL_CALL_START_VCPU may begin: stores its registers, in this order, then those that only
 * 64-bit code sees, which it enters by start_cr3, and halts. */
void start32(void);
extern volatile uint32_t start_registers[48];
extern volatile uint64_t start_wide[12]; /* RBX, RSI, RDI, RBP, R8 to R15 */
extern volatile uint64_t start_cr3;

enum {
    START_EAX, START_EBX, START_ECX, START_EDX, START_ESI, START_EDI, START_EBP, START_ESP,
    START_CR0, START_CR3, START_CR4, START_EFLAGS, START_CR2, START_DR0, START_DR1, START_DR2,
    START_DR3, START_DR6, START_DR7, START_TR, START_LDTR, START_GDT_LIMIT, START_GDT,
    START_IDT_LIMIT, START_IDT, START_XCR0, START_MSRS, START_MSRS_END = START_MSRS + 12,
    START_DONE = 47,
};

/* Routines for run16, the first one for run_protected16, too. */
void vm_call16(void);
void triple16(void);
void edge16(void); /* to entry_rest (low 16 bits):0xfffe, the last two bytes of a segment */

/* For edge16: the IDT of real mode, the handler that #GP must go to, and the segment that it is in.
 * It returns 1 << 16 and the IP that was pushed. */
extern uint32_t real_mode_idt[256];
extern const char edge_handler[], segment16[];

#endif
