; SPDX-License-Identifier: MIT
; The 256 entries of the IDT: each pushes what is missing of a struct trap_frame (traps.h) and
; calls trap().

extern trap

section .text progbits alloc exec nowrite align=16

%assign vector 0
%rep 256
align 8
trap_entry_%+vector:
    ; 8, 10-14, 17, 21, 29 and 30 push an error code (SDM Vol. 3A, 6.13)
    %if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17 || vector = 21 || \
        vector = 29 || vector = 30
    %else
        push qword 0
    %endif
        push qword vector
        jmp trap_common
%assign vector vector + 1
%endrep

trap_common:
        push rax
        push rbx
        push rcx
        push rdx
        push rsi
        push rdi
        push rbp
        push r8
        push r9
        push r10
        push r11
        push r12
        push r13
        push r14
        push r15
        cld
        mov rdi, rsp
        mov rbx, rsp                            ; the frame; RSP is aligned for C
        and rsp, -16
        call trap
        mov rsp, rbx
        pop r15
        pop r14
        pop r13
        pop r12
        pop r11
        pop r10
        pop r9
        pop r8
        pop rbp
        pop rdi
        pop rsi
        pop rdx
        pop rcx
        pop rbx
        pop rax
        add rsp, 16
        iretq

section .rodata progbits alloc noexec nowrite align=8
global trap_entries
trap_entries:
%assign vector 0
%rep 256
        dq trap_entry_%+vector
%assign vector vector + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits
