; SPDX-License-Identifier: MIT
; The two ends of user_run (user.c): into CPL 3 by an IRET, and where its handler sends the vCPU.

USER_DATA   equ 0x23                    ; of the GDT in start.asm
USER_CODE   equ 0x2b
USER_VECTOR equ 0x7f                    ; as in user.c
RFLAGS_IF   equ 1 << 9

global user_enter, user_leave, user_rsp

section .bss
align 8
user_rsp:
    resq 1

section .text
bits 64
default rel

; void user_enter(void (*function)(void *argument), void *argument, uint64_t stack);
user_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [user_rsp], rsp
    push USER_DATA
    push rdx
    push RFLAGS_IF
    push USER_CODE
    lea rax, [at_user]
    push rax
    mov rbx, rdi
    mov rdi, rsi
    iretq

at_user:
    call rbx
    int USER_VECTOR

user_leave:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
