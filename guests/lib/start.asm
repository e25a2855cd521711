; SPDX-License-Identifier: MIT
; The way into a guest: the PVH entry (Xen's docs/misc/pvh.pandoc), identity page tables for the
; first 4 GiB, long mode (SDM Vol. 3A 9.8.5), then atoll_main(start_info) in start.c. Further vCPUs
; take the second half of the way (trampoline.asm).

XEN_ELFNOTE_PHYS32_ENTRY equ 18         ; xen/elfnote.h
HVM_START_MAGIC          equ 0x336ec578 ; xen/arch-x86/hvm/start_info.h

CR0_PE equ 1 << 0
CR0_MP equ 1 << 1
CR0_EM equ 1 << 2
CR0_TS equ 1 << 3
CR0_NE equ 1 << 5
CR0_WP equ 1 << 16
CR0_NW equ 1 << 29
CR0_CD equ 1 << 30
CR0_PG equ 1 << 31

CR4_PAE        equ 1 << 5
CR4_OSFXSR     equ 1 << 9
CR4_OSXMMEXCPT equ 1 << 10

MSR_EFER equ 0xc0000080
EFER_SCE equ 1 << 0
EFER_LME equ 1 << 8
EFER_NXE equ 1 << 11

CPUID_EXTENDED equ 0x80000001
CPUID_NX_BIT   equ 20                   ; in EDX

PTE_P   equ 1 << 0
PTE_W   equ 1 << 1
PTE_U   equ 1 << 2
PTE_PS  equ 1 << 7
PTE_NX_HIGH equ 1 << 31                 ; of the high half

CODE64 equ 0x08
DATA   equ 0x10

STACK_SIZE equ 64 * 1024

extern atoll_main
extern text_start, text_end, rodata_start, rodata_end
global pvh_entry, guest_gdt, guest_page_table, guest_stack_guard
global enter_long_mode, guest_efer, guest_gdt_pointer

section .note.pvh note alloc noexec nowrite align=4
    dd .name_end - .name
    dd 8
    dd XEN_ELFNOTE_PHYS32_ENTRY
.name:
    db "Xen", 0
.name_end:
    align 4, db 0
    dq pvh_entry

section .text
bits 32
pvh_entry:
    cli
    cld
    cmp dword [ebx], HVM_START_MAGIC
    jne .stop
    mov esi, ebx                        ; CPUID overwrites EBX

    ; EBP: the high half of an entry that must not be executed, EDI: the bits of EFER
    xor ebp, ebp
    mov edi, EFER_LME | EFER_SCE
    mov eax, CPUID_EXTENDED
    cpuid
    bt edx, CPUID_NX_BIT
    jnc .tables
    mov ebp, PTE_NX_HIGH
    or edi, EFER_NXE

.tables:
    ; The upper levels allow everything: the leaves decide.
    mov dword [pml4], pdpt + (PTE_P | PTE_W | PTE_U)
    mov eax, page_directories + (PTE_P | PTE_W | PTE_U)
    xor ecx, ecx
.pdpt:
    mov [pdpt + ecx * 8], eax
    add eax, 0x1000
    inc ecx
    cmp ecx, 4
    jne .pdpt

    mov eax, PTE_P | PTE_W | PTE_PS
    xor ecx, ecx
.directories:
    mov [page_directories + ecx * 8], eax
    mov [page_directories + ecx * 8 + 4], ebp
    add eax, 0x200000
    inc ecx
    cmp ecx, 4 * 512
    jne .directories

    ; The image lies in the first 2 MiB, which have 4 KiB pages: text RX, rodata R, all else RW.
    mov dword [page_directories], guest_page_table + (PTE_P | PTE_W | PTE_U)
    mov dword [page_directories + 4], 0
    xor eax, eax
    xor ecx, ecx
.pages:
    mov edx, PTE_P
    cmp eax, text_start
    jb .data
    cmp eax, text_end
    jb .text
    cmp eax, rodata_start
    jb .data
    cmp eax, rodata_end
    jb .rodata
.data:
    or edx, PTE_W
.rodata:
    mov [guest_page_table + ecx * 8 + 4], ebp
.text:
    or edx, eax
    mov [guest_page_table + ecx * 8], edx
    add eax, 0x1000
    inc ecx
    cmp ecx, 512
    jne .pages

    mov [guest_efer], edi
    mov ebx, boot_vcpu
    jmp enter_long_mode

.stop:                                  ; not a PVH entry: nothing can be said, not even why
    hlt
    jmp .stop

; From flat 32-bit protected mode to 64-bit mode at EBX, without a stack, with ESI as it was. EDI:
; the bits to set in EFER. The page tables are there.
enter_long_mode:
    mov eax, pml4
    mov cr3, eax
    mov eax, cr4
    or eax, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT
    mov cr4, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, edi
    wrmsr
    mov eax, cr0
    and eax, ~(CR0_EM | CR0_TS | CR0_NW | CR0_CD) ; INIT leaves the last two set
    or eax, CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG
    mov cr0, eax
    lgdt [guest_gdt_pointer]
    jmp CODE64:long_mode

bits 64
default rel
long_mode:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    lldt ax
    mov esi, esi                        ; the high halves are undefined (SDM Vol. 1 3.4.1.1)
    mov ebx, ebx
    jmp rbx

boot_vcpu:
    lea rsp, [stack_top]
    mov rdi, rsi
    xor ebp, ebp
    call atoll_main
    ud2

section .data
align 16
guest_gdt:
    dq 0
    dq 0x00af9b000000ffff               ; 0x08 64-bit code
    dq 0x00cf93000000ffff               ; 0x10 data
    dq 0x00cf9b000000ffff               ; 0x18 32-bit code
    dq 0x00cff3000000ffff               ; 0x20 data of CPL 3
    dq 0x00affb000000ffff               ; 0x28 64-bit code of CPL 3
    dq 0, 0                             ; 0x30 the TSS, in each vCPU's copy (exceptions.c)
.end:
guest_gdt_pointer:
    dw guest_gdt.end - guest_gdt - 1
    dd guest_gdt

align 4
guest_efer:                             ; what further vCPUs set
    dd 0

section .bss.tables nobits alloc noexec write align=4096
pml4:
    resb 4096
pdpt:
    resb 4096
page_directories:
    resb 4 * 4096
guest_page_table:                       ; of the first 2 MiB
    resb 4096
guest_stack_guard:                      ; start.c takes this page away
    resb 4096
    resb STACK_SIZE
stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
