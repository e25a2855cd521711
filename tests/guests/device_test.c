/* SPDX-License-Identifier: MIT */
/* The calls for devices, with good arguments and bad ones. Its line has block:disk=ram:256K,
 * block:rom=MODULE,ro,sectors=4096 (8 KiB of 'x') and net:net=SWITCH, where nobody else is. */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define DISK_SIZE (256 * KIB)
#define ROM_SIZE  (8 * KIB)
#define ROM_BLOCK 4096
#define SECTOR    512
#define NOBODY    7 /* as a device */
#define DISK      0
#define ROM       1
#define NET       2
#define OFFSET    (3 * SECTOR)
#define WRITTEN   (2 * ATOLL_BLOCK_MAX + SECTOR)
#define FRAME_MAX (ATOLL_NET_HEADER + 1500)

static uint8_t data[DISK_SIZE], other[DISK_SIZE];

/* How many bytes of `other` are as they should be, `from` being those that were written. */
static size_t right_bytes(const uint8_t *from)
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof(other); i++) {
        bool written = i >= OFFSET && i < OFFSET + WRITTEN;
        count += other[i] == (written ? from[i - OFFSET] : 0);
    }
    return count;
}

static void check_disk(void)
{
    struct block disk = {0};

    check(block_open(&disk, "nodisk") == -ENOENT, "there is no disk of another name");
    check(block_open(&disk, "net") == -ENOENT, "a network device is no disk");
    check(block_open(&disk, "disk") == 0 && disk.device == DISK && disk.block_size == SECTOR &&
              disk.capacity == DISK_SIZE && !disk.read_only,
          "disk: %lu bytes in sectors of %lu", disk.capacity, disk.block_size);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / SECTOR + 1);
    check(block_write(&disk, OFFSET, data, WRITTEN) == 0, "%u bytes are written", WRITTEN);
    check(block_read(&disk, 0, other, sizeof(other)) == 0, "all of the disk is read");
    check(right_bytes(data) == sizeof(other), "it holds what was written, and zeroes");
}

static void check_rom(void)
{
    struct block rom = {0};
    size_t count = 0;

    check(block_open(&rom, "rom") == 0 && rom.device == ROM && rom.block_size == ROM_BLOCK &&
              rom.capacity == ROM_SIZE && rom.read_only,
          "rom: %lu bytes in sectors of %lu", rom.capacity, rom.block_size);
    check(block_write(&rom, 0, data, ROM_BLOCK) == -EROFS, "it cannot be written");
    check(block_read(&rom, 0, other, ROM_SIZE) == 0, "it can be read");
    while (count < ROM_SIZE && other[count] == 'x')
        count++;
    check(count == ROM_SIZE, "it holds what the module holds");
}

static void check_bad_requests(void)
{
    uint8_t *outside = (uint8_t *)guest_ram_end();
    const struct {
        const char *what;
        uint64_t device, offset;
        uint8_t *data;
        uint64_t size;
        int64_t expected;
    } requests[] = {
        {"no such device", NOBODY, 0, data, SECTOR, -ENOENT},
        {"a number of 64 bits", 1ull << 32, 0, data, SECTOR, -ENOENT},
        {"a network device", NET, 0, data, SECTOR, -ENOENT},
        {"an offset within a sector", DISK, 1, data, SECTOR, -EINVAL},
        {"a part of a sector", DISK, 0, data, SECTOR - 1, -EINVAL},
        {"a sector of another disk", ROM, SECTOR, data, SECTOR, -EINVAL},
        {"too much at once", DISK, 0, data, ATOLL_BLOCK_MAX + SECTOR, -EINVAL},
        {"behind the end", DISK, DISK_SIZE, data, SECTOR, -EINVAL},
        {"across the end", DISK, DISK_SIZE - SECTOR, data, 2 * SECTOR, -EINVAL},
        {"across 2^64", DISK, -(uint64_t)SECTOR, data, 2 * SECTOR, -EINVAL},
        {"outside of RAM", DISK, 0, outside, SECTOR, -EFAULT},
        {"across the end of RAM", DISK, 0, outside - 1, SECTOR, -EFAULT},
        {"nothing", DISK, 0, data, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        int64_t read = atoll_block_read(requests[i].device, requests[i].offset, requests[i].data,
                                        requests[i].size);
        int64_t written = atoll_block_write(requests[i].device, requests[i].offset,
                                            requests[i].data, requests[i].size);
        check(read == requests[i].expected, "reading: %s: %ld", requests[i].what, read);
        check(written == requests[i].expected || requests[i].device == ROM, "writing: %s: %ld",
              requests[i].what, written);
    }
}

static void check_net(void)
{
    uint8_t *outside = (uint8_t *)guest_ram_end();
    struct net net = {0};
    struct net_counters before, after;

    check(net_open(&net, "disk") == -ENOENT, "a disk is no network device");
    check(net_open(&net, "net") == 0 && net.device == NET && net.mtu == 1500, "MTU %u", net.mtu);
    check(net_receive(&net, data, sizeof(data)) == -EAGAIN, "no frame is there");
    check(atoll_net_read(NET, outside - 1, 2) == -EFAULT, "reading to where no RAM is");
    check(atoll_net_write(NET, outside - 1, FRAME_MAX) == -EFAULT, "writing from there");
    check(atoll_net_read(DISK, data, sizeof(data)) == -ENOENT &&
              atoll_net_write(DISK, data, FRAME_MAX) == -ENOENT &&
              atoll_net_vector(DISK, 0) == -ENOENT && atoll_net_vector(NOBODY, 0) == -ENOENT,
          "a disk, and what is not there, has no frames");
    check(atoll_net_vector(NET, APIC_VECTOR_FIRST - 1) == -EINVAL &&
              atoll_net_vector(NET, 256) == -EINVAL &&
              atoll_net_vector(NET, 1ull << 32 | INTERRUPT_NET) == -EINVAL,
          "vectors are 32 to 255");
    net_count(&net, &before);
    check(net_send(&net, data, ATOLL_NET_HEADER - 1) == -EINVAL, "a header that is not whole");
    check(net_send(&net, data, FRAME_MAX + 1) == -EINVAL, "a byte more than the MTU allows");
    check(net_count(&net, &after) && after.sent == before.sent, "they do not count as sent");
    memcpy(data + ETH_ALEN, net.mac, ETH_ALEN);
    check(net_send(&net, data, FRAME_MAX) == 0, "a frame as long as the MTU allows");
    memset(data + ETH_ALEN, 0xff, ETH_ALEN);
    check(net_send(&net, data, ATOLL_NET_HEADER) == 0, "a frame with a source that is a lie");
    net_count(&net, &after);
    check(after.sent == before.sent + 2 && after.sent_dropped == before.sent_dropped + 2,
          "nobody is there: %lu of %lu went nowhere", after.sent_dropped, after.sent);
}

static void check_wait(void)
{
    uint64_t start = rdtsc(), length = tsc_hz() / 1000;

    net_wait(start + length);
    check(rdtsc() - start >= length, "no frame ends the wait before its time");
}

int main(void)
{
    check_disk();
    check_rom();
    check_bad_requests();
    check_net();
    check_wait();
    return checks_done("device_test");
}
