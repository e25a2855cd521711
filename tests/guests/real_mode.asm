; SPDX-License-Identifier: MIT
; A guest that goes back to real mode and reads a denied MSR: the #GP must come through the
; interrupt vector table, without an error code. Its handler resets the machine, which is how the
; test sees it.

RUNS_AT equ 0x8000

bits 32
section .text
global pvh_entry
pvh_entry:
        lgdt [gdtr]
        mov esi, low_start
        mov edi, RUNS_AT
        mov ecx, low_end - low_start
        rep movsb
        mov word [13 * 4], handler - low_start + RUNS_AT ; the vector of #GP
        mov word [13 * 4 + 2], 0
        jmp 0x18:RUNS_AT

section .rodata
low_start:
bits 16
        mov ax, 0x20
        mov ds, ax
        mov ss, ax
        mov es, ax
        lidt [RUNS_AT + idtr - low_start]
        mov eax, cr0
        and al, 0xfe                            ; PE
        mov cr0, eax
        jmp 0:(RUNS_AT + real - low_start)
real:
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7000
        mov ecx, 0x3a                           ; IA32_FEATURE_CONTROL is denied
        rdmsr
        hlt
handler:
        mov al, 0xfe
        out 0x64, al
        hlt
        align 8
idtr:   dw 0x3ff
        dd 0
low_end:

        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
        dq 0x00009b000000ffff, 0x000093000000ffff ; 16-bit code and data
gdtr:   dw $ - gdt - 1
        dd gdt

section .note.pvh note alloc noexec nowrite align=4
        dd 4, 8, 18
        db "Xen", 0
        dq pvh_entry

section .note.GNU-stack noalloc noexec nowrite progbits
