/* SPDX-License-Identifier: MIT */
/* K01: an exception in the handler of its call. Expected: the hypervisor says where and panics; no
 * guest runs any more. It waits first, until others run beside it. */
#include "tests/hostile/hostile.h"

#define OTHERS_MS 150

CASE(k01)
{
    sleep_ms(OTHERS_MS);
    farewell();
    atoll_call3(ATOLL_CALL_PROBE, ATOLL_PROBE_FAULT, ATOLL_FAULT_EXCEPTION, 0);
}
