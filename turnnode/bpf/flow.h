// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* What the agent writes and the kernel reads: flows, their state, next hops, and the agent's lease.
 *
 *   flows:   where a datagram comes from and goes to, and its channel ──▶ what to make of it
 *   states:  by flow.slot: until when, and what was counted     ┐ arrays that the agent has mapped into its
 *   hops:    by flow.hop: where on the wire                     │ memory, so that renewing and counting cost
 *   control: until when the agent answers for all flows         ┘ it no system call
 *
 * Addresses have 16 octets; IPv4 ones are mapped (::ffff:192.0.2.1). In one's complement the ffff is a zero, so a sum
 * over 16 octets is the same as one over 4.
 *
 * turnnode.kernel.layout writes the same structures.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PORTS 4
#define PACKET (1ULL << 40)
#define INLINE static __attribute__((always_inline)) inline

struct address {
	__u32 words[4];
};

struct flow_key {
	struct address source, destination;
	__be16 source_port, destination_port;
	__be16 channel; /* 0 on the side of a peer */
	__u16 unused;
};

struct flow {
	struct address source, destination;
	__be16 source_port, destination_port;
	__be16 channel; /* 0 on the side of a peer */
	__u16 version; /* of IP: 4 or 6 */
	__u32 checksum_delta; /* new addresses, ports and channel minus old ones */
	__u32 slot, hop;
	__u32 bucket; /* of the credential; 0 has no limit */
	__u32 other_bucket; /* of the other client's, if this is a call between two; else 0 */
};

struct state {
	__u64 expires_at_ns;
	__u64 relayed; /* packets times 2^40, plus bytes of data: one addition for both */
	__u64 dropped; /* over a rate */
	__u64 unused;
};

struct hop {
	__u8 destination[ETH_ALEN], source[ETH_ALEN];
	__u32 interface; /* 0: unknown, userspace has to find out */
	__u32 mtu;
	__be16 tag; /* of the VLAN, where the program sees tags; 0: none */
	__u16 unused[5];
};

/* GCRA: a packet moves `full_at_ns` by its cost, and may not move it further than `tolerance_ns` into the future. */
struct bucket {
	__u64 full_at_ns, tolerance_ns;
	__u64 ns_per_kib; /* 0: no limit */
	__u64 unused;
};

struct control {
	__u64 lease_until_ns;
	__be16 ports[PORTS]; /* on which clients are served; those that are not used are 0 */
	struct bucket all; /* what all data of the node comes from, each datagram once for each client */
};

_Static_assert(sizeof(struct flow_key) == 40, "layout.py has another key");
_Static_assert(sizeof(struct flow) == 60, "layout.py has another flow");
_Static_assert(sizeof(struct state) == 32, "layout.py has another state");
_Static_assert(sizeof(struct hop) == 32, "layout.py has another hop");
_Static_assert(sizeof(struct bucket) == 32, "layout.py has another bucket");
_Static_assert(sizeof(struct control) == 48, "layout.py has another control");

/* The loader makes these maps and decides how large they are; here they only have names. */
#define MAP(name, kind, key_type, value_type) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, 1); \
		__type(key, key_type); \
		__type(value, value_type); \
	} name SEC(".maps")

MAP(flows, BPF_MAP_TYPE_HASH, struct flow_key, struct flow);
MAP(states, BPF_MAP_TYPE_ARRAY, __u32, struct state);
MAP(hops, BPF_MAP_TYPE_ARRAY, __u32, struct hop);
MAP(buckets, BPF_MAP_TYPE_ARRAY, __u32, struct bucket);
MAP(control, BPF_MAP_TYPE_ARRAY, __u32, struct control);
