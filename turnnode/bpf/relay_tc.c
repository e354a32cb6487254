// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* Relay at the entrance of the network stack (TC, by clsact or TCX): with every driver.
 *
 * A sender on this machine leaves the UDP checksum to the network card ("partial"), and the kernel remembers where
 * the sum begins. Headers must not move then: where a channel header comes or goes, the data moves instead.
 */
#include <linux/pkt_cls.h>
#include "packet.h"

#define HEADERS (ETH_HLEN + sizeof(struct ipv6hdr) + L4 + CHANNEL_HEADER)
#define CHUNK 512 /* what bpf_csum_diff takes at once on any kernel */
#define MAX_PARTIAL 2044

struct scratch {
	__u8 bytes[4 * CHUNK + CHUNK];
};

MAP(scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct scratch);

/* A length from 1 to 2048, in words that the verifiers of older kernels understand. */
INLINE __u32 bound(__u32 bytes)
{
	bytes = ((bytes - 1) & 0x7ff) + 1;
	asm volatile("" : "+r"(bytes));
	return bytes;
}

/* Copy the data out of the packet; 0 if it is too large or its checksum turns out to be a whole one after all. */
INLINE int take_partial(struct __sk_buff *skb, const struct packet *packet, struct scratch *data)
{
	__u32 bytes = packet->data_bytes;
	if (bytes > MAX_PARTIAL)
		return 0;
	__u32 start = ETH_HLEN + packet->l3_bytes + L4 + (packet->key.channel ? CHANNEL_HEADER : 0);
	if (bytes && bpf_skb_load_bytes(skb, start, data->bytes, bound(bytes)))
		return 0;
	data->bytes[bytes] = data->bytes[bytes + 1] = data->bytes[bytes + 2] = 0;
	__u32 rounded = (bytes + 3) & ~3u;
	__u64 sum = 0;
#pragma unroll
	for (__u32 place = 0; place < 4; place++) {
		__u32 left = rounded > place * CHUNK ? rounded - place * CHUNK : 0;
		if (left > CHUNK)
			left = CHUNK;
		if (left)
			sum += fold((__u32)bpf_csum_diff(0, 0, (void *)(data->bytes + place * CHUNK), left, 0));
	}
	sum += 2 * (__u64)packet->checksum; /* once as the pseudo header's sum, which it equals */
	sum += packet->key.source_port + packet->key.destination_port + bpf_htons(packet->udp_bytes);
	if (packet->key.channel)
		sum += packet->key.channel + bpf_htons(packet->data_bytes);
	return fold(sum) != 0xffff;
}

/* Change the version of IP; UDP and what follows stay where they are in memory. */
INLINE int change_version(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow)
{
	if (packet->l3_bytes == l3_bytes_of(flow))
		return 1;
	return !bpf_skb_change_proto(skb, flow->version == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6), 0);
}

INLINE int move_data(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow, struct scratch *data)
{
	int growth = channel_growth(packet, flow);
	__u32 bytes = packet->data_bytes;
	if (!growth)
		return 1;
	if (growth > 0 && bpf_skb_change_tail(skb, skb->len + growth, 0))
		return 0;
	__u32 start = ETH_HLEN + l3_bytes_of(flow) + L4 + (flow->channel ? CHANNEL_HEADER : 0);
	if (bytes > MAX_PARTIAL || (bytes && bpf_skb_store_bytes(skb, start, data->bytes, bound(bytes), 0)))
		return 0;
	return growth > 0 || !bpf_skb_change_tail(skb, skb->len + growth, 0);
}

INLINE int resize(struct __sk_buff *skb, const struct packet *packet, const struct flow *flow)
{
	int growth = channel_growth(packet, flow);
	return !growth || !bpf_skb_adjust_room(skb, growth, BPF_ADJ_ROOM_MAC, 0);
}

SEC("tc")
int relay_tc(struct __sk_buff *skb)
{
	__u32 first = 0;
	struct packet packet;
	struct control *settings = bpf_map_lookup_elem(&control, &first);
	if (!settings || skb->vlan_present || skb->gso_segs > 1)
		return TC_ACT_UNSPEC;
	bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (!parse(data, end, skb->len, settings->ports, &packet) || packet.link_bytes != ETH_HLEN)
		return TC_ACT_UNSPEC;
	const struct flow *flow = bpf_map_lookup_elem(&flows, &packet.key);
	if (!flow)
		return TC_ACT_UNSPEC;
	struct scratch *moved = 0;
	if (packet.checksum == sum_pseudo(&packet.key.source, &packet.key.destination, packet.udp_bytes)) {
		moved = bpf_map_lookup_elem(&scratch, &first);
		if (!moved || !take_partial(skb, &packet, moved))
			return TC_ACT_UNSPEC;
	}
	const struct hop *hop;
	struct state *state;
	switch (admit(&packet, flow, settings, &hop, &state)) {
	case LEAVE:
		return TC_ACT_UNSPEC;
	case DROP:
		return TC_ACT_SHOT;
	case RELAY:
		break;
	}
	if (!change_version(skb, &packet, flow))
		return TC_ACT_SHOT;
	__u16 checksum;
	if (moved) {
		__u16 udp_bytes = packet.udp_bytes + channel_growth(&packet, flow);
		checksum = sum_pseudo(&flow->source, &flow->destination, udp_bytes);
		if (!move_data(skb, &packet, flow, moved))
			return TC_ACT_SHOT;
	} else {
		checksum = update_checksum(&packet, flow);
		if (!resize(skb, &packet, flow))
			return TC_ACT_SHOT;
	}
	__u32 headers = ETH_HLEN + l3_bytes_of(flow) + L4 + (flow->channel ? CHANNEL_HEADER : 0);
	if (bpf_skb_pull_data(skb, headers))
		return TC_ACT_SHOT;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (!write_headers(data, end, &packet, flow, hop, 0, checksum))
		return TC_ACT_SHOT;
	count_relayed(state, &packet);
	return bpf_redirect(hop->interface, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
