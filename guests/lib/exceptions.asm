; SPDX-License-Identifier: MIT
; The 256 entry points of the IDT: each makes a struct exception_frame (exceptions.h) and calls
; exception_dispatch. C code may use SSE, so the interrupted code's registers are saved first.

extern exception_dispatch
global exception_stubs

; Vectors with an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC, #SX (SDM 6.15)
WITH_ERROR_CODE equ 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 \
                  | 1 << 21 | 1 << 29 | 1 << 30
FXSAVE_SIZE equ 512

section .text
bits 64
default rel

align 16
exception_stubs:                        ; 16 bytes each: exceptions.c counts on it
%assign vector 0
%rep 256
  align 16
  %if vector > 31
    push strict byte 0
  %elif (WITH_ERROR_CODE >> vector) & 1 == 0
    push strict byte 0
  %endif
    push strict dword vector
    jmp exception_common
  %assign vector vector + 1
%endrep

exception_common:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    sub rsp, FXSAVE_SIZE                ; the processor aligned the frame to 16 bytes
    fxsave64 [rsp]
    call exception_dispatch
    fxrstor64 [rsp]
    add rsp, FXSAVE_SIZE
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16                         ; vector and error code
    iretq

section .note.GNU-stack noalloc noexec nowrite progbits
