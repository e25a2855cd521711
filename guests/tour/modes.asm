; SPDX-License-Identifier: MIT
; The two places of the tour that C cannot go to: CPL 3 and back, and protected mode without long
; mode for a hardware task switch (SDM Vol. 3A 7.3). tour.h says how each is called.

CODE32    equ 0x08                      ; of the GDT that main.c builds for the task switch
DATA32    equ 0x10
THIS_TSS  equ 0x20
NEXT_TSS  equ 0x28
USER_DATA equ 0x23                      ; of the SDK's GDT
USER_CODE equ 0x2b

RFLAGS_IF equ 1 << 9
RFLAGS_AC equ 1 << 18
CR0_PG    equ 1 << 31
CALL_NULL equ 0                         ; ATOLL_CALL_NULL

extern user_page
global user_mode_enter, user_mode_leave, user_mode_rsp, user_code, user_code_misaligned
global task_switch

section .text
bits 64
default rel

user_mode_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [user_mode_rsp], rsp
    push USER_DATA
    push rdi
    push RFLAGS_IF | RFLAGS_AC
    push USER_CODE
    lea rax, [user_code]
    push rax
    iretq

user_mode_leave:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

align 64
user_code:                              ; at CPL 3
    lea rbx, [user_page]
    mov eax, CALL_NULL
    vmcall
    mov [rbx], rax
user_code_misaligned:
    mov rax, [rbx + 9]                  ; #AC
    ud2

align 16
task_switch:
    cli
    lgdt [rdi]
    push CODE32
    lea rax, [.compatibility]
    push rax
    retfq

bits 32
.compatibility:
    mov eax, DATA32
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax                        ; long mode ends here
    mov eax, THIS_TSS
    ltr ax
    jmp NEXT_TSS:0
.survived:                              ; calls need 64-bit mode: all that is left is to halt
    hlt
    jmp .survived

section .bss
align 8
user_mode_rsp:
    resq 1

section .note.GNU-stack noalloc noexec nowrite progbits
