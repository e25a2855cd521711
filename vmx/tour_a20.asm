; SPDX-License-Identifier: MIT
; Where a processor can stand while A20 is masked: address bit 20 is then 0 in every access, page
; walks included. The image lies where that bit is clear (kernel/kernel.ld); stacks, final page
; tables and per-CPU blocks do not. tour_on_image(function, argument) calls `function` on the boot
; page tables, on a stack and a GDT in the image, and returns what it returns.
;
; Interrupts are off. The TSS stays where it was, so an NMI would end badly here: none is sent but
; in a panic.

KERNEL_BASE equ 0xffffffff80000000
STACK_SIZE  equ 4096

extern boot_pml4

section .rodata progbits alloc noexec nowrite align=8
image_gdt:                                      ; the selectors of cpu.h, accessed: not written to
        dq 0
        dq 0x00af9b000000ffff                   ; 64-bit code
        dq 0x00cf93000000ffff                   ; data
image_gdtr:
        dw image_gdtr - image_gdt - 1
        dq image_gdt

section .bss nobits alloc noexec write align=16
                resb STACK_SIZE
image_stack_end:

section .text progbits alloc exec nowrite align=16
global tour_on_image
tour_on_image:
        push rbp
        push rbx
        mov rbp, rsp
        sub rsp, 16
        sgdt [rbp - 16]
        mov rbx, cr3

        mov rsp, image_stack_end                ; mapped by both: the order matters
        lgdt [abs image_gdtr]                   ; read at the next reload, which only IRETQ does
        mov eax, boot_pml4 - KERNEL_BASE
        mov cr3, rax

        mov rax, rdi
        mov rdi, rsi
        call rax

        mov cr3, rbx
        lgdt [rbp - 16]
        mov rsp, rbp
        pop rbx
        pop rbp
        ret

section .note.GNU-stack noalloc noexec nowrite progbits
