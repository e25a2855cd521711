; SPDX-License-Identifier: MIT
; Out of long mode and back (SDM Vol. 3A 9.9), and what some cases do there. modes.h says what each
; routine is for. All of it lies below 1 MiB, on pages that are mapped to themselves.

CODE64 equ 0x08
DATA   equ 0x10
CODE32 equ 0x18
CODE16 equ 0x20
DATA16 equ 0x28
TSS1   equ 0x30
TSS2   equ 0x38

CR0_PE   equ 1 << 0
CR0_PG   equ 1 << 31
MSR_EFER equ 0xc0000080
EFER_LME equ 1 << 8
RFLAGS_NT equ 1 << 14
LEAF     equ 0x40000000

global run32, run16
global cpuid32, vm_call32, pae_bad, triple32, task_jump, task_gate, task_return
global start32, start_registers
global cpuid16, vm_call16, triple16

section .data
align 16
gdt:
    dq 0
    dq 0x00af9b000000ffff               ; 64-bit code
    dq 0x00cf93000000ffff               ; data
    dq 0x00cf9b000000ffff               ; 32-bit code
    dq 0x00009b000000ffff               ; 16-bit code, its base is written below
    dq 0x000093000000ffff               ; 16-bit data
    dq 0x0000890000000067               ; two TSSs, their bases are written below
    dq 0x0000890000000067
.end:
gdt_pointer:
    dw gdt.end - gdt - 1
    dq gdt
no_idt:
    dw 0
    dq 0
align 8
idt32:                                  ; #GP alone
    times 13 dq 0
    dq 0
.end:
idt32_pointer:
    dw idt32.end - idt32 - 1
    dd idt32
task_idt:                               ; vector 0: a task gate
    dq (0x85 << 40) | (TSS2 << 16)
.end:
task_idt_pointer:
    dw task_idt.end - task_idt - 1
    dd task_idt

section .bss
alignb 8
old_gdt:  resb 16
old_idt:  resb 16
old_rsp:  resq 1
old_cr3:  resd 1
routine:  resd 1
result:   resd 1
by_16:    resd 1
start_registers: resd 13
start_stack: resd 16
.end:
alignb 4096
bad_pdpt: resb 32
alignb 128
tss1:     resb 104
alignb 128
tss2:     resb 104

section .text
bits 64
default rel

%macro set_base 1                       ; the base of the descriptor %1 is RAX
    mov [gdt + %1 + 2], ax
    mov rcx, rax
    shr rcx, 16
    mov [gdt + %1 + 4], cl
    mov [gdt + %1 + 7], ch
%endmacro

run16:
    mov dword [by_16], 1
    jmp run
run32:
    mov dword [by_16], 0
run:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    pushf
    cli
    mov [routine], edi
    sgdt [old_gdt]
    sidt [old_idt]
    mov rax, cr3
    mov [old_cr3], eax
    mov [old_rsp], rsp
    lea rax, [segment16]
    set_base CODE16
    lea rax, [tss1]
    set_base TSS1
    lea rax, [tss2]
    set_base TSS2
    mov byte [gdt + TSS1 + 5], 0x89     ; not busy
    mov byte [gdt + TSS2 + 5], 0x89
    lgdt [gdt_pointer]
    lidt [no_idt]
    push CODE32
    lea rax, [compatible]
    push rax
    retfq

back64:
    mov rsp, [old_rsp]
    lgdt [old_gdt]
    lidt [old_idt]
    mov ecx, DATA
    mov ds, ecx
    mov es, ecx
    mov ss, ecx
    mov eax, [result]
    popf
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

bits 32
compatible:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax                        ; 32-bit mode without paging
    mov ebp, [routine]
    cmp dword [by_16], 0
    jne to_16
    call ebp
    mov [result], eax
back32:
    mov eax, [old_cr3]
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax                        ; EFER.LME is set: long mode again
    jmp CODE64:back64
to_16:
    sub ebp, segment16
    jmp CODE16:enter16 - segment16

from16:
    mov ecx, DATA
    mov ds, ecx
    mov es, ecx
    mov ss, ecx
    mov [result], eax
    jmp back32

cpuid32:
    mov eax, LEAF
    cpuid
    mov eax, ebx
    ret

vm_call32:
    mov eax, 2                          ; ATOLL_CALL_EXIT
    mov edi, 1
    vmcall
    ret

triple32:
    ud2

pae_bad:
    mov ecx, MSR_EFER
    rdmsr
    and eax, ~EFER_LME
    wrmsr
    mov eax, bad_gp
    mov word [idt32 + 13 * 8], ax
    mov word [idt32 + 13 * 8 + 2], CODE32
    mov word [idt32 + 13 * 8 + 4], 0x8e00
    shr eax, 16
    mov word [idt32 + 13 * 8 + 6], ax
    lidt [idt32_pointer]
    mov dword [bad_pdpt], 0x1e7         ; present, and bits that must be 0
    mov eax, bad_pdpt
    mov cr3, eax
    xor esi, esi
    mov edi, esp
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax                        ; #GP
    jmp $                               ; not here: it would have no pages
bad_gp:
    mov esp, edi
    inc esi
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME
    wrmsr
    mov eax, esi
    ret

task_jump:
    mov eax, TSS1
    ltr ax
    jmp TSS2:0

task_gate:
    mov eax, TSS1
    ltr ax
    lidt [task_idt_pointer]
    int 0
    ret

task_return:
    mov eax, TSS1
    ltr ax
    mov word [tss1], TSS2               ; the link to the task before, which is busy
    mov byte [gdt + TSS2 + 5], 0x8b
    pushfd
    or dword [esp], RFLAGS_NT
    popfd
    iretd

start32:
    mov [start_registers + 0 * 4], eax
    mov [start_registers + 1 * 4], ebx
    mov [start_registers + 2 * 4], ecx
    mov [start_registers + 3 * 4], edx
    mov [start_registers + 4 * 4], esi
    mov [start_registers + 5 * 4], edi
    mov [start_registers + 6 * 4], ebp
    mov [start_registers + 7 * 4], esp
    mov eax, cr0
    mov [start_registers + 8 * 4], eax
    mov eax, cr3
    mov [start_registers + 9 * 4], eax
    mov eax, cr4
    mov [start_registers + 10 * 4], eax
    mov esp, start_stack.end
    pushfd
    pop dword [start_registers + 11 * 4]
    mov dword [start_registers + 12 * 4], 1
.halted:
    hlt
    jmp .halted

bits 16
align 16
segment16:
enter16:
    mov ecx, DATA16
    mov ds, ecx
    mov es, ecx
    mov eax, cr0
    and eax, ~CR0_PE
    mov cr0, eax                        ; CS keeps its base until the next far jump
    call bp
    mov ecx, eax
    mov edx, cr0
    or edx, CR0_PE
    mov cr0, edx
    mov eax, ecx
    jmp dword CODE32:from16

cpuid16:
    mov eax, LEAF
    cpuid
    mov eax, ebx
    ret

vm_call16:
    mov eax, 2
    mov edi, 1
    vmcall
    ret

triple16:
    o32 lidt [cs:no_idt16 - segment16]
    int3
    ret
no_idt16:
    dw 0
    dd 0

section .note.GNU-stack noalloc noexec nowrite progbits
