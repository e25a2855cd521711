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
USER32 equ 0x43
USER_DATA equ 0x4b
TSS16  equ 0x50
SDK_TSS equ 0x30                        ; in the GDT of start.asm

CR0_PE   equ 1 << 0
CR0_AM   equ 1 << 18
CR0_PG   equ 1 << 31
MSR_EFER equ 0xc0000080
MSR_GS_BASE equ 0xc0000101
EFER_LME equ 1 << 8
CR4_PAE  equ 1 << 5
CR4_OSXSAVE equ 1 << 18
RFLAGS_IOPL3 equ 3 << 12
RFLAGS_NT equ 1 << 14
RFLAGS_VM equ 1 << 17
RFLAGS_AC equ 1 << 18
LEAF     equ 0x40000000
SIGNATURE equ 'Atol'
ATOLL_CALL_NULL equ 0
ATOLL_CALL_EXIT equ 2
EPERM    equ 1
GP       equ 13                         ; vectors
AC       equ 17
VM86_BACK equ 0x20
GATE     equ 0x8e
USER_GATE equ 0xee
MARK     equ 0x55aa33cc
PAGE_2M  equ 0x83                       ; present, writable
MSR_ICR  equ 0x830
NMI_SELF equ 0x4400                     ; to APIC 0

global run32, run16, run_protected16, entry_rax, entry_rest
global vm_call32, pae_bad, pae_bad_cr3, triple32, long_with_tss16, walk, alignment_loop
global task_jump, task_call, task_gate, task_return, task_nmi, task_nmi_user, at_user
global start32, start_registers, start_wide, start_cr3
global vm_call16, triple16, edge16, real_mode_idt, edge_handler, segment16

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
    dq 0x00cffb000000ffff               ; 32-bit code and data of CPL 3
    dq 0x00cff3000000ffff
    dq 0x0000810000000067               ; a 16-bit TSS
.end:
gdt_pointer:
    dw gdt.end - gdt - 1
    dq gdt
no_idt:
    dw 0
    dq 0
align 8
idt32:                                  ; filled by set_gate
    times VM86_BACK + 1 dq 0
.end:
idt32_pointer:
    dw idt32.end - idt32 - 1
    dd idt32
task_idt:                               ; vectors 0 and 2: task gates
    dq (0x85 << 40) | (TSS2 << 16)
    dq 0
    dq (0x85 << 40) | (TSS2 << 16)
.end:
task_idt_pointer:
    dw task_idt.end - task_idt - 1
    dd task_idt

mark:
    dd MARK
entry_rax:
    dq 0
entry_rest:
    dq 0

section .bss
alignb 8
start_wide: resq 13
start_cr3: resq 1
old_gdt:  resb 16
old_idt:  resb 16
old_rsp:  resq 1
old_cr3:  resd 1
old_gs:   resd 1
routine:  resd 1
result:   resd 1
by_16:    resd 1
walk_esp: resd 1
at_user:  resd 1
start_registers: resd 48
start_stack: resd 16
.end:
user_stack: resd 64
.end:
alignb 16
real_mode_idt: resd 256
alignb 4096
good_directory: resb 4096
bad_pdpt: resb 32
good_pdpt: resb 32
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
run_protected16:
    mov dword [by_16], 2
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
    mov ecx, MSR_GS_BASE                ; vm86 sets it
    rdmsr
    mov [old_gs], eax
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
    mov rax, [entry_rax]
    mov rsi, [entry_rest]
    mov rdi, rsi
    mov rbx, rsi
    mov rdx, rsi
    mov r8, rsi
    mov r9, rsi
    mov r10, rsi
    mov r11, rsi
    retfq

back64:
    mov rsp, [old_rsp]
    lgdt [old_gdt]
    lidt [old_idt]
    mov rax, [old_gdt + 2]              ; TR may be one of those above
    and byte [rax + SDK_TSS + 5], ~2    ; not busy
    mov ecx, SDK_TSS
    ltr cx
    mov ecx, DATA
    mov ds, ecx
    mov es, ecx
    mov ss, ecx
    mov ecx, MSR_GS_BASE
    mov eax, [old_gs]
    xor edx, edx
    wrmsr
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
compatible:                             ; the routines get all but ECX and EBP as they were
    mov ecx, DATA
    mov ds, ecx
    mov es, ecx
    mov ss, ecx
    mov ecx, cr0
    and ecx, ~CR0_PG
    mov cr0, ecx                        ; 32-bit mode without paging
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
    cmp dword [by_16], 2
    je .protected
    jmp CODE16:enter16 - segment16
.protected:
    jmp CODE16:enter_protected16 - segment16

from16:
    mov ecx, DATA
    mov ds, ecx
    mov es, ecx
    mov ss, ecx
    mov [result], eax
    jmp back32

vm_call32:
    vmcall
    ret

triple32:
    ud2

%macro set_gate 4                       ; vector, handler, type, CS
    mov eax, %2
    mov word [idt32 + %1 * 8], ax
    mov dword [idt32 + %1 * 8 + 2], %3 << 24 | %4
    shr eax, 16
    mov word [idt32 + %1 * 8 + 6], ax
    lidt [idt32_pointer]
%endmacro

%macro set_bits 2                       ; CR0 or the like, bits
    mov eax, %1
    or eax, %2
    mov %1, eax
%endmacro

%macro clear_bits 2
    mov eax, %1
    and eax, ~(%2)
    mov %1, eax
%endmacro

; Long mode is left for good until paging_off.
pae_paging_on:
    mov ecx, MSR_EFER
    rdmsr
    and eax, ~EFER_LME
    wrmsr
    mov dword [good_directory], PAGE_2M
    mov dword [good_pdpt], good_directory + 1
    mov eax, good_pdpt
    mov cr3, eax
    set_bits cr0, CR0_PG
    ret

paging_off:
    clear_bits cr0, CR0_PG
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME
    wrmsr
    ret

; Those that #GP must end: 1, behind which nothing of it is left.
pae_bad:
    xor esi, esi
    mov edi, esp
    set_gate GP, bad_gp, GATE, CODE32
    mov ecx, MSR_EFER
    rdmsr
    and eax, ~EFER_LME
    wrmsr
    mov dword [bad_pdpt], 0x1e7         ; present, and bits that must be 0
    mov eax, bad_pdpt
    mov cr3, eax
    set_bits cr0, CR0_PG                ; #GP
    jmp $                               ; not here: it would have no pages

pae_bad_cr3:
    xor esi, esi
    mov edi, esp
    set_gate GP, bad_gp, GATE, CODE32
    call pae_paging_on
    mov dword [bad_pdpt], 0x1e7
    mov eax, bad_pdpt
    mov cr3, eax                        ; #GP
    jmp $

long_with_tss16:
    xor esi, esi
    mov edi, esp
    set_gate GP, bad_gp, GATE, CODE32
    mov byte [gdt + TSS16 + 5], 0x81
    mov ecx, TSS16
    ltr cx
    mov eax, [old_cr3]
    mov cr3, eax
    set_bits cr0, CR0_PG                ; #GP
    jmp caught                          ; not here
bad_gp:
    mov esp, edi
    inc esi
caught:
    call paging_off
    mov byte [gdt + TSS1 + 5], 0x89
    mov ecx, TSS1                       ; with which long mode can be entered again
    ltr cx
    mov eax, esi
    ret

; CPL 3, AC, and an odd stack, which is that of #AC's handler too: its delivery is the next one.
alignment_loop:
    set_gate AC, .handler, USER_GATE, USER32
    set_bits cr0, CR0_AM
    push USER_DATA
    push user_stack.end - 1
    push RFLAGS_AC | 2
    push USER32
    push .user
    iretd
.handler:
    mov esp, user_stack.end - 1
.user:
    push eax
    jmp .user

; ---- Through all modes: ESI counts those in which CPUID answers and a call does as it should.

%macro visit 2                          ; a call, its result
    mov eax, LEAF
    cpuid
    cmp ebx, SIGNATURE
    jne %%wrong
    mov eax, %1
    mov edi, 1
    vmcall
    cmp eax, %2
    jne %%wrong
    inc esi
%%wrong:
%endmacro

%macro visit 0
    visit ATOLL_CALL_EXIT, -EPERM
%endmacro

walk:
    xor esi, esi
    visit                               ; 1: 32-bit mode without paging
    call pae_paging_on
    visit                               ; 2: PAE
    call paging_off
    mov ebp, segment16
    shr ebp, 4
    jmp CODE16:walk16 - segment16

walk_vm86:
    mov ecx, DATA
    mov ds, ecx
    mov es, ecx
    mov ss, ecx
    mov [walk_esp], esp
    mov [tss1 + 4], esp                 ; of CPL 0
    mov word [tss1 + 8], DATA
    mov byte [gdt + TSS1 + 5], 0x89
    mov ecx, TSS1
    ltr cx
    set_gate VM86_BACK, .back, USER_GATE, CODE32
    push dword 0                        ; GS, FS, DS, ES
    push dword 0
    push dword 0
    push dword 0
    push ebp                            ; SS:ESP
    push dword 0
    push RFLAGS_VM | RFLAGS_IOPL3 | 2
    push ebp                            ; CS:EIP
    push vm86_code - segment16
    iretd
.back:
    mov ecx, DATA
    mov ds, ecx
    mov es, ecx
    mov esp, [walk_esp]
    lidt [no_idt]
    visit                               ; 8: 32-bit mode again
    mov eax, [old_cr3]
    mov cr3, eax
    set_bits cr0, CR0_PG
    visit                               ; 9: compatibility mode
    jmp CODE64:walk64
bits 64
walk64:
    mov esp, esp
    visit ATOLL_CALL_NULL, 0            ; 10: 64-bit mode
    push CODE32
    lea rax, [.compatible]
    push rax
    retfq
bits 32
.compatible:
    visit                               ; 11
    clear_bits cr0, CR0_PG
    visit                               ; 12
    mov eax, esi
    ret

task_jump:
    mov eax, TSS1
    ltr ax
    jmp TSS2:0

task_call:
    mov eax, TSS1
    ltr ax
    call TSS2:0

task_nmi:
    mov eax, TSS1
    ltr ax
    lidt [task_idt_pointer]
    mov ecx, MSR_ICR
    mov eax, NMI_SELF
    xor edx, edx
    wrmsr
    jmp $

task_nmi_user:                          ; another vCPU sends it
    mov eax, TSS1
    ltr ax
    lidt [task_idt_pointer]
    mov dword [at_user], 1
    push USER_DATA
    push user_stack.end
    push dword 2
    push USER32
    push .user
    iretd
.user:
    jmp .user

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

%assign slot 0
%macro store 1                          ; a general register, or what is moved by EAX
    mov [start_registers + slot * 4], %1
  %assign slot slot + 1
%endmacro
%macro store_by_eax 1
    mov eax, %1
    store eax
%endmacro
%macro store_msr 1
    mov ecx, %1
    rdmsr
    store eax
    store edx
%endmacro

start32:
    store eax
    store ebx
    store ecx
    store edx
    store esi
    store edi
    store ebp
    store esp
    store_by_eax cr0
    store_by_eax cr3
    store_by_eax cr4
    mov esp, start_stack.end
    pushfd
    pop eax
    store eax
    store_by_eax cr2
    store_by_eax dr0
    store_by_eax dr1
    store_by_eax dr2
    store_by_eax dr3
    store_by_eax dr6
    store_by_eax dr7
    str eax
    store eax
    sldt eax
    store eax
    sub esp, 8
    mov dword [esp], 0
    mov dword [esp + 4], 0
    sgdt [esp + 2]
    pop eax
    shr eax, 16
    store eax
    pop eax
    store eax
    sub esp, 8
    sidt [esp + 2]
    pop eax
    shr eax, 16
    store eax
    pop eax
    store eax
    set_bits cr4, CR4_OSXSAVE
    xor ecx, ecx
    xgetbv
    store eax
    clear_bits cr4, CR4_OSXSAVE
    store_msr MSR_EFER
    store_msr 0xc0000100                ; FS and GS base
    store_msr 0xc0000101
    store_msr 0x174                     ; SYSENTER: CS, ESP, EIP
    store_msr 0x175
    store_msr 0x176
    ; to long mode by what is not looked at any more: EAX, ECX, EDX
    lgdt [gdt_pointer]
    set_bits cr4, CR4_PAE
    mov eax, [start_cr3]
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME | 1 << 11          ; NXE: the tables have it
    wrmsr
    set_bits cr0, CR0_PG
    jmp CODE64:.long
bits 64
.long:
    mov [start_wide + 0 * 8], rbx
    mov [start_wide + 1 * 8], rsi
    mov [start_wide + 2 * 8], rdi
    mov [start_wide + 3 * 8], rbp
    mov [start_wide + 4 * 8], r8
    mov [start_wide + 5 * 8], r9
    mov [start_wide + 6 * 8], r10
    mov [start_wide + 7 * 8], r11
    mov [start_wide + 8 * 8], r12
    mov [start_wide + 9 * 8], r13
    mov [start_wide + 10 * 8], r14
    mov [start_wide + 11 * 8], r15
    mov dword [start_registers + 47 * 4], 1
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

enter_protected16:
    mov ecx, DATA16
    mov ds, ecx
    mov es, ecx
    call bp
    jmp dword CODE32:from16

vm_call16:
    vmcall
    ret

; To DI:0xfffe, where the instruction's end is the segment's: #GP, with the IP it was pushed with
; below bit 16.
edge16:
    o32 lidt [cs:.real_mode_idt - segment16]
    push di
    push word 0xfffe
    retf
.real_mode_idt:
    dw 4 * 256 - 1
    dd real_mode_idt
edge_handler:
    pop cx
    add esp, 4
    movzx eax, cx
    or eax, 1 << 16
    ret

; EBP: the segment's own selector of real mode.
%macro to_real 1
    mov ecx, cr0
    and ecx, ~CR0_PE
    mov cr0, ecx
    push bp
    push word %1 - segment16
    retf
%endmacro

walk16:
    visit                               ; 3: 16-bit protected mode
    mov ecx, DATA16
    mov ds, ecx
    mov es, ecx
    to_real walk_real
walk_real:
    mov ds, bp
    visit                               ; 4: real mode
    mov ecx, cr0
    or ecx, CR0_PE
    mov cr0, ecx
    jmp CODE16:walk_again16 - segment16
walk_again16:
    mov ecx, DATA
    mov ds, ecx
    to_real walk_unreal
walk_unreal:
    visit                               ; 5: unreal mode
    cmp dword [dword mark], MARK        ; above 64 KiB
    jne .wrong
    inc esi                             ; 6
.wrong:
    mov ecx, cr0
    or ecx, CR0_PE
    mov cr0, ecx
    jmp dword CODE32:walk_vm86
vm86_code:
    visit                               ; 7: virtual-8086 mode
    int VM86_BACK

triple16:
    o32 lidt [cs:no_idt16 - segment16]
    int3
    ret
no_idt16:
    dw 0
    dd 0

section .note.GNU-stack noalloc noexec nowrite progbits
