; SPDX-License-Identifier: MIT
; The way up of an application processor (SDM Vol. 3A, 8.4): real mode on a page below 1 MiB, on to
; long mode on the boot page tables, then to its own block and stack. The code between
; trampoline_start and trampoline_end is copied; it finds itself through CS.
;
; A processor finds its block by its APIC id, not by what the starter wrote last: one that answers
; late cannot take another one's stack.

KERNEL_BASE equ 0xffffffff80000000

; struct cpu (asserted in cpu.c)
CPU_APIC_ID   equ 12
CPU_STACK_TOP equ 16
CPU_STATE     equ 24
CPU_STARTING  equ 0
CPU_ANSWERED  equ 1

extern boot_pml4
extern cpus
extern cpus_count
extern ap_page_root
extern ap_main

section .rodata progbits alloc noexec nowrite align=16
global trampoline_start, trampoline_end
bits 16
trampoline_start:
        cli
        cld
        mov ax, cs
        mov ds, ax
        movzx ebx, ax
        shl ebx, 4                              ; where this page is
        lea eax, [ebx + trampoline_gdt - trampoline_start]
        mov [trampoline_gdtr - trampoline_start + 2], eax
        lea eax, [ebx + in_protected_mode - trampoline_start]
        mov [far_protected - trampoline_start], eax
        o32 lgdt [trampoline_gdtr - trampoline_start]
        mov eax, cr0
        and eax, ~(1 << 30 | 1 << 29)           ; INIT leaves CD and NW set
        or eax, 1
        mov cr0, eax
        jmp far dword [far_protected - trampoline_start]

bits 32
in_protected_mode:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov eax, 1 << 5                         ; PAE
        mov cr4, eax
        mov eax, boot_pml4 - KERNEL_BASE
        mov cr3, eax
        mov ecx, 0xc0000080                     ; EFER
        rdmsr
        or eax, 1 << 8 | 1 << 11                ; LME, NXE
        wrmsr
        mov eax, cr0
        or eax, 1 << 31 | 1 << 16 | 1 << 5      ; PG, WP, NE
        mov cr0, eax
        lea eax, [ebx + in_long_mode - trampoline_start]
        mov [ebx + far_long - trampoline_start], eax
        jmp far dword [ebx + far_long - trampoline_start]

bits 64
in_long_mode:
        mov rax, ap_higher_half
        jmp rax

align 8
trampoline_gdt:
        dq 0
        dq 0x00cf9b000000ffff                   ; 32-bit code
        dq 0x00cf93000000ffff                   ; data
        dq 0x00af9b000000ffff                   ; 64-bit code
trampoline_gdtr:
        dw trampoline_gdtr - trampoline_gdt - 1
        dd 0
far_protected:
        dd 0
        dw 0x08
far_long:
        dd 0
        dw 0x18
trampoline_end:

section .text progbits alloc exec nowrite align=16
ap_higher_half:
        mov rax, [abs qword ap_page_root]
        mov cr3, rax

        ; My APIC id, all 32 bits where leaf 0xb has them (SDM Vol. 2A, CPUID).
        xor eax, eax
        cpuid
        cmp eax, 0xb
        jb .short_id
        mov eax, 0xb
        xor ecx, ecx
        cpuid
        test ebx, ebx
        jnz .find
.short_id:
        mov eax, 1
        cpuid
        mov edx, ebx
        shr edx, 24
.find:
        mov rsi, cpus
        mov rdi, cpus_count
        mov ecx, [rdi]
.next:  dec ecx
        js .halt                                ; nobody waits for me
        mov rbx, [rsi + rcx * 8]
        cmp [rbx + CPU_APIC_ID], edx
        jne .next

        mov eax, CPU_STARTING
        mov ecx, CPU_ANSWERED
        lock cmpxchg [rbx + CPU_STATE], ecx
        jne .halt                               ; too late: left out
        mov rsp, [rbx + CPU_STACK_TOP]
        xor ebp, ebp
        mov rdi, rbx
        mov rax, ap_main
        call rax
.halt:  cli
        hlt
        jmp .halt

section .note.GNU-stack noalloc noexec nowrite progbits
