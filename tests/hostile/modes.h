/* SPDX-License-Identifier: MIT */
/* Out of long mode and back (modes.asm), for the cases about other modes. Interrupts are off there,
 * and there is no IDT that an exception could use. */
#ifndef TESTS_HOSTILE_MODES_H
#define TESTS_HOSTILE_MODES_H

#include <stdint.h>

/* Runs a routine of modes.asm in 32-bit protected mode without paging; returns its EAX. */
uint32_t run32(void (*routine)(void));

/* The same by 16-bit protected mode in real mode, with the segments that were loaded before. */
uint32_t run16(void (*routine)(void));

/* Routines for run32. */
void cpuid32(void);     /* CPUID leaf 0x40000000: EBX */
void vm_call32(void);   /* a call: EAX */
void pae_bad(void);     /* PAE paging with reserved bits in a PDPTE: 1 if #GP came, 0 if not */
void triple32(void);    /* an exception without an IDT */
void task_jump(void);   /* JMP to a TSS */
void task_gate(void);   /* INT by a task gate */
void task_return(void); /* IRET with NT set */

/* Where ATOLL_CALL_START_VCPU may begin: stores its registers, in this order, and halts. */
void start32(void);
extern volatile uint32_t start_registers[13];

enum { START_EAX, START_EBX, START_ECX, START_EDX, START_ESI, START_EDI, START_EBP, START_ESP,
       START_GENERAL, START_CR0 = START_GENERAL, START_CR3, START_CR4, START_EFLAGS, START_DONE };

/* Routines for run16. */
void cpuid16(void);
void vm_call16(void);
void triple16(void);

#endif
