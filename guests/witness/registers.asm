; SPDX-License-Identifier: MIT
; Registers across what gives the core away: a call, or a busy loop that outlasts the time slice.
; struct register_set in main.c is the layout that both share.

GENERAL_COUNT equ 14                    ; all but RSP and RAX
XMM           equ GENERAL_COUNT * 8
MXCSR         equ XMM + 16 * 16
YMM_HIGH      equ MXCSR + 16            ; bits 255:128, if use_avx

global registers_across_call, registers_across_spin, use_avx

section .bss
use_avx:
    resb 1

section .text
bits 64
default rel

%macro save_all 1
    mov [%1 + 0 * 8], rcx
    mov [%1 + 1 * 8], rdx
    mov [%1 + 2 * 8], rbx
    mov [%1 + 3 * 8], rbp
    mov [%1 + 4 * 8], rsi
    mov [%1 + 5 * 8], rdi
    mov [%1 + 6 * 8], r8
    mov [%1 + 7 * 8], r9
    mov [%1 + 8 * 8], r10
    mov [%1 + 9 * 8], r11
    mov [%1 + 10 * 8], r12
    mov [%1 + 11 * 8], r13
    mov [%1 + 12 * 8], r14
    mov [%1 + 13 * 8], r15
  %assign i 0
  %rep 16
    movaps [%1 + XMM + i * 16], xmm %+ i
    %assign i i + 1
  %endrep
    stmxcsr [%1 + MXCSR]
    cmp byte [use_avx], 0
    je %%done
  %assign i 0
  %rep 16
    vextractf128 [%1 + YMM_HIGH + i * 16], ymm %+ i, 1
    %assign i i + 1
  %endrep
%%done:
%endmacro

%macro load_all 1
  %assign i 0
  %rep 16
    movaps xmm %+ i, [%1 + XMM + i * 16]
    %assign i i + 1
  %endrep
    ldmxcsr [%1 + MXCSR]
    cmp byte [use_avx], 0
    je %%general
  %assign i 0
  %rep 16
    vinsertf128 ymm %+ i, ymm %+ i, [%1 + YMM_HIGH + i * 16], 1
    %assign i i + 1
  %endrep
%%general:
    mov rcx, [%1 + 0 * 8]
    mov rdx, [%1 + 1 * 8]
    mov rbx, [%1 + 2 * 8]
    mov rbp, [%1 + 3 * 8]
    mov rsi, [%1 + 4 * 8]
    mov r8, [%1 + 6 * 8]
    mov r9, [%1 + 7 * 8]
    mov r10, [%1 + 8 * 8]
    mov r11, [%1 + 9 * 8]
    mov r12, [%1 + 10 * 8]
    mov r13, [%1 + 11 * 8]
    mov r14, [%1 + 12 * 8]
    mov r15, [%1 + 13 * 8]
    mov %1, [%1 + 5 * 8]                ; RDI, which held the set's address
%endmacro

; RDI: the set to load, RSI: the set to store, RDX: what %1 finds in RAX
%macro around 1
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 8
    stmxcsr [rsp]
    push rsi
    mov rax, rdx
    load_all rdi
    %1
    pop rax
    save_all rax
    ldmxcsr [rsp]
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
%endmacro

%macro spin 0
%%again:
    dec rax
    jnz %%again
%endmacro

; void registers_across_call(const struct register_set *load, struct register_set *stored,
;                            uint64_t call);
registers_across_call:
    around vmcall

; void registers_across_spin(const struct register_set *load, struct register_set *stored,
;                            uint64_t turns);
registers_across_spin:
    around spin

section .note.GNU-stack noalloc noexec nowrite progbits
