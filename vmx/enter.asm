; SPDX-License-Identifier: MIT
; Into the guest and back. vmx_enter(struct vmx_vcpu *) loads the guest's general registers and
; enters by VMLAUNCH or VMRESUME. Each exit calls vcpu->on_exit(vcpu) on the host's stack: when that
; returns, so does vmx_enter, with 0 in EAX. vmx_resume(vcpu), called from there, enters again
; instead. 1 or 2 in EAX: VMfailInvalid or VMfailValid (SDM 26, 27, 30.2).

; struct vmx_vcpu (asserted in run.c)
GPR      equ 0                                  ; in the order of encoding: RAX RCX RDX RBX ...
HOST_RSP equ 128
ON_EXIT  equ 136
LAUNCHED equ 156

VMCS_HOST_RSP equ 0x6c14                        ; SDM Appendix B

; All of the guest's general registers but RSP, from the vCPU at RDI.
%macro load_guest 0
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
%endmacro

section .text progbits alloc exec nowrite align=16
global vmx_enter, vmx_resume, vmx_exit, vmx_forget

vmx_enter:
        push rbp
        push rbx
        push r12
        push r13
        push r14
        push r15
        push rdi                                ; RSP is a multiple of 16: on_exit is called like this
        cmp rsp, [rdi + HOST_RSP]
        jne new_host_rsp
host_rsp_set:
        cmp byte [rdi + LAUNCHED], 0
        jne vmx_resume
        mov byte [rdi + LAUNCHED], 1            ; vmx_run takes it back where it is not
        load_guest
        vmlaunch
        jmp vmfail

align 16
vmx_resume:
        mov rsp, [rdi + HOST_RSP]               ; what on_exit has on the stack is over
        load_guest
        vmresume
        jmp vmfail

new_host_rsp:                                   ; the first entry on this stack
        mov [rdi + HOST_RSP], rsp
        mov eax, VMCS_HOST_RSP
        vmwrite rax, rsp
        ja host_rsp_set
vmfail:                                         ; CF: VMfailInvalid, ZF: VMfailValid
        mov eax, 1
        jc restore_host
        mov eax, 2
        jmp restore_host

; HOST_RIP. RSP is HOST_RSP: the vCPU's address lies on top.
align 16
vmx_exit:
        push rdi
        mov rdi, [rsp + 8]
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
        call [rdi + ON_EXIT]
        xor eax, eax
restore_host:
        add rsp, 8
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        pop rbp
        ret

; vmx_forget(vcpu, a, b, handler) goes on with handler(vcpu, a, b): no value of the guest stays in a
; register.
vmx_forget:
        xor eax, eax
        xor ebx, ebx
        xor ebp, ebp
        xor r8d, r8d
        xor r9d, r9d
        xor r10d, r10d
        xor r11d, r11d
        xor r12d, r12d
        xor r13d, r13d
        xor r14d, r14d
        xor r15d, r15d
        jmp rcx

section .note.GNU-stack noalloc noexec nowrite progbits
