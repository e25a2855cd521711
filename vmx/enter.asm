; SPDX-License-Identifier: MIT
; Into the guest and back: vmx_enter(struct vmx_vcpu *) loads the guest's general registers, enters
; by VMLAUNCH or VMRESUME, and returns at the next VM exit like a function call. Returns in EAX 0
; for an exit, 1 for VMfailInvalid, 2 for VMfailValid (SDM 26, 27, 30.2).

; struct vmx_vcpu (asserted in run.c)
GPR      equ 0                                  ; in the order of encoding: RAX RCX RDX RBX ...
HOST_RSP equ 128
LAUNCHED equ 148

VMCS_HOST_RSP equ 0x6c14                        ; SDM Appendix B

section .text progbits alloc exec nowrite align=16
global vmx_enter, vmx_exit

vmx_enter:
        push rbp
        push rbx
        push r12
        push r13
        push r14
        push r15
        push rdi
        cmp rsp, [rdi + HOST_RSP]
        jne .host_rsp
.host_rsp_set:
        cmp byte [rdi + LAUNCHED], 0
        mov rax, [rdi + GPR + 8 * 0]
        mov rcx, [rdi + GPR + 8 * 1]
        mov rdx, [rdi + GPR + 8 * 2]
        mov rbx, [rdi + GPR + 8 * 3]
        mov rbp, [rdi + GPR + 8 * 5]
        mov rsi, [rdi + GPR + 8 * 6]
        mov r8,  [rdi + GPR + 8 * 8]
        mov r9,  [rdi + GPR + 8 * 9]
        mov r10, [rdi + GPR + 8 * 10]
        mov r11, [rdi + GPR + 8 * 11]
        mov r12, [rdi + GPR + 8 * 12]
        mov r13, [rdi + GPR + 8 * 13]
        mov r14, [rdi + GPR + 8 * 14]
        mov r15, [rdi + GPR + 8 * 15]
        mov rdi, [rdi + GPR + 8 * 7]
        je .launch
        vmresume
        jmp .failed
.launch:
        vmlaunch
.failed:                                        ; CF: VMfailInvalid, ZF: VMfailValid
        mov eax, 1
        jc .out
        mov eax, 2
.out:
        add rsp, 8
        jmp restore_host

.host_rsp:                                      ; the first entry on this stack
        mov [rdi + HOST_RSP], rsp
        mov eax, VMCS_HOST_RSP
        vmwrite rax, rsp
        ja .host_rsp_set
        jmp .failed

; HOST_RIP. RSP is HOST_RSP: the vCPU's address lies on top.
vmx_exit:
        xchg rdi, [rsp]
        mov [rdi + GPR + 8 * 0], rax
        mov [rdi + GPR + 8 * 1], rcx
        mov [rdi + GPR + 8 * 2], rdx
        mov [rdi + GPR + 8 * 3], rbx
        mov [rdi + GPR + 8 * 5], rbp
        mov [rdi + GPR + 8 * 6], rsi
        pop qword [rdi + GPR + 8 * 7]
        mov [rdi + GPR + 8 * 8], r8
        mov [rdi + GPR + 8 * 9], r9
        mov [rdi + GPR + 8 * 10], r10
        mov [rdi + GPR + 8 * 11], r11
        mov [rdi + GPR + 8 * 12], r12
        mov [rdi + GPR + 8 * 13], r13
        mov [rdi + GPR + 8 * 14], r14
        mov [rdi + GPR + 8 * 15], r15
        xor eax, eax
        ; No value of the guest stays in a register: what the pops below do not overwrite is zeroed.
        xor ecx, ecx
        xor edx, edx
        xor esi, esi
        xor edi, edi
        xor r8d, r8d
        xor r9d, r9d
        xor r10d, r10d
        xor r11d, r11d
restore_host:
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        pop rbp
        ret

section .note.GNU-stack noalloc noexec nowrite progbits
