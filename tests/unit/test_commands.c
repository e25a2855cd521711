/* SPDX-License-Identifier: MIT */
/* The monitor's commands: the table as it is linked into the hypervisor, what all commands share,
 * and those about VMs against VMs that this test makes. The rest of the hypervisor is not here: a
 * function that no test calls stays unresolved. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "kernel/monitor/command.h"
#include "kernel/vm/console.h"
#include "kernel/vm/sched_core.h"
#include "kernel/vm/switch.h"

#define COLUMNS 80

/* ---- What the commands see ------------------------------------------------------------------- */

struct vm_list vms = STAILQ_HEAD_INITIALIZER(vms);
static struct vm records[3];
static struct vcpu vcpus[3];
static int ends, starts; /* calls */
static int start_status;

struct core sched_cores[CPUS_MAX];
const uint32_t *sched_members;
uint32_t sched_member_count;
struct cpu *cpus[CPUS_MAX];
uint32_t cpus_count;

const char *stop_reason_name(enum stop_reason reason)
{
    return reason == STOP_TRIPLE_FAULT ? "TRIPLE_FAULT" : "?";
}

uint64_t time_ticks_to_ns(uint64_t ticks)
{
    return ticks;
}

uint64_t time_us_to_ticks(uint64_t us)
{
    return us;
}

uint64_t vm_run_ticks(const struct vm *vm)
{
    return vm->vcpus[0]->run_ticks;
}

uint64_t vcpu_apic_deadline(const struct vcpu *vcpu)
{
    return vcpu->apic.deadline;
}

const char *vcpu_state_name(enum vcpu_state state)
{
    return state == VCPU_SLEEPING ? "sleeping" : "?";
}

struct vm *vm_by_name(const char *name, size_t length)
{
    struct vm *vm;
    STAILQ_FOREACH(vm, &vms, link)
        if (strlen(vm->config.name) == length && !memcmp(vm->config.name, name, length))
            return vm;
    return NULL;
}

bool vm_hold(struct vm *vm)
{
    if (vm->state != VM_ALIVE)
        return false;
    atomic_fetch_add(&vm->users, 1);
    return true;
}

static int set_paused(struct vm *vm, bool paused)
{
    if (vm->state != VM_ALIVE || vm->paused == paused)
        return -EINVAL;
    vm->paused = paused;
    return 0;
}

int vm_pause(struct vm *vm)
{
    return set_paused(vm, true);
}

int vm_resume(struct vm *vm)
{
    return set_paused(vm, false);
}

/* It stops when the test says so. */
int vm_end(struct vm *vm)
{
    if (vm->state != VM_ALIVE)
        return -EINVAL;
    atomic_store(&vm->stop_reason, STOP_OPERATOR);
    ends++;
    return 0;
}

int vm_start(struct vm *vm)
{
    if (vm->state != VM_STOPPED)
        return -EBUSY;
    starts++;
    return start_status;
}

/* Switch "lan" has port_count ports, all alike; "empty" none. */
struct ethernet_switch {
    const char *name;
};
static struct ethernet_switch lan = {"lan"}, empty = {"empty"};
static uint32_t port_count;

struct ethernet_switch *switch_after(const struct ethernet_switch *ethernet)
{
    return !ethernet ? &empty : ethernet == &empty ? &lan : NULL;
}

struct port *switch_port(const struct ethernet_switch *ethernet, uint32_t number)
{
    return ethernet == &lan && number < port_count ? (struct port *)&lan : NULL;
}

void port_look(const struct port *port, struct port_view *view)
{
    assert_ptr_equal(port, &lan);
    *view = (struct port_view){.vm = &records[0],
                               .device = "net",
                               .switch_name = lan.name,
                               .mac = {2, 'A', 0, 0, 0, 0xfe},
                               .open = true,
                               .queued = 1234,
                               .received = UINT64_MAX,
                               .received_dropped = 2,
                               .sent = 3,
                               .sent_dropped = 4};
}

static void make_vm(unsigned number, const char *name, enum vm_state state)
{
    struct vm *vm = &records[number];
    *vm = (struct vm){.id = number, .state = state};
    snprintf(vm->config.name, sizeof vm->config.name, "%s", name);
    vm->config.vcpus = 1;
    vm->config.memory = 4 * MIB;
    vcpus[number] = (struct vcpu){.vm = vm};
    vm->vcpus[0] = state == VM_ALIVE ? &vcpus[number] : NULL;
    STAILQ_INSERT_TAIL(&vms, vm, link);
}

static int make_vms(void **state)
{
    (void)state;
    STAILQ_INIT(&vms);
    make_vm(0, "a", VM_ALIVE);
    make_vm(1, "a.b.0", VM_STOPPED);
    make_vm(2, "bad", VM_REFUSED);
    records[1].last_reason = STOP_TRIPLE_FAULT;
    records[1].starts = 1;
    ends = starts = start_status = 0;
    return 0;
}

/* ---- Running a command ----------------------------------------------------------------------- */

static char output[64 * 1024];
static size_t output_size, step_most;
static unsigned waits;
static struct invocation call;
static char call_line[256];

static void put(void *context, const char *bytes, size_t size)
{
    (void)context;
    assert_true(output_size + size < sizeof output);
    memcpy(output + output_size, bytes, size);
    output_size += size;
    output[output_size] = '\0';
}

static void begin(const char *line)
{
    output_size = step_most = 0;
    output[0] = '\0';
    waits = 0;
    call = (struct invocation){.out.put = put};
    snprintf(call_line, sizeof call_line, "%s", line);
    int words = words_split(call_line, call.argv, &call.json);
    assert_in_range(words, 1, WORDS_MAX);
    call.argc = (unsigned)words;
    call.out.json = call.json;
    call.command = command_find(call.argv[0]);
    assert_non_null(call.command);
}

static enum command_result step(void)
{
    size_t before = output_size;
    enum command_result result = call.command->step(&call);
    if (output_size - before > step_most)
        step_most = output_size - before;
    return result;
}

/* Until it is done, or waits for the third time. */
static const char *run(const char *line)
{
    enum command_result result;
    begin(line);
    while ((result = step()) != COMMAND_DONE)
        if (result == COMMAND_WAIT && ++waits == 3)
            break;
    assert_in_range(step_most, 0, COMMAND_STEP_MAX);
    return output;
}

#define expect(line, text) assert_string_equal(run(line), text)

/* ---- The table ------------------------------------------------------------------------------- */

static void names_are_sorted_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < commands_count; i++) {
        assert_non_null(commands[i]); /* NULL: its file is not in command_sources */
        assert_non_null(commands[i]->name);
        if (i > 0 && strcmp(commands[i - 1]->name, commands[i]->name) >= 0)
            fail_msg("%s stands behind %s", commands[i]->name, commands[i - 1]->name);
        assert_ptr_equal(command_find(commands[i]->name), commands[i]);
    }
    assert_null(command_find(""));
    assert_null(command_find("lis"));
    assert_null(command_find("listx"));
    assert_null(command_find("LIST"));
}

static unsigned words_in(const char *text, const char *separators)
{
    char copy[COLUMNS + 1];
    unsigned count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, separators); word; word = strtok(NULL, separators))
        count++;
    return count;
}

static void check_arguments(const struct command *command)
{
    bool chooses = false;
    for (unsigned i = 0; i < ARGUMENTS_MAX; i++) {
        chooses = chooses || command->arguments[i] == ARGUMENT_WORD;
        if (i < command->most && command->arguments[i] == ARGUMENT_NONE)
            fail_msg("%s: argument %u has no kind", command->name, i);
        if (i >= command->most && command->arguments[i] != ARGUMENT_NONE)
            fail_msg("%s: argument %u is never there", command->name, i);
    }
    assert_int_equal(chooses, command->choices != NULL);
}

static void entries_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = commands[i];
        assert_non_null(command->usage);
        assert_non_null(command->help);
        assert_non_null(command->step);
        assert_in_range(strlen(command->help), 8, 51);
        assert_in_range(command->most, command->least, ARGUMENTS_MAX);
        assert_int_equal(command->most == 0, *command->usage == '\0');
        if (*command->usage != '[' && words_in(command->usage, " ") < command->least)
            fail_msg("%s: \"%s\" has fewer words than it takes", command->name, command->usage);
        if ((*command->usage == '[') != (command->least == 0 && command->most > 0))
            fail_msg("%s: \"%s\" and at least %u words", command->name, command->usage,
                     command->least);
        if (command->more)
            assert_int_equal(command->more[strlen(command->more) - 1], '\n');
        check_arguments(command);
    }
}

static void check_width(const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length > COLUMNS)
            fail_msg("%zu columns: %.*s", length, (int)length, text);
        assert_int_equal(text[length], '\n');
        text += length + 1;
    }
}

static void help_has_all_within_80_columns(void **state)
{
    (void)state;
    char line[64];
    const char *list = run("help");
    check_width(list);
    for (size_t i = 0; i < commands_count; i++) {
        snprintf(line, sizeof line, "\n%s ", commands[i]->name);
        if (!strstr(list, line))
            fail_msg("help lacks %s", commands[i]->name);
    }
    for (size_t i = 0; i < commands_count; i++) {
        snprintf(line, sizeof line, "help %s", commands[i]->name);
        const char *text = run(line);
        check_width(text);
        assert_non_null(strstr(text, commands[i]->help));
        assert_int_equal(strstr(text, "[-j]") != NULL, commands[i]->lists);
        assert_true(!commands[i]->more || strstr(text, commands[i]->more));
    }
    expect("help nope", "no command \"nope\"; help lists them all\n");
}

static void help_is_json_too(void **state)
{
    (void)state;
    unsigned lines = 0;
    for (const char *at = run("help -j"); *at; lines++) {
        assert_memory_equal(at, "{\"command\":\"", 12);
        at = strchr(at, '\n') + 1;
        assert_int_equal(at[-2], '}');
    }
    assert_int_equal(lines, commands_count);
}

/* ---- Words that name VMs and vCPUs ----------------------------------------------------------- */

static void vms_are_found_by_whole_names(void **state)
{
    (void)state;
    begin("info a");
    assert_ptr_equal(command_vm(&call, "a"), &records[0]);
    assert_ptr_equal(command_vm(&call, "a.b.0"), &records[1]);
    assert_ptr_equal(command_vm(&call, "bad"), &records[2]);
    assert_int_equal(output_size, 0);
    assert_null(command_vm(&call, "ba"));
    assert_string_equal(output, "no VM \"ba\"; list shows them all\n");
    begin("info -j a");
    assert_null(command_vm(&call, ""));
    assert_string_equal(output, "{\"error\":\"no VM \\\"\\\"; list shows them all\"}\n");
}

static void vcpus_are_held(void **state)
{
    (void)state;
    begin("info a");
    assert_ptr_equal(command_vcpu(&call, "a"), &vcpus[0]);
    assert_ptr_equal(command_vcpu(&call, "a.0"), &vcpus[0]);
    assert_int_equal(records[0].users, 2);
    assert_int_equal(output_size, 0);

    static const struct {
        const char *word, *line;
    } bad[] = {
        {"a.1", "no vCPU \"a.1\": expected a.0 to a.0\n"},
        {"a.99", "no vCPU \"a.99\": expected a.0 to a.0\n"},
        {"a.b", "no VM \"a.b\"; list shows them all\n"},
        {"a.b.0", "a.b.0: expected a VM that lives; list shows their states\n"}, /* a VM's name */
        {"a.b.0.0", "a.b.0: expected a VM that lives; list shows their states\n"},
        {"bad.0", "bad: expected a VM that lives; list shows their states\n"},
        {"none.0", "no VM \"none.0\"; list shows them all\n"},
        {"a.", "no VM \"a.\"; list shows them all\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        begin("info a");
        assert_null(command_vcpu(&call, bad[i].word));
        assert_string_equal(output, bad[i].line);
    }
    assert_int_equal(records[0].users, 2);
}

/* ---- list, and the verbs --------------------------------------------------------------------- */

static void list_has_a_row_for_each(void **state)
{
    (void)state;
    records[0].starts = 3;
    vcpus[0].run_ticks = 7000000;
    records[0].run_ticks = 5000000;
    const char *text = run("list");
    check_width(text);
    assert_non_null(strstr(text, "\na             0 running        1    4M     0      12 "));
    assert_non_null(strstr(text, "\na.b.0         1 stopped        1    4M     -       0      -"
                                 "     1 TRIPLE_FAULT\n"));
    assert_non_null(strstr(text, "\nbad           2 refused        1    4M     -       0      -"
                                 "     0 -\n"));
    text = run("list -j");
    assert_non_null(strstr(text, "{\"name\":\"a\",\"id\":0,\"state\":\"running\",\"vcpus\":1,"
                                 "\"memory\":4194304,\"resident\":0,\"run_ms\":12,"));
    assert_non_null(strstr(text, "\"last_end\":\"TRIPLE_FAULT\"}\n"));
}

/* Another core starts a VM or gives it back: it is waited for a little, then shown as busy. */
static void list_does_not_wait_for_a_lock(void **state)
{
    (void)state;
    spin_lock(&records[1].lock);
    run("list");
    assert_int_equal(waits, 3);
    enum command_result result;
    for (waits = 0; (result = step()) == COMMAND_WAIT; waits++)
        assert_in_range(waits, 0, 100);
    assert_int_equal(result, COMMAND_DONE);
    assert_non_null(strstr(output, "\na.b.0         1 busy "));
    assert_non_null(strstr(output, "\nbad           2 refused "));
    spin_unlock(&records[1].lock);
}

static void list_can_be_cancelled(void **state)
{
    (void)state;
    begin("list");
    call.cancelled = true;
    assert_int_equal(step(), COMMAND_DONE);
    assert_int_equal(output_size, 0);
}

static void pause_and_resume_say_what_was_expected(void **state)
{
    (void)state;
    expect("resume a", "a: it is running; expected a paused VM\n");
    expect("pause a", "a: paused\n");
    expect("pause a", "a: it is paused; expected a running VM\n");
    expect("resume a", "a: runs on\n");
    expect("pause a.b.0", "a.b.0: it is stopped; expected a running VM\n");
    expect("pause bad", "bad: it is refused; expected a running VM\n");
    expect("pause c", "no VM \"c\"; list shows them all\n");
}

static void start_says_why_not(void **state)
{
    (void)state;
    expect("start a", "a: it is running; expected a stopped VM\n");
    expect("start bad", "bad: it is refused; expected a stopped VM\n");
    assert_int_equal(starts, 0);
    expect("start a.b.0", "a.b.0: started\n");
    start_status = -ENOMEM;
    expect("start a.b.0", "a.b.0: it does not start: the log says why\n");
    assert_int_equal(starts, 2);
}

static void stop_waits_until_it_is_stopped(void **state)
{
    (void)state;
    expect("stop a.b.0",
           "a.b.0: it is stopped; expected a VM that runs, or is paused or restarting\n");
    expect("stop a", "");
    assert_int_equal(waits, 3);
    records[0].state = VM_STOPPED;
    assert_int_equal(step(), COMMAND_DONE);
    assert_string_equal(output, "a: stopped\n");
    assert_int_equal(ends, 1);
}

static void restart_starts_what_has_stopped(void **state)
{
    (void)state;
    run("restart a");
    assert_int_equal(waits, 3);
    assert_int_equal(starts, 0);
    records[0].state = VM_STOPPED;
    assert_int_equal(step(), COMMAND_DONE);
    assert_string_equal(output, "a: started anew\n");
    assert_int_equal(starts, 1);
}

static void restart_is_given_up(void **state)
{
    (void)state;
    enum command_result result;
    begin("restart a");
    while ((result = step()) == COMMAND_WAIT)
        ;
    assert_int_equal(result, COMMAND_DONE);
    assert_string_equal(output,
                        "a: it is still stopping; it will stop, but is not waited for\n");
    assert_int_equal(starts, 0);
}

static void cancelled_restart_starts_nothing(void **state)
{
    (void)state;
    run("restart a");
    records[0].state = VM_STOPPED;
    call.cancelled = true;
    assert_int_equal(step(), COMMAND_DONE);
    assert_int_equal(starts, 0);
}

/* ---- switches -------------------------------------------------------------------------------- */

static void switches_has_a_row_for_each_port(void **state)
{
    (void)state;
    port_count = 9; /* more than a step shows */
    const char *text = run("switches");
    unsigned rows = 0;
    for (const char *at = text; (at = strstr(at, "\nlan    a.net            "
                                                 "02:41:00:00:00:fe yes   1234 ")); at++)
        rows++;
    assert_int_equal(rows, port_count);
    port_count = 1;
    expect("switches -j", "{\"switch\":\"lan\",\"port\":\"a.net\",\"mac\":\"02:41:00:00:00:fe\","
                          "\"open\":\"yes\",\"queued\":1234,\"received\":18446744073709551615,"
                          "\"received_dropped\":2,\"sent\":3,\"sent_dropped\":4}\n");
    port_count = 0;
    check_width(run("switches"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_sorted_and_found),
        cmocka_unit_test(entries_are_complete),
        cmocka_unit_test(help_has_all_within_80_columns),
        cmocka_unit_test(help_is_json_too),
        cmocka_unit_test_setup(vms_are_found_by_whole_names, make_vms),
        cmocka_unit_test_setup(vcpus_are_held, make_vms),
        cmocka_unit_test_setup(list_has_a_row_for_each, make_vms),
        cmocka_unit_test_setup(list_does_not_wait_for_a_lock, make_vms),
        cmocka_unit_test_setup(list_can_be_cancelled, make_vms),
        cmocka_unit_test_setup(pause_and_resume_say_what_was_expected, make_vms),
        cmocka_unit_test_setup(start_says_why_not, make_vms),
        cmocka_unit_test_setup(stop_waits_until_it_is_stopped, make_vms),
        cmocka_unit_test_setup(restart_starts_what_has_stopped, make_vms),
        cmocka_unit_test_setup(restart_is_given_up, make_vms),
        cmocka_unit_test_setup(cancelled_restart_starts_nothing, make_vms),
        cmocka_unit_test_setup(switches_has_a_row_for_each_port, make_vms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
