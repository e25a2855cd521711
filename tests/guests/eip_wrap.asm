; SPDX-License-Identifier: MIT
; A 32-bit guest whose CPUID is the last instruction below 4 GiB: EIP wraps to 0 behind it, where a
; reset waits, which is how the test sees it.

PAGE_DIRECTORY equ 0x200000

bits 32
section .text
global pvh_entry
pvh_entry:
        mov edi, PAGE_DIRECTORY                 ; 4 MiB pages: the first one as it is, and the last
        xor eax, eax                            ; one on the second
        mov ecx, 1024
        rep stosd
        mov dword [PAGE_DIRECTORY], 0x83
        mov dword [PAGE_DIRECTORY + 1023 * 4], 0x00400083
        mov word [0x7ffffe], 0xa20f             ; CPUID at linear 0xfffffffe
        mov dword [0], 0x64e6feb0               ; MOV AL, 0xfe; OUT 0x64, AL at 0
        mov eax, cr4
        or eax, 0x10                            ; PSE
        mov cr4, eax
        mov eax, PAGE_DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        xor eax, eax
        mov edx, 0xfffffffe
        jmp edx

section .note.pvh note alloc noexec nowrite align=4
        dd 4, 8, 18
        db "Xen", 0
        dq pvh_entry

section .note.GNU-stack noalloc noexec nowrite progbits
