; SPDX-License-Identifier: MIT
; Where further vCPUs start: a page for SIPI, in real mode (SDM Vol. 3A 8.4.4), and behind it the
; entry of ATOLL_CALL_START_VCPU, in 32-bit protected mode. Both take the way of start.asm into long
; mode, then call vcpu_main(vcpu) in smp.c on the vCPU's stack.

CODE32 equ 0x18                         ; of guest_gdt
DATA   equ 0x10
CR0_PE equ 1 << 0

CPUID_INFO equ 0x40000001               ; ATOLL_CPUID_INFO: ECX is this vCPU's number

extern guest_gdt, guest_gdt_pointer, guest_efer, enter_long_mode, vcpu_table, vcpu_main
global vcpu_trampoline, vcpu_entry32

section .text.trampoline progbits alloc exec nowrite align=4096
bits 16
vcpu_trampoline:                        ; CS:IP is page << 8 : 0
    cli
    o32 lgdt [cs:.gdt_pointer - vcpu_trampoline]
    mov eax, cr0
    or al, CR0_PE
    mov cr0, eax
    jmp dword CODE32:vcpu_entry32
.gdt_pointer:
    dw 8 * 8 - 1
    dd guest_gdt

bits 32
vcpu_entry32:
    cli
    cld
    lgdt [cs:guest_gdt_pointer]
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, CPUID_INFO
    cpuid
    mov esi, [vcpu_table + ecx * 8]
    mov edi, [guest_efer]
    mov ebx, .long_mode
    jmp enter_long_mode

bits 64
.long_mode:
    mov rsp, [rsi + 8]                  ; struct vcpu: stack_top
    mov rdi, rsi
    xor ebp, ebp
    call vcpu_main
    ud2

section .note.GNU-stack noalloc noexec nowrite progbits
