/* SPDX-License-Identifier: MIT */
/* A03: AMD's SVM instructions. Expected: #UD. */
#include "tests/hostile/hostile.h"

CASE(a03)
{
    expect_vector(ATTEMPT("vmrun", : : "a"(0)), VECTOR_UD, "VMRUN");
    expect_vector(ATTEMPT("vmload", : : "a"(0)), VECTOR_UD, "VMLOAD");
    expect_vector(ATTEMPT("vmsave", : : "a"(0)), VECTOR_UD, "VMSAVE");
    expect_vector(ATTEMPT("clgi"), VECTOR_UD, "CLGI");
    expect_vector(ATTEMPT("stgi"), VECTOR_UD, "STGI");
    expect_vector(ATTEMPT("skinit", : : "a"(0)), VECTOR_UD, "SKINIT");
    expect_vector(ATTEMPT("invlpga", : : "a"(0), "c"(0)), VECTOR_UD, "INVLPGA");
}
