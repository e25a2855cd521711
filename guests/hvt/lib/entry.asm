; SPDX-License-Identifier: MIT
; The way into an hvt guest (include/atoll/hvt.h): 64-bit mode, paging on, a stack, RDI the address
; of struct hvt_boot_info. All registers are kept as they are at first (struct guest_entry).

extern hvt_main
global hvt_entry, guest_entry

section .text
bits 64
default rel

hvt_entry:
    mov [guest_entry.rsp], rsp
    pushfq
    pop qword [guest_entry.rflags]
    mov [guest_entry.rax], rax
    mov [guest_entry.rbx], rbx
    mov [guest_entry.rcx], rcx
    mov [guest_entry.rdx], rdx
    mov [guest_entry.rsi], rsi
    mov [guest_entry.rdi], rdi
    mov [guest_entry.rbp], rbp
    mov [guest_entry.r8], r8
    mov [guest_entry.r9], r9
    mov [guest_entry.r10], r10
    mov [guest_entry.r11], r11
    mov [guest_entry.r12], r12
    mov [guest_entry.r13], r13
    mov [guest_entry.r14], r14
    mov [guest_entry.r15], r15
    jmp hvt_main                        ; as if called: the stack's end is that of a function

section .bss
alignb 8
guest_entry:                            ; struct guest_entry
.rax:    resq 1
.rbx:    resq 1
.rcx:    resq 1
.rdx:    resq 1
.rsi:    resq 1
.rdi:    resq 1
.rbp:    resq 1
.rsp:    resq 1
.r8:     resq 1
.r9:     resq 1
.r10:    resq 1
.r11:    resq 1
.r12:    resq 1
.r13:    resq 1
.r14:    resq 1
.r15:    resq 1
.rflags: resq 1

section .note.GNU-stack noalloc noexec nowrite progbits
