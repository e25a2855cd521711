; SPDX-License-Identifier: MIT
; From GRUB to C: the multiboot2 header, the 32-bit entry (Multiboot2 Specification 2.0, section
; 3.3), long mode, the higher half. What the boot processor needs before the first line of C: boot
; page tables, a stack with a guard page, zeroed BSS, flat 64-bit segments.

KERNEL_BASE     equ 0xffffffff80000000
BOOT_STACK_SIZE equ 16384

COM1            equ 0x3f8

%define physical(symbol) (symbol - KERNEL_BASE)

extern kernel_main
extern bss_start
extern bss_end

; ---- Multiboot2 header ------------------------------------------------------------------------
section .multiboot2 progbits alloc noexec nowrite align=8
header_start:
        dd 0xe85250d6                           ; magic
        dd 0                                    ; architecture: i386, protected mode
        dd header_end - header_start
        dd 0x100000000 - (0xe85250d6 + (header_end - header_start))

        align 8
.information_request:                           ; required: command line, modules, memory map
        dw 1, 0
        dd .information_request_end - .information_request
        dd 1, 3, 6
.information_request_end:

        align 8
.information_optional:                          ; welcome: framebuffer, ACPI RSDP old and new
        dw 1, 1
        dd .information_optional_end - .information_optional
        dd 8, 14, 15
.information_optional_end:

        align 8
        dw 6, 0                                 ; modules page-aligned
        dd 8

        align 8
        dw 5, 1                                 ; a framebuffer, if there is one; text is welcome
        dd 20
        dd 0, 0, 0

        align 8
        dw 0, 0
        dd 8
header_end:

; ---- 32-bit entry -----------------------------------------------------------------------------
section .boot progbits alloc exec nowrite align=16
bits 32
global boot_entry
boot_entry:
        cli
        cld
        mov ebp, eax                            ; magic
        mov esi, ebx                            ; multiboot2 information
        mov esp, physical(boot_stack_end)

        ; The BSS is ours to clear: nothing below may rely on the loader for it.
        mov edi, physical(bss_start)
        mov ecx, physical(bss_end)
        sub ecx, edi
        shr ecx, 2
        xor eax, eax
        rep stosd

        mov eax, 0x80000000
        cpuid
        cmp eax, 0x80000001
        jb no_long_mode
        mov eax, 0x80000001
        cpuid
        bt edx, 29                              ; LM
        jnc no_long_mode
        bt edx, 20                              ; NX
        jnc no_execute_disable

        ; The first 4 GiB, with 2 MiB pages, three times: at 0 for the next few instructions, at
        ; the direct map (kernel/mm/phys.h) and (its first GiB) at KERNEL_BASE.
        ; kernel/mm/paging.c replaces it all.
        mov edi, physical(boot_pd)
        mov eax, 0x83                           ; present, writable, 2 MiB
        mov ecx, 4 * 512
.map:   mov [edi], eax
        add edi, 8
        add eax, 0x200000
        loop .map
        mov edi, physical(boot_pdpt)
        mov eax, physical(boot_pd) + 3
        mov ecx, 4
.link:  mov [edi], eax
        add edi, 8
        add eax, 4096
        loop .link
        mov dword [physical(boot_pdpt_high) + 510 * 8], physical(boot_pd) + 3
        mov dword [physical(boot_pml4)], physical(boot_pdpt) + 3
        mov dword [physical(boot_pml4) + 256 * 8], physical(boot_pdpt) + 3
        mov dword [physical(boot_pml4) + 511 * 8], physical(boot_pdpt_high) + 3

        mov eax, 1 << 5                         ; PAE, and nothing that the firmware left (LA57)
        mov cr4, eax
        mov eax, physical(boot_pml4)
        mov cr3, eax
        mov ecx, 0xc0000080                     ; EFER
        rdmsr
        or eax, 1 << 8 | 1 << 11                ; LME, NXE
        wrmsr
        mov eax, cr0
        or eax, 1 << 31 | 1 << 16 | 1 << 5 | 1  ; PG, WP, NE, PE
        mov cr0, eax
        lgdt [boot_gdtr]
        jmp 0x08:long_mode

; A processor without long mode gets its answer on COM1, which is all that can be done here.
no_long_mode:
        mov esi, text_no_long_mode
        jmp refuse
no_execute_disable:
        mov esi, text_no_execute_disable
refuse:
        mov dx, COM1 + 3                        ; LCR: 8N1, DLAB
        mov al, 0x83
        out dx, al
        mov dx, COM1                            ; 115,200 baud
        mov al, 1
        out dx, al
        inc dx
        mov al, 0
        out dx, al
        mov dx, COM1 + 3
        mov al, 0x03
        out dx, al
.next:  lodsb
        test al, al
        jz .sent
        mov bl, al
        mov ecx, 0x100000                       ; no wait is unbounded: the port may be absent
        mov dx, COM1 + 5
.wait:  in al, dx
        test al, 0x40                           ; TEMT: the last bit has left
        jnz .ready
        loop .wait
.ready: mov dx, COM1
        mov al, bl
        out dx, al
        jmp .next
.sent:  mov ecx, 0x100000
        mov dx, COM1 + 5
.last:  in al, dx
        test al, 0x40
        jnz .halt
        loop .last
        ; Bochs ends at this word on its port 0x8900; other machines do not hear it.
.halt:  mov esi, text_shutdown
        mov dx, 0x8900
        mov ecx, 8
        rep outsb
.stop:  hlt
        jmp .stop

text_no_long_mode:
        db '[    0.000000] cpu0 atoll: refused: the processor has no long mode '
        db '(CPUID 0x80000001 EDX bit 29)', 13, 10, 0
text_no_execute_disable:
        db '[    0.000000] cpu0 atoll: refused: the processor has no execute-disable '
        db '(CPUID 0x80000001 EDX bit 20)', 13, 10, 0
text_shutdown:
        db 'Shutdown'

align 8
boot_gdt:
        dq 0
        dq 0x00af9b000000ffff                   ; 64-bit code
        dq 0x00cf93000000ffff                   ; data
boot_gdtr:
        dw boot_gdtr - boot_gdt - 1
        dd boot_gdt

bits 64
long_mode:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        xor eax, eax
        mov fs, ax
        mov gs, ax
        mov rax, higher_half
        jmp rax

section .text progbits alloc exec nowrite align=16
higher_half:
        mov rsp, boot_stack_end
        mov edi, ebp                            ; magic, as GRUB gave it
        mov esi, esi                            ; information, upper half cleared
        xor ebp, ebp                            ; the backtrace ends here
        call kernel_main
.stop:  cli
        hlt
        jmp .stop

; ---- Boot page tables and the boot processor's stack ------------------------------------------
; boot_pml4 serves the other processors on their way up too (kernel/cpu/trampoline.asm).
section .bss nobits alloc noexec write align=4096
global boot_pml4, boot_stack_guard, boot_stack_end
boot_pml4:      resb 4096
boot_pdpt:      resb 4096
boot_pdpt_high: resb 4096
boot_pd:        resb 4 * 4096
boot_stack_guard: resb 4096                     ; left unmapped by kernel/mm/paging.c
                resb BOOT_STACK_SIZE
boot_stack_end:

section .note.GNU-stack noalloc noexec nowrite progbits
