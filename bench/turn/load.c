// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* A load of datagrams, made and counted in the kernel, so that the bench is faster than what it measures.
 *
 * `generate` runs on live frames (BPF_F_TEST_XDP_LIVE_FRAMES), which keep what became of them: so each gets its whole
 * header anew. Frames that are not due yet are dropped. `count` counts what arrives, and drops it. `pass_on` only
 * sends on: no program that relays costs less here.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HEADERS 46
#define RING 128 /* half of a veth's: a burst to catch up must not overrun it */

struct load {
	__u32 flows, interface; /* flows: a power of two */
	__u64 sent, started_ns, rate, skipped, burst; /* rate: packets per ns, times 2^30; 0: as fast as possible */
};

struct header {
	__u8 bytes[48];
};

struct counted {
	__u64 packets;
	__u16 first_port, last_port, unused[2];
};

struct passed {
	__u8 destination[ETH_ALEN], source[ETH_ALEN];
	__u32 interface;
};

#define ARRAY(name, type_of_value) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(max_entries, 1); \
		__type(key, __u32); \
		__type(value, type_of_value); \
	} name SEC(".maps")

ARRAY(load, struct load);
ARRAY(headers, struct header);
ARRAY(counted, struct counted);
ARRAY(passed, struct passed);

SEC("generating")
int generate(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	__u32 first = 0;
	struct load *settings = bpf_map_lookup_elem(&load, &first);
	if (!settings || data + HEADERS > end)
		return XDP_DROP;
	if (settings->rate) {
		__u64 now = bpf_ktime_get_ns();
		if (!settings->started_ns)
			settings->started_ns = now;
		__u64 due = ((now - settings->started_ns) * settings->rate) >> 30;
		__u64 done = settings->sent + settings->skipped;
		due &= ~(settings->burst - 1);
		if (due <= done)
			return XDP_DROP;
		if (due - done > RING)
			settings->skipped += due - done - RING;
	}
	__u32 place = settings->sent++ & (settings->flows - 1);
	struct header *header = bpf_map_lookup_elem(&headers, &place);
	if (!header)
		return XDP_DROP;
	__builtin_memcpy(data, header->bytes, HEADERS);
	return bpf_redirect(settings->interface, 0);
}

SEC("counting")
int count(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 first = 0;
	struct counted *counter = bpf_map_lookup_elem(&counted, &first);
	if (!counter || (void *)(udp + 1) > end)
		return XDP_PASS;
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	__u16 port = bpf_ntohs(udp->dest);
	if (port < counter->first_port || port > counter->last_port)
		return XDP_PASS;
	counter->packets++;
	return XDP_DROP;
}

SEC("passing")
int pass_on(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = data;
	__u32 first = 0;
	struct passed *next = bpf_map_lookup_elem(&passed, &first);
	if (!next || (void *)(ethernet + 1) > end)
		return XDP_PASS;
	__builtin_memcpy(ethernet->h_dest, next->destination, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, next->source, ETH_ALEN);
	return bpf_redirect(next->interface, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
