; SPDX-License-Identifier: MIT
; A guest that arms its timer and sleeps: one of many that are alive beside one that measures. Its
; timer never comes, or with -DDEADLINE at that tick, which ends the guest: it has no handlers.

APIC_SPURIOUS equ 0x80f
APIC_TIMER    equ 0x832
TSC_DEADLINE  equ 0x6e0

APIC_ENABLED  equ 1 << 8
BY_DEADLINE   equ 2 << 17
VECTOR        equ 0x40

%ifndef DEADLINE
%define DEADLINE 1 << 44                        ; in days
%endif

bits 32
section .text
global pvh_entry
pvh_entry:
        xor edx, edx
        mov ecx, APIC_SPURIOUS
        mov eax, APIC_ENABLED | 0xff
        wrmsr
        mov ecx, APIC_TIMER
        mov eax, BY_DEADLINE | VECTOR
        wrmsr
        mov ecx, TSC_DEADLINE
        mov eax, (DEADLINE) & 0xffffffff
        mov edx, (DEADLINE) >> 32
        wrmsr
        sti
        hlt

section .note.pvh note alloc noexec nowrite align=4
        dd 4, 8, 18
        db "Xen", 0
        dq pvh_entry

section .note.GNU-stack noalloc noexec nowrite progbits
