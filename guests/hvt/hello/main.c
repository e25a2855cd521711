/* SPDX-License-Identifier: MIT */
/* An hvt guest that says what it was started with: the shortest tour of that SDK. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

int main(void)
{
    const struct hvt_boot_info *info = guest_boot_info();
    struct date_time t = date_time_utc(hvt_walltime() / 1000000000);

    printf("I am an hvt guest with %llu KiB of RAM; the TSC runs at %lu MHz\n",
           info->mem_size / KIB, tsc_hz() / 1000000);
    printf("command line: \"%s\"\n", guest_command_line());
    printf("it is %04u-%02u-%02u %02u:%02u:%02u UTC\n", t.year, t.month, t.day, t.hour, t.minute,
           t.second);
    sleep_ms(5);
    printf("good-bye\n");
    return 0;
}
