/* The only program of a machine that tries the relay's programs on another kernel: it loads them, runs every vector that
 * programs.h has, says what came of it, and powers off. scripts/kernel_matrix.py writes programs.h.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

struct relocation {
	int offset, map;
};

struct vector {
	unsigned char key[40], flow[60], hop[32], frame[1400], expected[1400];
	unsigned int frame_bytes, expected_bytes, has_tags;
};

#include "programs.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))
#define ENTRIES 16
#define MMAPABLE (1 << 10)

static char verifier_log[1 << 22];

static int call(int command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int create(int kind, int key_bytes, int value_bytes, int entries, int flags)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.map_type = kind;
	attributes.key_size = key_bytes;
	attributes.value_size = value_bytes;
	attributes.max_entries = entries;
	attributes.map_flags = flags;
	return call(BPF_MAP_CREATE, &attributes);
}

static void change(int command, int map, const void *key, const void *value)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.map_fd = map;
	attributes.key = (unsigned long)key;
	attributes.value = (unsigned long)value;
	if (call(command, &attributes))
		printf("a map does not take an element: %s\n", strerror(errno));
}

static int load(const char *name, unsigned char *code, int bytes, int kind)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.prog_type = kind;
	attributes.insn_cnt = bytes / 8;
	attributes.insns = (unsigned long)code;
	attributes.license = (unsigned long)"Dual MIT/GPL";
	int program = call(BPF_PROG_LOAD, &attributes);
	if (program >= 0)
		return program;
	attributes.log_level = 1;
	attributes.log_size = sizeof(verifier_log);
	attributes.log_buf = (unsigned long)verifier_log;
	call(BPF_PROG_LOAD, &attributes);
	size_t length = strlen(verifier_log);
	printf("%s is refused\n%s\n", name, verifier_log + (length > 1500 ? length - 1500 : 0));
	return -1;
}

static int run(int program, const struct vector *vector, unsigned int redirect)
{
	static unsigned char sent[4096];
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.test.prog_fd = program;
	attributes.test.data_in = (unsigned long)vector->frame;
	attributes.test.data_size_in = vector->frame_bytes;
	attributes.test.data_out = (unsigned long)sent;
	attributes.test.data_size_out = sizeof(sent);
	attributes.test.repeat = 1;
	return !call(BPF_PROG_TEST_RUN, &attributes) && attributes.test.retval == redirect &&
	       attributes.test.data_size_out == vector->expected_bytes &&
	       !memcmp(sent, vector->expected, vector->expected_bytes);
}

static void try_program(const char *name, unsigned char *code, int bytes, int kind, unsigned int redirect,
			const struct relocation *relocations, int count)
{
	int first = 0, slot = 1, passed = 0, tried = 0;
	unsigned long long state[4] = { 1ULL << 62 };
	int maps[] = {
		create(BPF_MAP_TYPE_HASH, 40, 60, ENTRIES, 0),
		create(BPF_MAP_TYPE_ARRAY, 4, 32, ENTRIES, MMAPABLE),
		create(BPF_MAP_TYPE_ARRAY, 4, 32, ENTRIES, MMAPABLE),
		create(BPF_MAP_TYPE_ARRAY, 4, 32, 1, MMAPABLE),
		create(BPF_MAP_TYPE_ARRAY, 4, 48, 1, MMAPABLE),
		create(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 2560, 1, 0),
	};
	for (int place = 0; place < count; place++) {
		unsigned char *instruction = code + relocations[place].offset;
		instruction[1] = (instruction[1] & 15) | BPF_PSEUDO_MAP_FD << 4;
		memcpy(instruction + 4, &maps[relocations[place].map], 4);
	}
	int program = load(name, code, bytes, kind);
	if (program < 0)
		return;
	change(BPF_MAP_UPDATE_ELEM, maps[1], &slot, state);
	change(BPF_MAP_UPDATE_ELEM, maps[4], &first, control);
	for (int place = 0; place < COUNT(vectors); place++) {
		if (vectors[place].has_tags && kind != BPF_PROG_TYPE_XDP)
			continue; /* before TC, the kernel has taken them off */
		tried++;
		change(BPF_MAP_UPDATE_ELEM, maps[2], &first, vectors[place].hop);
		change(BPF_MAP_UPDATE_ELEM, maps[0], vectors[place].key, vectors[place].flow);
		passed += run(program, &vectors[place], redirect);
		change(BPF_MAP_DELETE_ELEM, maps[0], vectors[place].key, 0);
	}
	printf("%s: %d of %d vectors\n", name, passed, tried);
}

int main(void)
{
	struct utsname system;
	uname(&system);
	printf("kernel %s\n", system.release);
	try_program("xdp", xdp_code, sizeof(xdp_code), BPF_PROG_TYPE_XDP, 4, xdp_maps, COUNT(xdp_maps));
	try_program("tc", tc_code, sizeof(tc_code), BPF_PROG_TYPE_SCHED_CLS, 7, tc_maps, COUNT(tc_maps));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 0;
}
